"""Where new tokens of rows go in a cache and what they see there: places from the host, all else on the device."""

from __future__ import annotations

import numpy as np

from cogitate.engine.batch import append_to
from cogitate.engine.steps.inputs import Inputs
from cogitate.model.attention import CacheView, TokenContext
from cogitate.model.kv_cache import BLOCK, KVCache, Places
from cogitate.model.paged.reads import Slots, make_reader
from cogitate.model.rope import turns_of
from cogitate.model.transformer import Transformer

TABLE = "table"


def append(cache: KVCache, rows: np.ndarray, tokens: int) -> dict[str, np.ndarray]:
    """Make room for new tokens (T) in each row (N); where they go, as parts of a step's inputs.

    Returns:
        position, slot, block, lane: (N, T), of each new token.
        shared, own: (N,); these, position and slot as `Slots` has them (model/paged).
    """
    position_NT = (append_to(cache, rows, tokens) - 1).reshape(-1, tokens)
    shared_N = cache.shared[rows].astype(np.int64)
    own_N = -(-shared_N // BLOCK) * BLOCK
    slot_NT = position_NT + (own_N - shared_N)[:, None]
    return {
        "position": position_NT,
        "slot": slot_NT,
        "block": np.take_along_axis(cache.table[rows], slot_NT // BLOCK, axis=1),
        "lane": slot_NT % BLOCK,
        "shared": shared_N,
        "own": own_N,
    }


def paged_context(model: Transformer, cache: KVCache, inputs: Inputs, name: str = "") -> TokenContext:
    """The context of each row's new tokens; the host need not wait for anything.

    Args:
        inputs: what `append` has returned, and as TABLE the blocks of each row, those for the new tokens included.
        name: what these parts' names begin with.
    """
    config, position_NT = model.config, inputs[f"{name}position"]
    shared_N, own_N = inputs[f"{name}shared"][:, 0], inputs[f"{name}own"][:, 0]
    slots = Slots(inputs[f"{name}{TABLE}"], position_NT, inputs[f"{name}slot"], shared_N, own_N)
    kv_heads = 1 if config.is_mla else config.num_key_value_heads
    dtype = model.embed_tokens.weight.dtype
    reader = make_reader(slots, model.windows | {None}, kv_heads, config.num_attention_heads, dtype)
    rotation_NTR = model.rotation_at(position_NT)
    turns = None if config.is_mla else turns_of(rotation_NTR)
    places = Places(inputs[f"{name}block"], inputs[f"{name}lane"])
    return TokenContext(rotation_NTR, {}, {}, CacheView(cache, places, None, reader), turns)

"""Where new tokens of rows go in a cache and what they see there: places from the host, masks made on the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cogitate.engine.batch import append_to
from cogitate.engine.steps.inputs import Inputs
from cogitate.model.attention import CacheView, TokenContext
from cogitate.model.kv_cache import BLOCK, KVCache, Places
from cogitate.model.rope import turns_of
from cogitate.model.transformer import Transformer

TABLE = "table"


def append(cache: KVCache, rows: np.ndarray, tokens: int) -> dict[str, np.ndarray]:
    """Make room for new tokens (T) in each row (N); where they go, as parts of a step's inputs.

    A slot is a place of a row's blocks, counted from the first of them; between the row's shared prompt and its own text some
    are empty (kv_cache.py).

    Returns:
        position, slot, block, lane: (N, T), of each new token.
        shared, own: (N,), the slots in which the shared prompt has ended and the row's own text begins.
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
    position_NT, slot_NT, table_NB = inputs[f"{name}position"], inputs[f"{name}slot"], inputs[f"{name}{TABLE}"].contiguous()
    shared_N11, own_N11 = inputs[f"{name}shared"][..., None], inputs[f"{name}own"][..., None]
    slots_S = torch.arange(table_NB.shape[1] * BLOCK, device=table_NB.device)
    in_gap_N1S = (slots_S >= shared_N11) & (slots_S < own_N11)
    unseen_NTS = in_gap_N1S | (slots_S > slot_NT[..., None])
    masks: dict[int | None, Tensor | None] = {}
    for window in model.windows | {None}:
        too_far_NTS = unseen_NTS
        if window is not None:
            held_N1S = slots_S - (slots_S >= own_N11) * (own_N11 - shared_N11)  # the position in each slot
            too_far_NTS = unseen_NTS | (position_NT[..., None] - held_N1S >= window)
        masks[window] = mask_of_scores(model, too_far_NTS)
    rotation_NTR = model.rotation_at(position_NT)
    turns = None if model.config.is_mla else turns_of(rotation_NTR)
    places = Places(inputs[f"{name}block"], inputs[f"{name}lane"])
    return TokenContext(rotation_NTR, {}, masks, CacheView(cache, places, None, table_NB), turns)


def mask_of_scores(model: Transformer, unseen_NTS: Tensor) -> Tensor:
    """What is added to the scores of a layer, of their shape, so that no layer has to spread it: (N, T * H, S) of latent
    attention, (J * N, H / J * T, S) of grouped queries, in the order of mla.py and causal_attention.attend_by_head."""
    config, (rows, tokens, slots) = model.config, unseen_NTS.shape
    groups = config.num_key_value_heads
    shape: tuple[int, ...]
    if config.is_mla:
        shape, shown, flat = (rows, tokens, config.num_attention_heads, slots), unseen_NTS[:, :, None], (rows, -1, slots)
    else:
        shape = (groups, rows, config.num_attention_heads // groups, tokens, slots)
        shown, flat = unseen_NTS[:, None], (groups * rows, -1, slots)
    made = torch.zeros(shape, dtype=model.embed_tokens.weight.dtype, device=unseen_NTS.device)
    return made.masked_fill_(shown, float("-inf")).view(flat)

"""Where new tokens of rows go in a cache and what they see there, made on the device from each row's blocks and lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from cogitate.model.attention import CacheView, TokenContext
from cogitate.model.kv_cache import BLOCK, KVCache, Places
from cogitate.model.transformer import Transformer
from cogitate.model.visibility import additive


def paged_context(
    model: Transformer, cache: KVCache, table_NB: Tensor, start_N: Tensor, shared_N: Tensor, tokens: int
) -> TokenContext:
    """The context of each row's next tokens; the host need not wait for anything.

    Args:
        table_NB: int64, the blocks of each row, those for the new tokens included.
        start_N: int64, tokens that each row holds before them.
        shared_N: int64, tokens of each row's shared prompt, after which its own begin a block (kv_cache.py).
    """
    device = table_NB.device
    shared_N1 = shared_N[:, None]
    gap_N1 = -shared_N1 % BLOCK  # places between the prompt and what follows it
    new_NT = start_N[:, None] + torch.arange(tokens, device=device)
    slots_NT = new_NT + gap_N1 * (new_NT >= shared_N1)
    places = Places(table_NB.gather(1, slots_NT // BLOCK), slots_NT % BLOCK)
    slots_S = torch.arange(table_NB.shape[1] * BLOCK, device=device)
    own_NS = slots_S >= shared_N1 + gap_N1
    held_NS = slots_S - gap_N1 * own_NS  # the position in each place; those of the gap are told apart below
    used_NS = own_NS | (slots_S < shared_N1)
    distance = new_NT[:, None, :, None] - held_NS[:, None, None]
    seen = (distance >= 0) & used_NS[:, None, None]
    dtype = model.embed_tokens.weight.dtype
    masks: dict[int | None, Tensor | None] = {
        window: additive(seen if window is None else seen & (distance < window), dtype) for window in model.windows | {None}
    }
    return TokenContext(model.rotation_at(new_NT), {}, masks, CacheView(cache, places, None, table_NB))

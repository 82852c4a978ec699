"""Which tokens see which: causal, within a document, on from a shared prompt, within a sliding window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


@dataclass(frozen=True)
class Visibility:
    """What the T queries of each row see, in the three forms that attention reads; each is made when it is first asked for.

    Attributes:
        tokens: T.
        device, dtype: of the mask.
        documents_BT: a token sees earlier tokens of equal id; None: each row is one text. Equal ids stand beside each other.
        shared_prefix: document 0 is seen by the others, too.
        prompts_BT: the document that each token's own goes on from and sees, beside document 0, which both go on from; 0 where
            there is none. None: nowhere.
        window: how many positions back a token sees, itself included; None: all.
        positions_BT: for windows; None: positions count the tokens of a row.
    """

    tokens: int
    device: torch.device
    dtype: torch.dtype
    documents_BT: Tensor | None
    shared_prefix: bool
    window: int | None
    positions_BT: Tensor | None
    prompts_BT: Tensor | None = None

    @property
    def causal(self) -> bool:
        """Whether each token sees all before it and nothing else has to be said."""
        return self.documents_BT is None and (self.window is None or self.window >= self.tokens)

    @cached_property
    def mask(self) -> Tensor | None:
        """Additive, broadcasts to (B, 1, T, T); None stands for plain causal attention."""
        if self.causal:
            return None
        steps_T = torch.arange(self.tokens, device=self.device)
        seen = steps_T[:, None] >= steps_T
        if self.window is not None:
            places = steps_T if self.positions_BT is None else self.positions_BT[:, None]
            seen = seen & (places[..., :, None] - places[..., None, :] < self.window)
        if self.documents_BT is not None:
            keys = self.documents_BT[:, None, None, :]
            same = self.documents_BT[:, None, :, None] == keys
            if self.shared_prefix:
                same = same | (keys == 0)
            if self.prompts_BT is not None:
                same = same | (keys == self.prompts_BT[:, None, :, None])
            seen = seen & same
        return additive(seen, self.dtype)

    @cached_property
    def ranges(self) -> Tensor:
        """int32 (B or 1, T, 5): keys from the first to before the second, from the third to before the fourth, and from the
        fifth up to the query itself."""
        steps_T = torch.arange(self.tokens, device=self.device)
        if self.documents_BT is None:
            own_BT, prefix_B1 = torch.zeros_like(steps_T)[None], torch.zeros_like(steps_T[None, :1])
        else:
            own_BT = steps_T - document_positions(self.documents_BT)
            prefix_B1 = (self.documents_BT == 0).sum(1, keepdim=True) * self.shared_prefix
        prefix_to_BT = torch.minimum(prefix_B1, own_BT)  # the prefix's own tokens see it as their own text
        prefix_from_BT = torch.zeros_like(own_BT)
        if self.documents_BT is None or self.prompts_BT is None:
            prompt_from_BT = prompt_to_BT = torch.zeros_like(own_BT)
        else:
            prompt_from_BT, prompt_to_BT = document_bounds(self.documents_BT, self.prompts_BT)
        if self.window is not None:
            places_BT = steps_T[None] if self.positions_BT is None else self.positions_BT
            seen_from_BT = places_BT - self.window + 1
            prefix_from_BT = torch.minimum(seen_from_BT.clamp_min(0), prefix_to_BT)
            in_prompt_BT = (seen_from_BT - prefix_B1).clamp_min(0)
            prompt_from_BT = torch.minimum(prompt_from_BT + in_prompt_BT, prompt_to_BT)
            own_BT = torch.maximum(own_BT, steps_T - self.window + 1)
        bounds = (prefix_from_BT, prefix_to_BT, prompt_from_BT, prompt_to_BT, own_BT)
        return torch.stack(bounds, dim=-1).to(torch.int32).contiguous()

    @cached_property
    def block_mask(self) -> BlockMask:
        """For flex attention: which blocks of keys each block of queries meets at all, and `ranges` as a function."""
        from torch.nn.attention.flex_attention import create_block_mask  # which imports torch's compiler

        one_row = len(self.ranges) == 1
        prefix_from, prefix_to, prompt_from, prompt_to, own_from = self.ranges.unbind(-1)

        def sees(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            at = (0, query) if one_row else (row, query)
            of_prefix = (key >= prefix_from[at]) & (key < prefix_to[at])
            of_prompt = (key >= prompt_from[at]) & (key < prompt_to[at])
            return of_prefix | of_prompt | ((key >= own_from[at]) & (key <= query))

        rows = None if one_row else len(self.ranges)
        made: BlockMask = create_block_mask(sees, rows, None, self.tokens, self.tokens, device=str(self.device))
        return made


def document_bounds(documents_BT: Tensor, chosen_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Where the documents of the given ids begin and where they have ended, each (B, T); 0 and 0 for id 0."""
    steps_BT = torch.arange(documents_BT.shape[1], device=documents_BT.device).expand_as(documents_BT)
    held_BT = documents_BT.clamp_min(0)  # padding counts as document 0, which is asked for nowhere
    shape = len(documents_BT), documents_BT.shape[1] + 1
    starts = steps_BT.new_full(shape, documents_BT.shape[1]).scatter_reduce(1, held_BT, steps_BT, "amin")
    lengths = steps_BT.new_zeros(shape).scatter_add(1, held_BT, torch.ones_like(steps_BT))
    start_BT, length_BT = (of_documents.gather(1, chosen_BT) for of_documents in (starts, lengths))
    return torch.where(chosen_BT > 0, start_BT, 0), torch.where(chosen_BT > 0, start_BT + length_BT, 0)


def document_positions(documents_BT: Tensor) -> Tensor:
    """0, 1, 2, ... from the start of each run of equal ids."""
    steps_T = torch.arange(documents_BT.shape[1], device=documents_BT.device)
    starts = torch.ones_like(documents_BT, dtype=torch.bool)
    starts[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    return steps_T - torch.where(starts, steps_T, 0).cummax(dim=1).values


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where seen, -inf elsewhere: made once, while a boolean mask would be converted in every layer."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))

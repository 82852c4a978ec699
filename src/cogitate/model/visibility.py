"""Which tokens see which: causal, within a document, on from a shared prompt, within a sliding window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Visibility:
    """What the T queries of each row see, in the two forms that attention reads; each is made when it is first asked for.

    Attributes:
        tokens: T.
        device, dtype: of the mask.
        documents_BT: a token sees earlier tokens of equal id; None: each row is one text. Equal ids stand beside each other.
        shared_prefix: document 0 is seen by the others, too.
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
            seen = seen & (same | (keys == 0) if self.shared_prefix else same)
        return additive(seen, self.dtype)

    @cached_property
    def ranges(self) -> Tensor:
        """int32 (B or 1, T, 3): a query sees keys from the first to before the second, and from the third up to itself."""
        steps_T = torch.arange(self.tokens, device=self.device)
        if self.documents_BT is None:
            own_BT, prompt_B1 = torch.zeros_like(steps_T)[None], torch.zeros_like(steps_T[None, :1])
        else:
            own_BT = steps_T - document_positions(self.documents_BT)
            prompt_B1 = (self.documents_BT == 0).sum(1, keepdim=True) * self.shared_prefix
        prompt_to_BT = torch.minimum(prompt_B1, own_BT)  # the prompt's own tokens see it as their own text
        prompt_from_BT = torch.zeros_like(own_BT)
        if self.window is not None:
            places_BT = steps_T[None] if self.positions_BT is None else self.positions_BT
            prompt_from_BT = torch.minimum((places_BT - self.window + 1).clamp_min(0), prompt_to_BT)
            own_BT = torch.maximum(own_BT, steps_T - self.window + 1)
        return torch.stack((prompt_from_BT, prompt_to_BT, own_BT), dim=-1).to(torch.int32).contiguous()


def document_positions(documents_BT: Tensor) -> Tensor:
    """0, 1, 2, ... from the start of each run of equal ids."""
    steps_T = torch.arange(documents_BT.shape[1], device=documents_BT.device)
    starts = torch.ones_like(documents_BT, dtype=torch.bool)
    starts[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    return steps_T - torch.where(starts, steps_T, 0).cummax(dim=1).values


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where seen, -inf elsewhere: made once, while a boolean mask would be converted in every layer."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))

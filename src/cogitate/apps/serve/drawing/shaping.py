"""Changes of the logits that a request asks for, in the order of vLLM: bias, penalties, then what may be drawn at all.

The temperature, top-p and the draw itself are the engine's (engine/sampling.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Shape:
    """What changes the logits; the defaults change nothing.

    Attributes:
        bias: added, by token.
        presence, frequency: taken off a token that the completion holds: once, and for each time.
        repetition: what logits of tokens of prompt and completion are divided by where positive, else multiplied by (CTRL,
            arXiv:1909.05858).
        top_k: so many of the most likely may be drawn; 0: all.
        min_p: tokens less likely than this share of the most likely one may not be drawn.
        never: tokens that may not be drawn, and `until` so many tokens are there these neither.
    """

    bias: Mapping[int, float] = field(default_factory=dict)
    presence: float = 0.0
    frequency: float = 0.0
    repetition: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    never: tuple[int, ...] = ()
    not_before: tuple[int, tuple[int, ...]] = (0, ())

    @property
    def changes_something(self) -> bool:
        return self != Shape()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A drawn token's log-probability, before any change and at temperature 1, and the likeliest tokens of its place."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


class Grammar(Protocol):
    """What may come next in an answer.

    Attributes:
        failure: why it cannot be followed further; "" while it can.
    """

    failure: str

    def restrict(self, token_ids: np.ndarray, logits_V: Tensor) -> None:
        """Forbid tokens. `token_ids`: of the completion so far."""


class TokenShaper:
    """The engine's Shaper of one completion.

    Args:
        temperature: at which `min_p` compares, as vLLM does.
        top_logprobs: how many of the likeliest tokens are noted; None: no log-probabilities are.
    """

    def __init__(
        self,
        shape: Shape,
        prompt_ids: Sequence[int],
        *,
        temperature: float,
        top_logprobs: int | None = None,
        grammar: Grammar | None = None,
    ):
        self._shape, self._temperature, self._top, self._grammar = shape, temperature, top_logprobs, grammar
        self._bias = None
        if shape.bias:
            self._bias = torch.tensor([*shape.bias]), torch.tensor([*shape.bias.values()], dtype=torch.float32)
        self._prompt = np.unique(np.asarray(prompt_ids, dtype=np.int64)) if shape.repetition != 1.0 else None
        self._noted: deque[Tensor] = deque()  # of the places whose tokens have not been taken

    def shape(self, token_ids: np.ndarray, logits_V: Tensor) -> None:
        shape = self._shape
        if self._top is not None:
            self._noted.append(torch.log_softmax(logits_V.float(), dim=-1))
        if self._bias is not None:
            logits_V[self._bias[0]] += self._bias[1].to(logits_V)
        if self._prompt is not None or shape.presence or shape.frequency:
            self._penalise(token_ids, logits_V)
        if shape.never:
            logits_V[list(shape.never)] = -torch.inf
        if len(token_ids) < shape.not_before[0]:
            logits_V[list(shape.not_before[1])] = -torch.inf
        if self._grammar is not None:
            self._grammar.restrict(token_ids, logits_V)
        if shape.min_p and self._temperature > 0:
            logits_V[logits_V < logits_V.max() + self._temperature * float(np.log(shape.min_p))] = -torch.inf
        if 0 < shape.top_k < len(logits_V):
            logits_V[logits_V < torch.topk(logits_V, shape.top_k).values[-1]] = -torch.inf

    @property
    def failure(self) -> str:
        """Why the completion cannot be gone on with; "" while it can."""
        return "" if self._grammar is None else self._grammar.failure

    def take(self, token: int) -> TokenLogprob | None:
        """The log-probabilities of the next token that was drawn; None where none are noted."""
        if self._top is None:
            return None
        logprobs_V = self._noted.popleft()
        values, tokens = torch.topk(logprobs_V, min(self._top, len(logprobs_V)))
        return TokenLogprob(token, float(logprobs_V[token]), tuple(zip(tokens.tolist(), values.tolist(), strict=True)))

    def _penalise(self, token_ids: np.ndarray, logits_V: Tensor) -> None:
        shape = self._shape
        drawn, counts = np.unique(token_ids.astype(np.int64), return_counts=True)
        if self._prompt is not None:
            seen = torch.from_numpy(np.union1d(drawn, self._prompt))
            at = logits_V[seen]
            logits_V[seen] = torch.where(at > 0, at / shape.repetition, at * shape.repetition)
        if len(drawn) and (shape.presence or shape.frequency):
            off = shape.presence + shape.frequency * torch.from_numpy(counts).to(logits_V)
            logits_V[torch.from_numpy(drawn)] -= off

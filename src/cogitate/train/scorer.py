"""Fixed models that judge given tokens: reference policies, critics and reward models. Implements backend.Scorer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cogitate.errors import ConfigError
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.train.packing import length_batches

BATCH_TOKENS = 8192  # padded tokens of one forward pass

Tokens = Sequence[Sequence[int]]


class ModelScorer:
    """A language model, or one with a value head, that is only read.

    Every call sorts its sequences by length and passes once over them; a sequence's score does not depend on what it is
    batched with, beyond rounding.
    """

    def __init__(self, model: Transformer | ValueModel, *, batch_tokens: int = BATCH_TOKENS):
        self.model = model.eval().requires_grad_(False)
        self.trunk = model.trunk if isinstance(model, ValueModel) else model
        self.batch_tokens = batch_tokens

    def logprobs(self, prompts: Tokens, completions: Tokens) -> list[list[float]]:
        """Log-probability of each completion token at temperature 1."""
        scores: list[list[float]] = [[] for _ in prompts]
        for indices, tokens_BT, hidden_BTD in self._batches(prompts, completions):
            for row, index in enumerate(indices):
                places = slice(len(prompts[index]) - 1, len(prompts[index]) + len(completions[index]) - 1)
                targets_N = tokens_BT[row, places.start + 1 : places.stop + 1]
                scores[index] = self.trunk.logprobs(hidden_BTD[row, places], targets_N)[0].tolist()
        return scores

    def values(self, prompts: Tokens, completions: Tokens) -> list[list[float]]:
        """The critic's value before each completion token is taken."""
        head, scores = self._head(), [[] for _ in prompts]  # type: tuple[ValueModel, list[list[float]]]
        for indices, _, hidden_BTD in self._batches(prompts, completions):
            values_BT = head.values(hidden_BTD)
            for row, index in enumerate(indices):
                first = len(prompts[index]) - 1
                scores[index] = values_BT[row, first : first + len(completions[index])].tolist()
        return scores

    def rewards(self, prompts: Tokens, completions: Tokens) -> list[float]:
        """The reward model's number for each completion: its value at the last token."""
        head, scores = self._head(), [0.0] * len(prompts)
        for indices, tokens_BT, hidden_BTD in self._batches(prompts, completions):
            last_B = torch.tensor([len(prompts[i]) + len(completions[i]) - 1 for i in indices], device=tokens_BT.device)
            rewards_B = head.values(hidden_BTD[torch.arange(len(indices), device=tokens_BT.device), last_B])
            for index, reward in zip(indices, rewards_B.tolist(), strict=True):
                scores[index] = reward
        return scores

    def _head(self) -> ValueModel:
        if not isinstance(self.model, ValueModel):
            raise ConfigError("a model without a value head has neither values nor rewards; load it as a reward model")
        return self.model

    def _batches(self, prompts: Tokens, completions: Tokens) -> Iterator[tuple[tuple[int, ...], Tensor, Tensor]]:
        """Indices, tokens (B, T) and hidden states (B, T, D) of micro-batches of similar length."""
        sequences = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
        if not all(prompts):
            raise ValueError("a prompt is empty: there is no token before its completion")
        longest = max(map(len, sequences), default=1)
        device = next(self.trunk.parameters()).device
        for indices in length_batches([len(s) for s in sequences], max(self.batch_tokens, longest)).batches:
            tokens_BT = padded([sequences[index] for index in indices]).to(device)
            with torch.no_grad():
                yield indices, tokens_BT, self.trunk(tokens_BT)


def padded(sequences: Tokens) -> Tensor:
    """int64 (B, T), zeros to the right of each sequence: in a causal model they change nothing before them."""
    tokens_BT = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        tokens_BT[row, : len(sequence)] = torch.tensor(sequence)
    return tokens_BT

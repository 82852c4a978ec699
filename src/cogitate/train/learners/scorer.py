"""Fixed models that judge given tokens: reference policies, critics and reward models. Implements backend.Scorer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cogitate.errors import ConfigError
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.train.rows.shared_prompts import SharedRows, hidden_at, hidden_of, lay_out, shared_batches
from cogitate.types import Text

BATCH_TOKENS = 8192  # padded tokens of one forward pass
ROW_TOKENS = 512  # a row holds a prompt and completions of it up to about this length

Tokens = Sequence[Sequence[int]]


class ModelScorer:
    """A language model, or one with a value head, that is only read.

    Every call passes once over its texts: equal ones are read once, and a prompt once for several of its completions. A
    completion's score does not depend on what it is batched with, beyond rounding.
    """

    def __init__(self, model: Transformer | ValueModel, *, batch_tokens: int = BATCH_TOKENS):
        self.model = model.eval().requires_grad_(False)
        self.trunk = model.trunk if isinstance(model, ValueModel) else model
        self.batch_tokens = batch_tokens

    def logprobs(self, prompts: Tokens, completions: Tokens) -> list[list[float]]:
        """Log-probability of each completion token at temperature 1."""
        texts, scores = texts_of(prompts, completions), dict[Text, list[float]]()
        for read, rows, hidden_RTD in self._batches(texts):
            for text, span in zip(read, rows.spans, strict=True):
                sources_N, targets_N = torch.from_numpy(span.sources), torch.tensor(text.completion_ids, dtype=torch.long)
                hidden_ND = hidden_at(hidden_RTD, sources_N.to(hidden_RTD.device))
                scores[text] = self.trunk.logprobs(hidden_ND, targets_N.to(hidden_RTD.device))[0].tolist()
        return [scores[text] for text in texts]

    def values(self, prompts: Tokens, completions: Tokens) -> list[list[float]]:
        """The critic's value before each completion token is taken."""
        head, texts, scores = self._head(), texts_of(prompts, completions), dict[Text, list[float]]()
        for read, rows, hidden_RTD in self._batches(texts):
            values = head.values(hidden_RTD).flatten().cpu()
            scores |= {text: values[span.sources].tolist() for text, span in zip(read, rows.spans, strict=True)}
        return [scores[text] for text in texts]

    def rewards(self, prompts: Tokens, completions: Tokens) -> list[float]:
        """The reward model's number for each completion: its value at the last token."""
        head, texts, scores = self._head(), texts_of(prompts, completions), dict[Text, float]()
        for read, rows, hidden_RTD in self._batches(texts):
            rewards_S = head.values(hidden_at(hidden_RTD, rows.last_places.to(hidden_RTD.device)))
            scores |= zip(read, rewards_S.tolist(), strict=True)
        return [scores[text] for text in texts]

    def step_scores(self, prompts: Tokens, completions: Tokens, ends: Tokens) -> list[list[float]]:
        """A process reward model's probability that each step is right: the sigmoid of its value at the step's last token."""
        head, texts, values = self._head(), texts_of(prompts, completions), dict[Text, Tensor]()
        for read, rows, hidden_RTD in self._batches(texts):
            flat = torch.sigmoid(head.values(hidden_RTD).flatten()).cpu()
            values |= {text: flat[span.start : span.stop] for text, span in zip(read, rows.spans, strict=True)}
        return [[float(values[text][end - 1]) for end in each] for text, each in zip(texts, ends, strict=True)]

    def _head(self) -> ValueModel:
        if not isinstance(self.model, ValueModel):
            raise ConfigError("a model without a value head has neither values nor rewards; load it as a reward model")
        return self.model

    def _batches(self, texts: Sequence[Text]) -> Iterator[tuple[list[Text], SharedRows, Tensor]]:
        """The different ones of these texts, the rows they stand in and the hidden states (R, T, D) of these."""
        if not all(text.prompt_ids for text in texts):
            raise ValueError("a prompt is empty: there is no token before its completion")
        different = list(dict.fromkeys(texts))
        for batch in shared_batches(different, row_tokens=ROW_TOKENS, batch_tokens=self.batch_tokens):
            rows = lay_out([[different[index] for index in row] for row in batch])
            with torch.no_grad():
                hidden_RTD = hidden_of(self.trunk, rows)
            yield [different[index] for row in batch for index in row], rows, hidden_RTD


def texts_of(prompts: Tokens, completions: Tokens) -> list[Text]:
    return [Text(tuple(prompt), tuple(completion)) for prompt, completion in zip(prompts, completions, strict=True)]

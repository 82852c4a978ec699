"""Rollouts as arrays in which a prompt stands once for several of its completions.

GRPO's rollouts of a group share their prompt; padded one by one, most tokens of short completions would be copies of it. Here
a row is one prompt followed by completions that all see it but not each other. Losses and gradients are those of separate rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cogitate.train.packing import PADDING, best_fit_rows, length_batches
from cogitate.types import Rollout

COMPLETIONS_PER_PROMPT = 2  # tokens of completions in a row for each of its prompt's, if there are so many


@dataclass(frozen=True, slots=True)
class PromptRows:
    """Some rollouts (S) in R rows of T tokens, and where each completion token (L at most) is predicted from.

    Attributes:
        tokens_RT, documents_RT: the rows; document 0 is the prompt, 1, 2 ... its completions, -1 padding.
        indices: which rollouts these are, in the order of S.
        mask_SL: loss mask, 1 for completion tokens the loss counts; 0 in padding.
        sources_N: flat index into (R, T) of the hidden state that predicts each counted token, in the order of mask_SL.
        targets_N: the tokens predicted.
        sampler_logprobs_SL: from the rollouts, 0 in padding.
    """

    tokens_RT: Tensor
    documents_RT: Tensor
    indices: tuple[int, ...]
    mask_SL: Tensor
    sources_N: Tensor
    targets_N: Tensor
    sampler_logprobs_SL: Tensor

    def to(self, device: torch.device) -> PromptRows:
        tensors = (self.tokens_RT, self.documents_RT, self.mask_SL, self.sources_N, self.targets_N, self.sampler_logprobs_SL)
        tokens, documents, mask, sources, targets, logprobs = (tensor.to(device) for tensor in tensors)
        return PromptRows(tokens, documents, self.indices, mask, sources, targets, logprobs)

    def sources_of(self, hidden_RTD: Tensor) -> Tensor:
        """The hidden states (N, D) that predict the counted tokens.

        All completions of a row have their first token predicted from one place, whose gradient is a sum: index_select adds in
        order, where `hidden[sources]` adds in whatever order threads come, and rounds differently from run to run.
        """
        return hidden_RTD.flatten(0, 1).index_select(0, self.sources_N)


def prompt_rows(rollouts: Sequence[Rollout], *, row_tokens: int, batch_tokens: int) -> list[PromptRows]:
    """All rollouts, in micro-batches of rows of similar length.

    Args:
        row_tokens: a row takes completions until it would be longer than this; but it always has room for one, and for twice
            the prompt's tokens, so that a long prompt is not read again for every few short completions.
        batch_tokens: padded tokens of a micro-batch.
    """
    rows: list[list[int]] = []  # indices of the rollouts of each row
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for index, rollout in enumerate(rollouts):
        by_prompt.setdefault(rollout.prompt_ids, []).append(index)
    for prompt, members in by_prompt.items():
        lengths = [len(rollouts[index].completion_ids) for index in members]
        room = max(row_tokens - len(prompt), COMPLETIONS_PER_PROMPT * len(prompt), *lengths)
        rows += [[members[place] for place in places] for places in best_fit_rows(lengths, room)]
    sizes = [len(rollouts[row[0]].prompt_ids) + sum(len(rollouts[index].completion_ids) for index in row) for row in rows]
    batches = length_batches(sizes, max(batch_tokens, *sizes)).batches
    return [fill([[rollouts[index] for index in rows[row]] for row in batch], [i for row in batch for i in rows[row]])
            for batch in batches]  # fmt: skip


def fill(rows: list[list[Rollout]], indices: list[int]) -> PromptRows:
    """Arrays of rows that each hold rollouts of one prompt."""
    width = max(len(row[0].prompt_ids) + sum(len(r.completion_ids) for r in row) for row in rows)
    longest = max(len(r.completion_ids) for row in rows for r in row)
    tokens_RT = np.zeros((len(rows), width), np.int64)
    documents_RT = np.full((len(rows), width), PADDING, np.int64)
    mask_SL = np.zeros((len(indices), longest), np.float32)
    logprobs_SL = np.zeros((len(indices), longest), np.float32)
    sources: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    sequence = 0
    for number, row in enumerate(rows):
        prompt = row[0].prompt_ids
        tokens_RT[number, : len(prompt)] = prompt
        documents_RT[number, : len(prompt)] = 0
        start = len(prompt)
        for document, rollout in enumerate(row, 1):
            stop = start + len(rollout.completion_ids)
            tokens_RT[number, start:stop] = rollout.completion_ids
            documents_RT[number, start:stop] = document
            places = np.arange(start - 1, stop - 1)
            places[0] = len(prompt) - 1  # the first token of every completion is predicted by the prompt's last
            counted = np.asarray(rollout.loss_mask, bool)
            sources.append((number * width + places)[counted])
            targets.append(np.asarray(rollout.completion_ids, np.int64)[counted])
            mask_SL[sequence, : stop - start] = counted
            logprobs_SL[sequence, : stop - start] = rollout.logprobs
            start, sequence = stop, sequence + 1
    return PromptRows(
        torch.from_numpy(tokens_RT),
        torch.from_numpy(documents_RT),
        tuple(indices),
        torch.from_numpy(mask_SL),
        torch.from_numpy(np.concatenate(sources)),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(logprobs_SL),
    )

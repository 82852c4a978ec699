"""Texts as arrays in which a prompt stands once for several of its completions.

GRPO's rollouts of a group share their prompt, and so do the two sides of a preference; padded one by one, most tokens of short
completions would be copies of it. Here a row is one prompt followed by completions that all see it but not each other. Prompts
that begin alike for long, as with the same worked examples, share that beginning, too. Losses and gradients are those of
separate rows.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from cogitate.device import send
from cogitate.model.transformer import Transformer
from cogitate.train.rows.packing import PADDING, length_batches
from cogitate.types import Rollout

COMPLETIONS_PER_PROMPT = 2  # tokens of completions in a row for each of its prompt's, if there are so many
LEAST_SHARED = 128  # tokens that different prompts must begin with to share a row: fewer are not worth the longer rows


class Completed(Protocol):
    """A prompt, of one token at least, and one of its completions."""

    @property
    def prompt_ids(self) -> tuple[int, ...]: ...
    @property
    def completion_ids(self) -> tuple[int, ...]: ...


class Span(NamedTuple):
    """Where a completion stands in the flattened rows."""

    prompt_end: int  # the last token of its prompt
    start: int
    stop: int

    @property
    def last(self) -> int:
        """Its last token; the prompt's where it is empty."""
        return self.stop - 1 if self.stop > self.start else self.prompt_end

    @property
    def sources(self) -> np.ndarray:
        """The places that its tokens are predicted from: the prompt's last token, then all of its own but the last."""
        places = np.arange(self.start - 1, self.stop - 1)
        places[:1] = self.prompt_end
        return places


@dataclass(frozen=True, slots=True)
class SharedRows:
    """Completions (S) in R rows of T tokens.

    Attributes:
        tokens_RT, documents_RT: document 0 is the prompt, 1, 2 ... its completions, -1 padding: what a model reads with
            `shared_prefix`. In a row of several prompts it is what they begin with; a document each is the rest of them.
        prompts_RT: in completions of such rows the document of their prompt's rest, else 0; None: there are no such rows.
        spans: of each completion, in the order of S.
    """

    tokens_RT: Tensor
    documents_RT: Tensor
    prompts_RT: Tensor | None
    spans: tuple[Span, ...]

    @property
    def last_places(self) -> Tensor:
        """Flat place of the last token of each completion, (S,)."""
        return torch.tensor([span.last for span in self.spans])


@dataclass(frozen=True, slots=True)
class PromptRows:
    """Some rollouts (S) in R rows of T tokens, and where each completion token (L at most) is predicted from.

    Attributes:
        tokens_RT, documents_RT, prompts_RT: as in SharedRows.
        indices: which rollouts these are, in the order of S.
        mask_SL: loss mask, 1 for completion tokens the loss counts; 0 in padding.
        sources_N: flat index into (R, T) of the hidden state that predicts each counted token, in the order of mask_SL.
        targets_N: the tokens predicted.
        counted_N: flat index into (S, L) of each counted token, in the same order.
        sequences: how many rollouts have any.
        sampler_logprobs_SL: from the rollouts, 0 in padding.
    """

    tokens_RT: Tensor
    documents_RT: Tensor
    prompts_RT: Tensor | None
    indices: tuple[int, ...]
    mask_SL: Tensor
    sources_N: Tensor
    targets_N: Tensor
    counted_N: Tensor
    sampler_logprobs_SL: Tensor
    sequences: int

    def to(self, device: torch.device) -> PromptRows:
        of_all: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: send(value, device) for name, value in of_all.items() if isinstance(value, Tensor)}
        return PromptRows(**(of_all | tensors))

    def spread(self, values_N: Tensor) -> Tensor:
        """Values of the counted tokens as (S, L), 0 elsewhere."""
        flat = torch.zeros_like(self.mask_SL).flatten().index_copy(0, self.counted_N, values_N)
        return flat.view_as(self.mask_SL)

    def counted(self, values_SL: Tensor) -> Tensor:
        """The inverse: those of the counted tokens, (N,)."""
        return values_SL.flatten().index_select(0, self.counted_N)

    def sources_of(self, hidden_RTD: Tensor) -> Tensor:
        """The hidden states (N, D) that predict the counted tokens."""
        return hidden_at(hidden_RTD, self.sources_N)


def hidden_of(model: Transformer, rows: SharedRows | PromptRows) -> Tensor:
    """The hidden states (R, T, D) that a model has of rows."""
    device = model.embed_tokens.weight.device
    prompts = None if rows.prompts_RT is None else send(rows.prompts_RT, device)
    documents = send(rows.documents_RT, device)
    hidden_RTD: Tensor = model(send(rows.tokens_RT, device), documents_BT=documents, shared_prefix=True, prompts_BT=prompts)
    return hidden_RTD


def hidden_at(hidden_RTD: Tensor, places_N: Tensor) -> Tensor:
    """The hidden states (N, D) at flat places of the rows.

    All completions of a row have their first token predicted from one place, whose gradient is a sum: on a CPU index_select
    adds in order, where `hidden[places]` adds in whatever order threads come, and rounds differently from run to run. With
    CUDA it needs torch's deterministic algorithms for that.
    """
    return hidden_RTD.flatten(0, 1).index_select(0, places_N)


def prompt_rows(rollouts: Sequence[Rollout], *, row_tokens: int, batch_tokens: int) -> list[PromptRows]:
    """All rollouts, in micro-batches of rows of similar length.

    Args:
        row_tokens, batch_tokens: as for `shared_batches`.
    """
    batches = shared_batches(rollouts, row_tokens=row_tokens, batch_tokens=batch_tokens)
    return [fill([[rollouts[index] for index in row] for row in batch], [i for row in batch for i in row]) for batch in batches]


def shared_batches(texts: Sequence[Completed], *, row_tokens: int, batch_tokens: int) -> list[list[list[int]]]:
    """Micro-batches of rows of texts, by their index: each row's have the same prompt, or prompts that begin alike where all do
    for long; the rows of a batch have similar length.

    Args:
        row_tokens: a row takes completions until it would be longer than this; but it always has room for one, and for twice
            the prompt's tokens, so that a long prompt is not read again for every few short completions.
        batch_tokens: padded tokens of a micro-batch; rows of prompts that begin alike may be as long.
    """
    rows: list[list[int]] = []
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for index, text in enumerate(texts):
        by_prompt.setdefault(tuple(text.prompt_ids), []).append(index)
    for prompt, members in by_prompt.items():
        lengths = [len(texts[index].completion_ids) for index in members]
        room = max(row_tokens - len(prompt), COMPLETIONS_PER_PROMPT * len(prompt), *lengths)
        rows += [[members[place] for place in places] for places in even_rows(lengths, room)]
    if prefix := shared_beginning(list(by_prompt)):
        lengths = [size - prefix for size in row_sizes([[texts[index] for index in row] for row in rows])]
        together = even_rows(lengths, max(batch_tokens - prefix, *lengths))
        rows = [[index for place in places for index in rows[place]] for places in together]
    sizes = row_sizes([[texts[index] for index in row] for row in rows])
    batches = length_batches(sizes, max(batch_tokens, *sizes)).batches if sizes else ()
    return [[rows[row] for row in batch] for batch in batches]


def shared_beginning(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens at the beginning of different prompts stand in a row once for all of them; 0 where these are too few."""
    prefix = common_beginning(prompts) if len(prompts) > 1 else 0
    return prefix if prefix >= LEAST_SHARED else 0


def tokens_of_prompts(prompts: Sequence[tuple[int, ...]], count: int) -> float:
    """Tokens to be read of `count` prompts such as these, what they begin with once."""
    begin = shared_beginning(prompts)
    return begin + count * (fmean(map(len, prompts)) - begin)


def common_beginning(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens different prompts begin with, such that a token at least is left of each; all of a single one."""
    first, last = min(prompts), max(prompts)  # all others are between them in the order of dictionaries
    if first == last:
        return len(first)
    same = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return min(same, *(len(prompt) - 1 for prompt in prompts))


def even_rows(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Spread completions over as few rows of at most `room` tokens as come out about equally long (each, longest first, into
    the shortest row): a short last row would be padded to the long ones."""
    longest_first = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    for count in range(max(1, -(-sum(lengths) // room)), len(lengths) + 1):
        rows: list[list[int]] = [[] for _ in range(count)]
        shortest_first = [(0, row) for row in range(count)]
        for index in longest_first:
            size, row = shortest_first[0]
            rows[row].append(index)
            heapq.heapreplace(shortest_first, (size + lengths[index], row))
        if max(shortest_first)[0] <= room:
            return [sorted(row) for row in rows]
    raise ValueError(f"a completion is longer than the {room} tokens of a row")


def row_sizes(rows: Sequence[Sequence[Completed]]) -> list[int]:
    """Tokens of each row: what its prompts begin with, the rest of each prompt, and the completions."""
    sizes = []
    for row in rows:
        prompts = prompts_of(row)
        begin = common_beginning(prompts)
        sizes.append(begin + sum(len(p) - begin for p in prompts) + sum(len(text.completion_ids) for text in row))
    return sizes


def prompts_of(row: Iterable[Completed]) -> list[tuple[int, ...]]:
    """The different prompts of a row, in the order of its texts."""
    return list(dict.fromkeys(text.prompt_ids for text in row))


def lay_out(rows: Sequence[Sequence[Completed]]) -> SharedRows:
    """Arrays of rows that each hold texts of one prompt, or of several, those of each beside each other."""
    width = max(row_sizes(rows))
    tokens_RT = np.zeros((len(rows), width), np.int64)
    documents_RT = np.full((len(rows), width), PADDING, np.int64)
    prompts_RT = np.zeros((len(rows), width), np.int64)
    spans = []
    for number, row in enumerate(rows):
        begin, prefix = number * width, common_beginning(prompts_of(row))
        tokens_RT[number, :prefix] = row[0].prompt_ids[:prefix]
        documents_RT[number, :prefix] = 0
        start, document, prompt_document, prompt = prefix, 0, 0, None
        for text in row:
            if text.prompt_ids != prompt:
                prompt, rest = text.prompt_ids, text.prompt_ids[prefix:]
                prompt_end = begin + start + len(rest) - 1
                if rest:
                    document = prompt_document = document + 1
                    stop = start + len(rest)
                    tokens_RT[number, start:stop], documents_RT[number, start:stop] = rest, document
                    start = stop
            document, stop = document + 1, start + len(text.completion_ids)
            tokens_RT[number, start:stop] = text.completion_ids
            documents_RT[number, start:stop] = document
            prompts_RT[number, start:stop] = prompt_document
            spans.append(Span(prompt_end, begin + start, begin + stop))
            start = stop
    prompts = torch.from_numpy(prompts_RT) if prompts_RT.any() else None
    return SharedRows(torch.from_numpy(tokens_RT), torch.from_numpy(documents_RT), prompts, tuple(spans))


def fill(rows: Sequence[Sequence[Rollout]], indices: Sequence[int]) -> PromptRows:
    """The arrays of rows of rollouts."""
    shared = lay_out(rows)
    rollouts = [rollout for row in rows for rollout in row]
    shape = (len(rollouts), max(len(rollout.completion_ids) for rollout in rollouts))
    mask_SL, logprobs_SL = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    sources: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    for sequence, (rollout, span) in enumerate(zip(rollouts, shared.spans, strict=True)):
        counted = np.asarray(rollout.loss_mask, bool)
        sources.append(span.sources[counted])
        targets.append(np.asarray(rollout.completion_ids, np.int64)[counted])
        mask_SL[sequence, : len(counted)] = counted
        logprobs_SL[sequence, : len(counted)] = rollout.logprobs
    return PromptRows(
        shared.tokens_RT,
        shared.documents_RT,
        shared.prompts_RT,
        tuple(indices),
        torch.from_numpy(mask_SL),
        torch.from_numpy(np.concatenate(sources)),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.flatnonzero(mask_SL)),
        torch.from_numpy(logprobs_SL),
        int(mask_SL.any(1).sum()),
    )

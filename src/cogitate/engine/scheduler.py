"""Who is decoded next: requests wait, their prompts are prefilled once, their completions take free rows in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cogitate.backend import GenerationRequest
from cogitate.errors import DataError

MOST_TEMPERATURE = torch.finfo(torch.float32).max  # rows of logits are divided in float32


@dataclass(slots=True, eq=False)
class Group:
    """A request and what is left to start of it.

    Attributes:
        number: requests are numbered as they come.
        next_seed: index of the first seed that has not been started.
        prompt_row: the cache row that holds the prompt; None until it is prefilled.
        logits_V: of the token after the prompt.
        hidden_D: the hidden state at the end of the prompt, where completions are drafted.
        shared: tokens of what it goes on from that had not to be computed.
        on_read: called with these once all is read.
    """

    request: GenerationRequest
    number: int
    next_seed: int = 0
    prompt_row: int | None = None
    logits_V: Tensor | None = None
    hidden_D: Tensor | None = None
    shared: int = 0
    on_read: Callable[[int], None] = lambda shared: None

    @property
    def unstarted(self) -> int:
        return len(self.request.seeds) - self.next_seed


@dataclass(frozen=True, slots=True)
class Started:
    """Completions that have just been given their rows.

    Attributes:
        seed_indices: which seeds of the request.
        rows: a cache row for each.
    """

    group: Group
    seed_indices: range
    rows: list[int]


MOST_PIECES = 8


class Scheduler:
    """Bookkeeping alone; it never touches a model.

    Attributes:
        waiting: groups whose prompt has to be prefilled; the first may have a row that holds a part of it.
        ready: groups whose prompt is prefilled and that have completions to start.
        unstarted: completions of both.
    """

    def __init__(self, rows: int, prompt_rows: int):
        self.waiting: deque[Group] = deque()
        self.ready: deque[Group] = deque()
        self.unstarted = 0
        self.free_rows = list(range(rows - 1, -1, -1))
        self._free_prompt_rows = list(range(rows + prompt_rows - 1, rows - 1, -1))
        self._submitted = 0

    def submit(self, request: GenerationRequest, on_read: Callable[[int], None] | None = None) -> None:
        group = Group(request, self._submitted)
        self.waiting.append(group if on_read is None else replace(group, on_read=on_read))
        self._submitted += 1
        self.unstarted += len(request.seeds)

    def to_prefill(self, token_budget: int) -> list[Group]:
        """Groups whose prompts are to be prefilled now, in one right-padded batch of at most `token_budget` tokens (at least
        one prompt). None while those that are ready fill the free rows; else as many as fit, so that later ones need not
        be prefilled one by one. Each is given a prompt row."""
        if sum(group.unstarted for group in self.ready) >= len(self.free_rows):
            return []
        chosen: list[Group] = []
        longest = 0
        while self.waiting and (self.waiting[0].prompt_row is not None or self._free_prompt_rows):
            longest = max(longest, len(self.waiting[0].request.context_ids))
            if chosen and longest * (len(chosen) + 1) > token_budget:
                break
            group = self.waiting.popleft()
            group.prompt_row = self._free_prompt_rows.pop() if group.prompt_row is None else group.prompt_row
            chosen.append(group)
        self.ready.extend(chosen)
        return chosen

    def to_read(self, piece: int, running: int) -> int:
        """How many tokens of prompts a step reads: a `piece` that running completions wait for gladly, and where more requests
        could start than completions run, as many times more as there are more of them, up to MOST_PIECES: what a step takes
        longer, each running one waits, and each of the others waits less."""
        could_start = min(self.unstarted, len(self.free_rows))
        return piece * max(1, min(MOST_PIECES, could_start // running if running else MOST_PIECES))

    def note_read(self, groups: Sequence[Group], whole: int) -> None:
        """So many of these, the last that were to be prefilled, are whole. Others keep their rows and come first next time."""
        for group in reversed(groups[whole:]):
            assert self.ready.pop() is group
            self.waiting.appendleft(group)
        for group in groups[:whole]:
            group.on_read(group.shared)

    def start(self) -> list[Started]:
        """Give free rows to the completions that are next, group by group."""
        started = []
        while self.ready and self.free_rows:
            group = self.ready[0]
            count = min(group.unstarted, len(self.free_rows))
            rows = [self.free_rows.pop() for _ in range(count)]
            started.append(Started(group, range(group.next_seed, group.next_seed + count), rows))
            group.next_seed += count
            self.unstarted -= count
            if not group.unstarted:
                self.ready.popleft()
        return started

    def release_prompt(self, group: Group) -> int | None:
        """The group no longer needs its prompt's row (returned), which may be given to another."""
        row, group.prompt_row, group.logits_V, group.hidden_D, group.shared = group.prompt_row, None, None, None, 0
        if row is not None:
            self._free_prompt_rows.append(row)
        return row

    def requeue(self) -> list[Group]:
        """Groups that are not fully started have to be prefilled again, before all others: the weights have changed. Those
        that have a row."""
        groups = [*self.ready, *(group for group in self.waiting if group.prompt_row is not None)]
        self.waiting.extendleft(reversed(self.ready))
        self.ready.clear()
        return groups

    def withdraw(self, ids: set[str]) -> list[Group]:
        """Take these requests out of the queues; the groups taken, in the order of submission."""
        taken = [group for queue in (self.ready, self.waiting) for group in queue if group.request.id in ids]
        for queue in (self.ready, self.waiting):
            kept = [group for group in queue if group.request.id not in ids]
            queue.clear()
            queue.extend(kept)
        self.unstarted -= sum(group.unstarted for group in taken)
        return sorted(taken, key=lambda group: group.number)


def request_fault(request: GenerationRequest, vocabulary: int, max_context: int) -> str | None:
    """Why a request cannot be fulfilled; None where it can."""
    prompt, params = len(request.context_ids), request.params
    foreign = [token for token in request.context_ids if not 0 <= token < vocabulary]
    if not request.prompt_ids:
        return "the prompt is empty: give at least one token"
    if foreign:
        return f"token {foreign[0]} of the prompt is none of the model's {vocabulary}: is the tokenizer another model's?"
    if params.max_new_tokens < 1:
        return f"max_new_tokens = {params.max_new_tokens}: must be at least 1"
    if prompt + params.max_new_tokens > max_context:
        return (
            f"a prompt of {prompt} tokens and max_new_tokens = {params.max_new_tokens} do not fit the context of "
            f"{max_context}: shorten the prompt or lower max_new_tokens"
        )
    if request.pause_ids and request.thinking is not None:
        return "pause_ids and a thinking budget exclude each other: a budget may take tokens back; leave one out"
    if not params.temperature >= 0:
        return f"temperature = {params.temperature}: must not be negative"
    if params.temperature > MOST_TEMPERATURE:
        return f"temperature = {params.temperature}: must be at most {MOST_TEMPERATURE:.3g}"
    if not 0 < params.top_p <= 1:
        return f"top_p = {params.top_p}: must be above 0 and at most 1"
    if large := [seed for seed in request.seeds if not -(2**63) <= seed < 2**63]:
        return f"seed = {large[0]}: must fit in 64 bits, from -2^63 to 2^63 - 1"
    return None


def check_room(max_batch: int, max_context: int | None, limit: int) -> None:
    """Raises DataError for an engine without room for a completion, or for more tokens than the model's `limit`."""
    if max_context is not None and not 2 <= max_context <= limit:
        raise DataError(f"max_context = {max_context}: must be from 2 to the model's max_position_embeddings, {limit}")
    if max_batch < 1:
        raise DataError(f"max_batch = {max_batch}: must be at least 1")

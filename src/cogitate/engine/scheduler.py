"""Who is decoded next: requests wait, their prompts are prefilled once, their completions take the free slots in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from torch import Tensor

from cogitate.backend import GenerationRequest
from cogitate.types import Completion, FinishReason


@dataclass(slots=True, eq=False)
class Group:
    """A request and what is left to start of it.

    Attributes:
        number: requests are numbered as they come; completions are returned in the order of (number, index of the seed).
        next_seed: index of the first seed that has not been started.
        prompt_row: the cache row that holds the prompt; None until it is prefilled.
        logits_V: of the token after the prompt.
    """

    request: GenerationRequest
    number: int
    next_seed: int = 0
    prompt_row: int | None = None
    logits_V: Tensor | None = None

    @property
    def unstarted(self) -> int:
        return len(self.request.seeds) - self.next_seed


@dataclass(slots=True, eq=False)
class Sequence:
    """A completion that is being drawn."""

    request: GenerationRequest
    order: tuple[int, int]
    seed: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    weight_versions: list[list[int]] = field(default_factory=list)

    def append(self, token: int, logprob: float, version: int) -> None:
        self.token_ids.append(token)
        self.logprobs.append(logprob)
        if self.weight_versions and self.weight_versions[-1][0] == version:
            self.weight_versions[-1][1] += 1
        else:
            self.weight_versions.append([version, 1])

    def completion(self, finish_reason: FinishReason) -> Completion:
        versions = tuple((version, tokens) for version, tokens in self.weight_versions)
        return Completion(self.request.id, tuple(self.token_ids), tuple(self.logprobs), finish_reason, versions, self.seed)


@dataclass(frozen=True, slots=True)
class Started:
    """Completions of one group that have just been given their slots."""

    prompt_row: int
    logits_V: Tensor
    members: list[tuple[int, Sequence]]


class Scheduler:
    """Bookkeeping alone; it never touches a model.

    Attributes:
        waiting: groups whose prompt has to be prefilled.
        ready: groups whose prompt is prefilled and that have completions to start.
        running: the sequence in each slot, None where it is free.
    """

    def __init__(self, slots: int, prompt_rows: int):
        self.waiting: deque[Group] = deque()
        self.ready: deque[Group] = deque()
        self.running: list[Sequence | None] = [None] * slots
        self.free_slots = list(range(slots - 1, -1, -1))
        self.free_prompt_rows = list(range(prompt_rows - 1, -1, -1))
        self._submitted = 0

    def submit(self, request: GenerationRequest) -> None:
        self.waiting.append(Group(request, self._submitted))
        self._submitted += 1

    def pending(self) -> int:
        return len(self.active()) + sum(group.unstarted for group in (*self.waiting, *self.ready))

    def active(self) -> list[tuple[int, Sequence]]:
        """Occupied slots and their sequences."""
        return [(slot, sequence) for slot, sequence in enumerate(self.running) if sequence is not None]

    def ids(self) -> set[str]:
        """Ids of all requests with completions not yet returned."""
        queued = {group.request.id for group in (*self.waiting, *self.ready)}
        return queued | {sequence.request.id for _, sequence in self.active()}

    def to_prefill(self, token_budget: int) -> list[Group]:
        """Groups whose prompts are to be prefilled now, in one batch of at most `token_budget` tokens (at least one prompt);
        none while those that are ready fill the free slots. Each is given a prompt row."""
        if sum(group.unstarted for group in self.ready) >= len(self.free_slots):
            return []
        chosen: list[Group] = []
        longest = 0
        while self.waiting and self.free_prompt_rows:
            longest = max(longest, len(self.waiting[0].request.prompt_ids))
            if chosen and longest * (len(chosen) + 1) > token_budget:
                break
            group = self.waiting.popleft()
            group.prompt_row = self.free_prompt_rows.pop()
            chosen.append(group)
        self.ready.extend(chosen)
        return chosen

    def start(self) -> list[Started]:
        """Give free slots to the completions that are next, group by group. A prompt row that is released here may be
        overwritten by the next prefill."""
        started = []
        while self.ready and self.free_slots:
            group = self.ready[0]
            members = []
            while self.free_slots and group.unstarted:
                index = group.next_seed
                sequence = Sequence(group.request, (group.number, index), group.request.seeds[index])
                group.next_seed += 1
                slot = self.free_slots.pop()
                self.running[slot] = sequence
                members.append((slot, sequence))
            assert group.prompt_row is not None
            assert group.logits_V is not None, f"request {group.request.id} is not prefilled"
            started.append(Started(group.prompt_row, group.logits_V, members))
            if not group.unstarted:
                self._release_prompt(self.ready.popleft())
        return started

    def finish(self, slot: int) -> Sequence:
        sequence = self.running[slot]
        assert sequence is not None, f"slot {slot} is free"
        self.running[slot] = None
        self.free_slots.append(slot)
        return sequence

    def forget_prompts(self) -> None:
        """Prompts whose group is not fully started have to be prefilled again: the weights have changed."""
        while self.ready:
            group = self.ready.pop()
            self._release_prompt(group)
            self.waiting.appendleft(group)

    def abort(self, ids: set[str]) -> list[Sequence]:
        """Drop these requests; their completions so far, the unstarted ones empty, in the order of submission."""
        stopped = [self.finish(slot) for slot, sequence in self.active() if sequence.request.id in ids]
        for queue in (self.waiting, self.ready):
            for group in [group for group in queue if group.request.id in ids]:
                queue.remove(group)
                self._release_prompt(group)
                for index in range(group.next_seed, len(group.request.seeds)):
                    stopped.append(Sequence(group.request, (group.number, index), group.request.seeds[index]))
        return sorted(stopped, key=lambda sequence: sequence.order)

    def _release_prompt(self, group: Group) -> None:
        if group.prompt_row is not None:
            self.free_prompt_rows.append(group.prompt_row)
        group.prompt_row = group.logits_V = None

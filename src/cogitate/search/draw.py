"""Continuations from the policy, of many problems and branches at a time: whole completions, or up to the end of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cogitate.backend import GenerationRequest, Generator, Grader
from cogitate.tokenizer.steps import StepReader
from cogitate.train.rollouts import opens_thinking
from cogitate.types import Completion, Problem, SamplingParams, Verdict


@dataclass(frozen=True, slots=True)
class Draw:
    """Continuations to be drawn from one beginning, one for each seed.

    Attributes:
        given_ids: the completion so far.
        max_new_tokens: beyond what is given.
        step_tokens: 0: to the end; else to the end of the step, or of so many tokens.
    """

    prompt_ids: tuple[int, ...]
    given_ids: tuple[int, ...]
    seeds: tuple[int, ...]
    max_new_tokens: int
    temperature: float = 1.0
    step_tokens: int = 0


class Drawn(NamedTuple):
    """One continuation.

    Attributes:
        token_ids: without those that were given.
        logprob: of all of them together.
        finished: an end token, or the limit of the whole completion; else a step has ended.
        cut: finished by the limit.
        logprobs: of each token.
    """

    token_ids: tuple[int, ...]
    logprob: float
    finished: bool
    cut: bool = False
    logprobs: tuple[float, ...] = ()


class Sampler:
    """Draws from one policy. A continuation depends on its seed and its beginning, not on what is drawn beside it.

    Attributes:
        tokens: sampled so far.
    """

    def __init__(
        self, generator: Generator, reader: StepReader, *, top_p: float = 1.0, on_wait: Callable[[], None] = lambda: None
    ):
        """
        Args:
            on_wait: called again and again while one has to wait; it may raise to end everything.
        """
        self.generator, self.reader, self.top_p, self._on_wait = generator, reader, top_p, on_wait
        self.tokens = 0

    def draw(self, draws: Sequence[Draw]) -> list[list[Drawn]]:
        """For each of `draws` its continuations, in the order of its seeds, which must differ."""
        found: dict[tuple[int, int], Drawn] = {}
        begun: dict[tuple[int, int], Drawn] = {}
        for number, draw in enumerate(draws):
            self._submit(number, draw, draw.seeds, ())
        while self.generator.pending():
            self._on_wait()
            for completion in self.generator.poll():
                number = int(completion.request_id.partition("/")[0])
                key = (number, completion.seed)
                drawn = self._extended(draws[number], begun.get(key, Drawn((), 0.0, finished=False)), completion)
                if self._goes_on(draws[number], drawn, completion):
                    begun[key] = drawn
                    self._submit(number, draws[number], (completion.seed,), drawn.token_ids)
                else:
                    found[key] = drawn
        return [[found[number, seed] for seed in draw.seeds] for number, draw in enumerate(draws)]

    def _submit(self, number: int, draw: Draw, seeds: tuple[int, ...], drawn: tuple[int, ...]) -> None:
        given = (*draw.given_ids, *drawn)
        limit, pause_ids = draw.max_new_tokens - len(drawn), frozenset[int]()
        if draw.step_tokens and not self.reader.closes(given):
            limit, pause_ids = min(limit, draw.step_tokens - len(drawn)), self.reader.pause_ids
        request_id = f"{number}/{seeds[0]}" if drawn else str(number)
        params = SamplingParams(draw.temperature, self.top_p, limit)
        self.generator.submit(GenerationRequest(request_id, draw.prompt_ids, params, seeds, given, pause_ids=pause_ids))

    def _extended(self, draw: Draw, before: Drawn, completion: Completion) -> Drawn:
        self.tokens += len(completion.token_ids)
        ids = (*before.token_ids, *completion.token_ids)
        stopped = completion.finish_reason == "stop"
        cut = not stopped and len(ids) >= draw.max_new_tokens
        logprobs = (*before.logprobs, *completion.logprobs)
        return Drawn(ids, before.logprob + sum(completion.logprobs), stopped or cut, cut, logprobs)

    def _goes_on(self, draw: Draw, drawn: Drawn, completion: Completion) -> bool:
        """Whether the step has not ended: at a token that only might have ended it, or where a pause or the limit of a step
        cuts an answer, which is one step."""
        if drawn.finished or not draw.step_tokens:
            return False
        if self.reader.closes((*draw.given_ids, *drawn.token_ids)):
            return True
        paused = completion.finish_reason == "pause"
        return paused and len(drawn.token_ids) < draw.step_tokens and not self.reader.ends_step(drawn.token_ids)


class Judge:
    """Grades whole completions of one way of asking."""

    def __init__(self, grader: Grader, reader: StepReader, contract: str, *, on_wait: Callable[[], None] = lambda: None):
        self.grader, self.reader, self.contract, self._on_wait = grader, reader, contract, on_wait

    def verdicts(self, completions: Sequence[tuple[Problem, tuple[int, ...], tuple[int, ...]]]) -> list[Verdict]:
        """Of each (problem, prompt, completion), the latter two as token ids. Equal ones are graded once."""
        order: dict[tuple[str, str, str], int] = {}
        numbers = []
        for problem, prompt_ids, completion_ids in completions:
            text = self.text(prompt_ids, completion_ids)
            key = (problem.task, problem.id, text)
            if key not in order:
                self.grader.submit(str(len(order)), problem, text, self.contract)
                order[key] = len(order)
            numbers.append(order[key])
        found: dict[str, Verdict] = {}
        while self.grader.pending():
            self._on_wait()
            found.update(self.grader.poll(timeout=1.0))
        return [found[str(number)] for number in numbers]

    def text(self, prompt_ids: Sequence[int], completion_ids: Sequence[int]) -> str:
        """The completion as a reader sees it: in R1's tags, with the one by which its prompt has opened the thinking."""
        tokenizer = self.reader.tokenizer
        opened = tokenizer.tags.thinking[0] if opens_thinking(prompt_ids, tokenizer) else ""
        return tokenizer.tags.exchange(opened + tokenizer.decode(completion_ids))

"""A policy that says three steps, each good (a) or bad (b) as its seed has it, and then how many were good."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from cogitate.backend import GenerationRequest, Generator
from cogitate.runtime import derive_seed
from cogitate.search.draw import Judge, Sampler
from cogitate.search.scoring import Reading, SolutionScorer
from cogitate.search.work import Question, Workers
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.tokenizer.steps import StepReader
from cogitate.types import Completion, FinishReason, Problem
from tests.recipe.scripted_backend import InlineGrader

STEPS = 3
TEXT = "<think> a. b. a. </think> <answer> 2 </answer>"
TOKENIZER: Tokenizer = train_tokenizer([TEXT] * 20, 300)
PROBLEM = Problem("three", "toy", "math", "How many?", gold="3")


class ToyPolicy:
    """Good with the share `good`. Keeps what it was asked."""

    max_context = 10_000
    version = 0

    def __init__(self, good: float = 0.5):
        self.good = good
        self.waiting: list[tuple[GenerationRequest, int]] = []
        self.sampled = 0

    def submit(self, request: GenerationRequest) -> None:
        self.waiting += [(request, seed) for seed in request.seeds]

    def pending(self) -> int:
        return len(self.waiting)

    def poll(self) -> list[Completion]:
        request, seed = self.waiting.pop()  # the last one first: nothing may depend on the order
        said: list[int] = []
        reason: FinishReason = "length"
        for token in self.rest(request.given_ids, seed):
            said.append(token)
            if token == TOKENIZER.end_id:
                reason = "stop"
                break
            if token in request.pause_ids:
                reason = "pause"
                break
            if len(said) == request.params.max_new_tokens:
                break
        self.sampled += len(said)
        return [Completion(request.id, tuple(said), (-0.1,) * len(said), reason, ((0, len(said)),), seed)]

    def rest(self, given_ids: Sequence[int], seed: int) -> list[int]:
        """The tokens after what is given."""
        ids: list[int] = []
        steps = [letter == "a" for letter in re.findall(r"([ab])\.", TOKENIZER.decode(given_ids))]
        steps += [derive_seed(seed, step) % 1000 < 1000 * self.good for step in range(len(steps), STEPS)]
        for is_good in steps:
            ids += TOKENIZER.encode(" a." if is_good else " b.")
        whole = [*ids, *TOKENIZER.encode(f" </think> <answer> {sum(steps)} </answer>"), TOKENIZER.end_id]
        return whole[len(given_ids) :]


class ToyScorer:
    """Finds every bad step; counts what it has read."""

    aggregate = "minimum"
    steps = "sentences"

    def __init__(self) -> None:
        self.read = 0

    def step_scores(self, readings: Sequence[Reading]) -> list[list[float]]:
        self.read += len(readings)
        return [
            [0.1 if "b" in TOKENIZER.decode(each.completion_ids[:end]).partition("</think>")[0] else 0.9 for end in each.ends]
            for each in readings
        ]

    def solution_score(self, step_scores: Sequence[float]) -> float:
        return min(step_scores)


def workers(policy: Any, *, scorer: Any = None, weight: float = 0.5) -> Workers:
    reader = StepReader(TOKENIZER)
    judge = Judge(InlineGrader(), reader, "r1")
    return Workers(Sampler(cast(Generator, policy), reader), judge, cast(SolutionScorer, scorer), weight)


def question(seed: int = 0) -> Question:
    return Question(
        PROBLEM.question, tuple(TOKENIZER.encode("How many? <think>")), derive_seed(seed, "toy"), StepReader(TOKENIZER)
    )

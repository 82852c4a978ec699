"""Searches of many problems at a time: each says what it needs next, and what all of them need is done together.

A search is a generator: it yields work, and is sent the result. So a method reads like a search of one problem, while the
engine draws for all problems at once, and a model reads what all of them want judged.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cogitate.evals.evaluate import vote_of
from cogitate.search.draw import Draw, Drawn, Judge, Sampler
from cogitate.search.scoring import Reading, SolutionScorer
from cogitate.search.tree import Node, Tree
from cogitate.tokenizer.steps import StepReader
from cogitate.types import Problem, Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """A problem as a search sees it: without what its answer should be.

    Attributes:
        text: what is asked.
        seed: of all draws of this problem.
        reader: of the policy's steps.
    """

    text: str
    prompt_ids: tuple[int, ...]
    seed: int
    reader: StepReader


@dataclass(frozen=True, slots=True)
class Draws:
    """Continuations to be drawn.

    Attributes:
        own_prompts: no other method reads their prompts, so reading them is a cost of this one.
    """

    draws: Sequence[Draw]
    own_prompts: bool = False


@dataclass(frozen=True, slots=True)
class Readings:
    """Texts whose steps are to be judged."""

    readings: Sequence[Reading]


@dataclass(frozen=True, slots=True)
class Answers:
    """Completions whose answers are to be found."""

    completions: Sequence[tuple[int, ...]]


Work = Draws | Readings | Answers
T = TypeVar("T")
Steps = Generator[Work, Any, T]


def draw(draws: Sequence[Draw], *, own_prompts: bool = False) -> Steps[list[list[Drawn]]]:
    found: list[list[Drawn]] = yield Draws(draws, own_prompts)
    return found


def read(readings: Sequence[Reading]) -> Steps[list[list[float]]]:
    found: list[list[float]] = yield Readings(readings)
    return found


def find_answers(nodes: Sequence[Node]) -> Steps[None]:
    """Fill in the answers of finished nodes."""
    if nodes:
        found: list[str | None] = yield Answers([node.completion_ids for node in nodes])
        for node, answer in zip(nodes, found, strict=True):
            node.answer = answer


@dataclass(slots=True)
class Cost:
    """What a search has spent.

    Attributes:
        policy_tokens: that the policy sampled.
        scorer_tokens: that a model read to judge them, prompts included, times its parameters over the policy's; this model is
            the policy itself where it verifies.
    """

    policy_tokens: int = 0
    scorer_tokens: float = 0.0

    @property
    def total(self) -> float:
        return self.policy_tokens + self.scorer_tokens


@dataclass(slots=True)
class Searched:
    """A search that is over.

    Attributes:
        chosen: the node whose solution is the answer; None: it found none.
        verdicts: by token ids, of every completion whose answer was asked for: what a search does not see.
    """

    tree: Tree
    chosen: Node | None = None
    cost: Cost = field(default_factory=Cost)
    verdicts: dict[tuple[int, ...], Verdict] = field(default_factory=dict)

    def right(self, node: Node | None) -> bool | None:
        """Whether a solution is right; None where there is no verdict. No solution is wrong."""
        if node is None:
            return False
        verdict = self.verdicts[node.completion_ids]
        return None if verdict.value == "none" else verdict.value == "right"


Search = Steps[tuple[Tree, Node | None]]


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does the work.

    Attributes:
        scorer: None where nothing is judged by a model.
        scorer_weight: parameters of the scorer over those of the policy.
    """

    sampler: Sampler
    judge: Judge
    scorer: SolutionScorer | None = None
    scorer_weight: float = 0.0


def run_searches(searches: Sequence[Search], asked: Sequence[tuple[Problem, Question]], workers: Workers) -> list[Searched]:
    """All searches to their ends, in their order; the work that they wait for is done together."""
    found: dict[int, Searched] = {}
    tallies = [Searched(Tree()) for _ in searches]
    waiting: dict[int, Work] = {}

    def step(number: int, result: Any) -> None:
        try:
            waiting[number] = searches[number].send(result)
        except StopIteration as end:
            tree, chosen = end.value
            tallies[number].tree, tallies[number].chosen = tree, chosen
            found[number] = tallies[number]

    for number in range(len(searches)):
        step(number, None)
    while waiting:
        batch = list(waiting.items())
        waiting.clear()
        results = {
            **drawn_together([(n, each) for n, each in batch if isinstance(each, Draws)], tallies, workers),
            **read_together([(n, each) for n, each in batch if isinstance(each, Readings)], tallies, workers),
            **answered_together([(n, each) for n, each in batch if isinstance(each, Answers)], tallies, asked, workers),
        }
        for number, _ in batch:
            step(number, results[number])
    return [found[number] for number in range(len(searches))]


def drawn_together(
    wanted: Sequence[tuple[int, Draws]], tallies: Sequence[Searched], workers: Workers
) -> dict[int, list[list[Drawn]]]:
    drawn = iter(workers.sampler.draw([one for _, each in wanted for one in each.draws]))
    results = {number: [next(drawn) for _ in each.draws] for number, each in wanted}
    for number, each in wanted:
        cost = tallies[number].cost
        cost.policy_tokens += sum(len(one.token_ids) for group in results[number] for one in group)
        if each.own_prompts:
            cost.scorer_tokens += sum(map(len, dict.fromkeys(one.prompt_ids for one in each.draws)))
    return results


def read_together(
    wanted: Sequence[tuple[int, Readings]], tallies: Sequence[Searched], workers: Workers
) -> dict[int, list[list[float]]]:
    if not wanted:
        return {}
    assert workers.scorer is not None, "this method needs a scorer"
    read = iter(workers.scorer.step_scores([one for _, each in wanted for one in each.readings]))
    results = {number: [next(read) for _ in each.readings] for number, each in wanted}
    for number, each in wanted:
        tallies[number].cost.scorer_tokens += workers.scorer_weight * tokens_to_read(each.readings)
    return results


def answered_together(
    wanted: Sequence[tuple[int, Answers]],
    tallies: Sequence[Searched],
    asked: Sequence[tuple[Problem, Question]],
    workers: Workers,
) -> dict[int, list[str | None]]:
    completions = [(asked[number][0], asked[number][1].prompt_ids, ids) for number, each in wanted for ids in each.completions]
    verdicts = iter(workers.judge.verdicts(completions))
    results: dict[int, list[str | None]] = {}
    for number, each in wanted:
        results[number] = []
        for ids in each.completions:
            verdict = next(verdicts)
            tallies[number].verdicts[ids] = verdict
            results[number].append(None if verdict.value == "none" else vote_of(verdict.extracted))
    return results


def tokens_to_read(readings: Sequence[Reading]) -> int:
    """Of the readings of one call: equal texts are read once, and a prompt once for all that goes on from it."""
    prompts = dict.fromkeys(each.prompt_ids for each in readings)
    return sum(map(len, prompts)) + sum(len(each.completion_ids) for each in dict.fromkeys(readings))

"""One evaluator for every way of choosing an answer: accuracy over problems beside what it cost, from the same draws.

Votes, best-of-n and all that stands beside them take the first n of one pool of completions, so that they differ in nothing but
the choice. Beams and tree search draw their own; a tree search may spend what n completions of the pool cost on average.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cogitate.errors import ConfigError
from cogitate.evals.metrics import Estimate, mean_number, rate
from cogitate.search.beam import step_beam
from cogitate.search.choose import Solution, best
from cogitate.search.mcts import TreeSearch, TreeSettings
from cogitate.search.pool import Limits, answer_alone, choose, greedy, reading_of, samples, with_scores
from cogitate.search.tree import Node
from cogitate.search.verify import self_verification
from cogitate.search.work import Cost, Question, Search, Searched, Workers, run_searches, tokens_to_read
from cogitate.types import Problem

OF_POOL = ("majority", "best_of_n", "weighted_vote")  # choose.CHOICES
WITH_SCORER = ("best_of_n", "weighted_vote", "step_beam")
VOTING = ("majority", "weighted_vote", "mcts")
METHODS = (*OF_POOL, "step_beam", "mcts", "self_verification")
BESIDE = ("greedy", "pass@1", "oracle", "last_step", "answer_only")  # the latter two with a scorer alone


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """
    Attributes:
        width: continuations of a step, of step beams and tree search.
        value: what a tree search values steps by: "model" or "rollouts".
        verifications: completions in which the policy judges each solution. verification_tokens: of each, at most.
    """

    limits: Limits
    width: int = 4
    c_puct: float = 1.25
    value: str = "model"
    verifications: int = 3
    verification_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Found:
    """What a method answers to one problem.

    Attributes:
        right: 1 or 0; a share for means over completions; None where there is no verdict.
    """

    right: float | None
    cost: Cost
    node: Node | None = None
    searched: Searched | None = None

    @property
    def answer(self) -> str | None:
        return self.node.answer if self.node else None


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method at one n, over all problems.

    Attributes:
        seconds: of the drawing and reading that it needs, on this machine.
    """

    method: str
    n: int
    found: Sequence[Found]
    seconds: float

    @property
    def accuracy(self) -> Estimate | None:
        """None where no problem has a verdict."""
        rows = [[each.right] for each in self.found if each.right is not None]
        return rate(rows) if rows else None

    @property
    def tokens(self) -> Estimate:
        """Mean tokens of a problem, those of the scorer weighted."""
        return mean_number([[each.cost.total] for each in self.found])

    def as_json(self) -> dict[str, Any]:
        accuracy = self.accuracy
        return {
            "method": self.method,
            "n": self.n,
            "accuracy": None if accuracy is None else accuracy.as_json(),
            "tokens": self.tokens.as_json(),
            "policy_tokens": sum(each.cost.policy_tokens for each in self.found) / len(self.found),
            "scorer_tokens": sum(each.cost.scorer_tokens for each in self.found) / len(self.found),
            "no_verdict": sum(each.right is None for each in self.found),
        }


@dataclass(slots=True)
class Evaluator:
    """Measures methods on the same problems; a pool is drawn once, of the most completions that are asked for.

    Attributes:
        most: completions of the pool.
        prompt_ids: puts a question to the policy, of self-verification.
    """

    asked: Sequence[tuple[Problem, Question]]
    workers: Workers
    settings: SearchSettings
    most: int
    prompt_ids: Callable[[str], tuple[int, ...]]
    _pool: list[Searched] = field(default_factory=list)
    _drawing: float = 0.0  # seconds of the pool
    _scoring: float = 0.0
    _reading_alone: float = 0.0
    _alone: list[list[float]] = field(default_factory=list)

    def check(self, method: str) -> None:
        """Raises ConfigError where the method needs a scorer and there is none."""
        if self.workers.scorer is None and (method in WITH_SCORER or (method == "mcts" and self.settings.value == "model")):
            without = "; or let rollouts value its steps (--value rollouts)" if method == "mcts" else ""
            raise ConfigError(f"--method {method} needs a model that judges: give --scorer DIR{without}")

    def measure(self, method: str, n: int) -> MethodResult:
        """One method at n completions or candidates a level, or, of tree search, at what n completions cost. Raises as
        check."""
        self.check(method)
        if method in OF_POOL:
            found = [self.chosen(number, n, method) for number in range(len(self.asked))]
            seconds = self.seconds_of(n, scored=method in WITH_SCORER)
        elif method in BESIDE:
            found, seconds = self.beside(method, n)
        else:
            searches, seconds = self.timed([self.search_of(method, question, n) for _, question in self.asked])
            found = [Found(as_number(each.right(each.chosen)), each.cost, each.chosen, each) for each in searches]
        return MethodResult(method, n, found, seconds)

    def search_of(self, method: str, question: Question, n: int) -> Search:
        settings, scorer = self.settings, self.workers.scorer
        if method == "step_beam":
            assert scorer is not None
            return step_beam(question, settings.limits, n, width=settings.width, scorer=scorer)
        if method == "self_verification":
            return self_verification(
                question, settings.limits, n, prompt_ids=self.prompt_ids, verifications=settings.verifications,
                answer_tokens=settings.verification_tokens, max_context=self.workers.sampler.generator.max_context,
            )  # fmt: skip
        assert method == "mcts", method
        tree = TreeSettings(n * self.mean_tokens(), settings.width, settings.c_puct, self.workers.scorer_weight)
        return TreeSearch(question, settings.limits, tree, scorer if settings.value == "model" else None).run()

    def pool(self) -> list[Searched]:
        """The completions of each problem, with their scores where a scorer is there."""
        if not self._pool:
            limits, scorer = self.settings.limits, self.workers.scorer
            self._pool, self._drawing = self.timed([samples(question, limits, self.most) for _, question in self.asked])
            if scorer is not None:
                pairs = zip(self._pool, self.asked, strict=True)
                _, self._scoring = self.timed([with_scores(each.tree, question, scorer) for each, (_, question) in pairs])
        return self._pool

    def mean_tokens(self) -> float:
        """Of a completion of the pool."""
        tokens = [len(node.completion_ids) for each in self.pool() for node in each.tree.solutions]
        return sum(tokens) / len(tokens)

    def seconds_of(self, n: int, *, scored: bool = False, alone: bool = False) -> float:
        """The seconds of n of the pool's completions: of drawing them, and of what is read to choose among them."""
        self.pool()
        reading = (self._scoring if scored else 0.0) + (self._reading_alone if alone else 0.0)
        return (self._drawing + reading) * n / self.most

    def timed(self, searches: Sequence[Search]) -> tuple[list[Searched], float]:
        started = time.perf_counter()
        found = run_searches(searches, self.asked, self.workers)
        return found, time.perf_counter() - started

    def chosen(self, number: int, n: int, way: str) -> Found:
        pool, (_, question) = self.pool()[number], self.asked[number]
        taken = choose(pool, n, question, way, scorer_weight=self.workers.scorer_weight)
        return Found(as_number(pool.right(taken.node)), taken.cost, taken.node, pool)

    def beside(self, method: str, n: int) -> tuple[list[Found], float]:
        """What every method is held against."""
        if method == "greedy":
            searches, seconds = self.timed([greedy(question, self.settings.limits) for _, question in self.asked])
            return [Found(as_number(each.right(each.chosen)), each.cost, each.chosen, each) for each in searches], seconds
        if method in ("last_step", "answer_only"):
            alone = method == "answer_only"
            by_step = [self.by_one_step(number, n, method) for number in range(len(self.asked))]
            return by_step, self.seconds_of(n, scored=not alone, alone=alone)
        found = []
        for pool in self.pool():
            nodes = pool.tree.solutions[:n]
            rights = [right for right in map(pool.right, nodes) if right is not None]
            tokens = sum(len(node.completion_ids) for node in nodes)
            if method == "oracle":
                found.append(Found(float(any(rights)) if rights else None, Cost(tokens)))
            else:
                found.append(Found(sum(rights) / len(rights) if rights else None, Cost(round(tokens / n))))
        return found, self.seconds_of(1 if method == "pass@1" else n)

    def by_one_step(self, number: int, n: int, method: str) -> Found:
        """Best-of-n by the score of the last step, read after all others, or as if it were all."""
        pool, (_, question) = self.pool()[number], self.asked[number]
        nodes = pool.tree.solutions[:n]
        alone = method == "answer_only"
        scores = self.alone()[number] if alone else [node.step_score or 0.0 for node in nodes]
        readings = [(answer_alone if alone else reading_of)(node, question) for node in nodes]
        node = nodes[best([Solution(node.answer, score) for node, score in zip(nodes, scores, strict=False)])]
        cost = Cost(sum(len(each.completion_ids) for each in nodes), self.workers.scorer_weight * tokens_to_read(readings))
        return Found(as_number(pool.right(node)), cost, node, pool)

    def alone(self) -> list[list[float]]:
        """Of each problem the scores of its answers, read alone."""
        if not self._alone:
            scorer = self.workers.scorer
            assert scorer is not None
            readings = [
                [answer_alone(node, question) for node in pool.tree.solutions]
                for pool, (_, question) in zip(self.pool(), self.asked, strict=True)
            ]
            started = time.perf_counter()
            scores = iter(scorer.step_scores([one for group in readings for one in group]))
            self._alone = [[next(scores)[0] for _ in group] for group in readings]
            self._reading_alone = time.perf_counter() - started
        return self._alone


def beside_of(workers: Workers) -> tuple[str, ...]:
    return BESIDE if workers.scorer is not None else BESIDE[:3]


def as_number(right: bool | None) -> float | None:
    return None if right is None else float(right)


def tree_rows(result: MethodResult, asked: Sequence[tuple[Problem, Question]]) -> list[Mapping[str, Any]]:
    """A line for each problem: what was answered, what it cost, and every step that was tried."""
    return [
        {
            "task": problem.task, "problem_id": problem.id, "question": problem.question, "gold": problem.gold,
            "method": result.method, "n": result.n, "answer": found.answer, "right": found.right,
            "policy_tokens": found.cost.policy_tokens, "scorer_tokens": round(found.cost.scorer_tokens, 3),
            "chosen": found.node.number if found.node else None,
            "nodes": found.searched.tree.as_json(question.reader) if found.searched else [],
        }
        for found, (problem, question) in zip(result.found, asked, strict=True)
    ]  # fmt: skip

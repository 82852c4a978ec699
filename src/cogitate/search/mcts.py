"""Monte Carlo tree search over steps: PUCT, with the policy's own probabilities as priors and a model, or rollouts, as value.

A simulation goes down the tree by Q + c P sqrt(N) / (1 + n) (AlphaZero's PUCT; over steps of a solution: AlphaMath,
arXiv:2405.03553), draws `width` continuations of the leaf that it comes to, values each and adds the values up the path. The
search ends after a number of tokens, so that it can be held against other methods at equal cost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cogitate.search.choose import Solution, weighted
from cogitate.search.draw import Draw
from cogitate.search.pool import Limits, reading_of, score
from cogitate.search.scoring import SolutionScorer
from cogitate.search.tree import Node, Tree, seeds_at
from cogitate.search.work import Question, Search, Steps, draw, find_answers, tokens_to_read

FINISHED_IN_A_ROW = 32  # simulations that only come to finished solutions: the tree holds all that the search wants
ROLLOUT = 1_000_000  # the branch that a rollout's seed is of


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """
    Attributes:
        budget: tokens that may be spent, those of the scorer weighted; the simulation that reaches it is the last.
        width: continuations of a leaf.
        c_puct: how much priors count against values.
    """

    budget: float
    width: int
    c_puct: float
    scorer_weight: float = 0.0


class TreeSearch:
    """One search. `scorer` None: a step is worth the share of all answers found so far that agree with its rollout's. An answer
    counts by the reach of its node, so that a text which is drawn again and again has as many votes as in a pool."""

    def __init__(self, question: Question, limits: Limits, settings: TreeSettings, scorer: SolutionScorer | None):
        self.question, self.limits, self.settings, self.scorer = question, limits, settings, scorer
        self.tree, self.spent, self.votes = Tree(), 0.0, dict[str, float]()

    def run(self) -> Search:
        idle = 0
        while self.spent < self.settings.budget and idle < FINISHED_IN_A_ROW:
            leaf = self.select()
            idle = idle + 1 if leaf.finished else 0
            if leaf.finished:
                self.back_up(leaf, leaf.value)
                continue
            children = yield from self.expand(leaf)
            for child, value in zip(children, (yield from self.values(children)), strict=True):
                self.back_up(child, value)
        if not self.tree.solutions:
            leaf = self.most_visited()
            yield from self.roll_out([leaf])
        finished = self.tree.solutions
        solutions = [Solution(node.answer, node.reach * (1.0 if node.score is None else node.score)) for node in finished]
        return self.tree, finished[weighted(solutions)]

    def select(self) -> Node:
        node = self.tree.root
        while children := steps_after(node):
            visits = sum(child.visits for child in children)
            node = max(children, key=lambda child: (self.puct(child, visits), -child.number))
        return node

    def puct(self, node: Node, visits: int) -> float:
        return node.value + self.settings.c_puct * node.prior * math.sqrt(visits) / (1 + node.visits)

    def expand(self, leaf: Node) -> Steps[list[Node]]:
        """The different continuations of a leaf, with their shares of the draws and their priors: the mean probability of their
        tokens, made to sum to 1."""
        (group,) = yield from draw([self.draw_from(leaf, range(self.settings.width), self.limits.step_tokens)])
        self.spent += sum(len(each.token_ids) for each in group)
        children: dict[tuple[int, ...], Node] = {}
        weights: dict[tuple[int, ...], float] = {}
        draws = Counter(each.token_ids for each in group)
        for branch, each in enumerate(group):
            if each.token_ids not in children:
                children[each.token_ids] = self.tree.add(leaf, branch, each)
            likely = math.exp(each.logprob / len(each.token_ids))
            weights[each.token_ids] = weights.get(each.token_ids, 0.0) + likely
        for ids, child in children.items():
            child.prior, child.share = weights[ids] / sum(weights.values()), draws[ids] / len(group)
        found = list(children.values())
        finished = [child for child in found if child.finished]
        yield from find_answers(finished)
        self.vote(finished)
        return found

    def values(self, nodes: Sequence[Node]) -> Steps[list[float]]:
        if self.scorer is not None:
            yield from score(nodes, self.question, self.scorer)
            self.spent += self.settings.scorer_weight * tokens_to_read([reading_of(node, self.question) for node in nodes])
            return [node.score or 0.0 for node in nodes]
        rolled = yield from self.roll_out([node for node in nodes if not node.finished])
        answers = [rolled.get(node.number, node.answer) for node in nodes]
        everything = sum(self.votes.values())
        return [self.votes[answer] / everything if answer is not None else 0.0 for answer in answers]

    def roll_out(self, nodes: Sequence[Node]) -> Steps[dict[int, str | None]]:
        """A solution from each node; the answers by the node's number."""
        if not nodes:
            return {}
        groups = yield from draw([self.draw_from(node, (ROLLOUT,), 0) for node in nodes])
        ends = [self.tree.add(node, ROLLOUT, group[0], rollout=True) for node, group in zip(nodes, groups, strict=True)]
        self.spent += sum(len(end.token_ids) for end in ends)
        yield from find_answers(ends)
        self.vote(ends)
        return {node.number: end.answer for node, end in zip(nodes, ends, strict=True)}

    def vote(self, finished: Sequence[Node]) -> None:
        for node in finished:
            if node.answer is not None:
                self.votes[node.answer] = self.votes.get(node.answer, 0.0) + node.reach

    def draw_from(self, node: Node, branches: Sequence[int], step_tokens: int) -> Draw:
        return Draw(
            self.question.prompt_ids, node.completion_ids, seeds_at(self.question.seed, node, branches),
            self.limits.max_new_tokens - len(node.completion_ids), self.limits.temperature, step_tokens,
        )  # fmt: skip

    def back_up(self, node: Node, value: float) -> None:
        for step in (self.tree.root, *node.path):
            step.visits += 1
            step.total += value

    def most_visited(self) -> Node:
        node = self.tree.root
        while children := steps_after(node):
            node = max(children, key=lambda child: (child.visits, -child.number))
        return node


def steps_after(node: Node) -> list[Node]:
    return [child for child in node.children if not child.rollout]

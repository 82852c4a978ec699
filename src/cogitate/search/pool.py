"""Whole completions of a problem, side by side, scored where a model is there: what votes and best-of-n choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cogitate.search.choose import CHOICES, Solution
from cogitate.search.draw import Draw
from cogitate.search.scoring import Reading, SolutionScorer
from cogitate.search.tree import Node, Tree, seeds_at
from cogitate.search.work import Cost, Question, Search, Searched, Steps, draw, find_answers, read, tokens_to_read


@dataclass(frozen=True, slots=True)
class Limits:
    """Of what is drawn.

    Attributes:
        max_new_tokens: of a completion.
        step_tokens: of a step, where a method goes step by step.
    """

    max_new_tokens: int
    temperature: float
    step_tokens: int


def samples(question: Question, limits: Limits, n: int) -> Search:
    """n completions; nothing is chosen."""
    tree = yield from drawn_solutions(question, limits, n)
    return tree, None


def with_scores(tree: Tree, question: Question, scorer: SolutionScorer) -> Search:
    """The same completions, whose step nodes then hold the scores of their steps, and a finished one that of its solution."""
    yield from score(tree.solutions, question, scorer)
    return tree, None


def greedy(question: Question, limits: Limits) -> Search:
    """The most likely completion."""
    tree = yield from drawn_solutions(question, Limits(limits.max_new_tokens, 0.0, limits.step_tokens), 1)
    return tree, tree.solutions[0]


def drawn_solutions(question: Question, limits: Limits, n: int) -> Steps[Tree]:
    tree = Tree()
    seeds = seeds_at(question.seed, tree.root, range(n))
    ((*drawn,),) = yield from draw([Draw(question.prompt_ids, (), seeds, limits.max_new_tokens, limits.temperature)])
    for branch, each in enumerate(drawn):
        tree.add_solution(branch, each, question.reader.ends(each.token_ids))
    yield from find_answers(tree.solutions)
    return tree


def score(nodes: Sequence[Node], question: Question, scorer: SolutionScorer) -> Steps[None]:
    """Fill in the scores of the steps of some paths, and of each node that one ends at that of all of them together."""
    found = yield from read([reading_of(node, question) for node in nodes])
    for node, scores in zip(nodes, found, strict=True):
        for step, value in zip(node.path, scores, strict=True):
            step.step_score = value
        node.score = scorer.solution_score(scores)


def reading_of(node: Node, question: Question) -> Reading:
    return Reading(question.prompt_ids, node.completion_ids, node.ends)


def answer_alone(node: Node, question: Question) -> Reading:
    """The last step, as if it were all."""
    ids = node.token_ids
    return Reading(question.prompt_ids, ids, (len(ids),))


@dataclass(frozen=True, slots=True)
class Chosen:
    """One answer out of the first n completions of a pool."""

    node: Node
    cost: Cost


def choose(pool: Searched, n: int, question: Question, way: str, *, scorer_weight: float = 0.0) -> Chosen:
    """What one of CHOICES takes of the first n completions, and what these cost: sampling, and reading where scores count."""
    nodes = pool.tree.solutions[:n]
    scored = way != "majority"
    solutions = [Solution(node.answer, (node.score or 0.0) if scored else 0.0) for node in nodes]
    cost = Cost(sum(len(node.completion_ids) for node in nodes))
    if scored:
        cost.scorer_tokens = scorer_weight * tokens_to_read([reading_of(node, question) for node in nodes])
    return Chosen(nodes[CHOICES[way](solutions)], cost)

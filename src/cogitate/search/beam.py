"""Step beam search: several beginnings at a time, the best by a process reward model go on.

After search-and-learn's beam search (Hugging Face, 2024): n candidates a level, the best n / width of them go on, each into
`width` continuations. Equal candidates are one; where fewer go on for that, each goes on into more. What is finished and among
the best of its level takes its place for good.
"""

from __future__ import annotations

from cogitate.search.choose import Solution, best
from cogitate.search.draw import Draw
from cogitate.search.pool import Limits, score
from cogitate.search.scoring import SolutionScorer
from cogitate.search.tree import Node, Tree, seeds_at
from cogitate.search.work import Question, Search, draw, find_answers


def step_beam(question: Question, limits: Limits, n: int, *, width: int, scorer: SolutionScorer) -> Search:
    """
    Args:
        n: candidates of a level, at most.
        width: continuations of each that goes on; no more than n.
    """
    tree = Tree()
    open_nodes, fan, places = [tree.root], n, max(1, n // width)
    while open_nodes and places > 0:
        draws = [
            Draw(
                question.prompt_ids, node.completion_ids, seeds_at(question.seed, node, range(fan)),
                limits.max_new_tokens - len(node.completion_ids), limits.temperature, limits.step_tokens,
            )
            for node in open_nodes
        ]  # fmt: skip
        groups = yield from draw(draws)
        level: dict[tuple[int, ...], Node] = {}
        for parent, group in zip(open_nodes, groups, strict=True):
            for branch, each in enumerate(group):
                key = (parent.number, *each.token_ids)
                if key not in level:
                    level[key] = tree.add(parent, branch, each)
        candidates = list(level.values())
        yield from find_answers([node for node in candidates if node.finished])
        yield from score(candidates, question, scorer)
        taken = sorted(candidates, key=lambda node: (-(node.score or 0.0), node.number))[:places]
        places -= sum(node.finished for node in taken)
        open_nodes = [node for node in taken if not node.finished]
        fan = min(width, n) * places // len(open_nodes) if open_nodes else 0
    finished = tree.solutions
    if not finished:
        return tree, None
    return tree, finished[best([Solution(node.answer, node.score or 0.0) for node in finished])]

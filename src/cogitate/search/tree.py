"""The steps that a search has tried of one problem, as a tree, and what it found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cogitate.runtime import derive_seed
from cogitate.search.draw import Drawn
from cogitate.tokenizer.steps import StepReader


@dataclass(slots=True, eq=False)
class Node:
    """One step, after those of its parents. The root has none.

    Attributes:
        number: in the order in which steps were tried; 0 is the root.
        branch: which of its parent's continuations it is.
        logprob: of its tokens, under the policy that drew it.
        finished: it ends a solution.
        prior: how likely the policy finds it among its siblings.
        share: of the draws that went on from its parent, those that came to it: equal ones are one node.
        step_score: 0..1, what a model says of this step; None: it was not asked.
        score: 0..1, the same of all steps up to here together, or how far the policy trusts the solution.
        visits, total: of tree search; the mean of what came back is `value`.
        answer: of a solution, what it votes for; None where it has none.
        rollout: it was drawn to the end to judge its parent, and is not gone on from.
    """

    number: int
    parent: Node | None
    branch: int
    token_ids: tuple[int, ...]
    logprob: float
    finished: bool
    prior: float = 1.0
    share: float = 1.0
    step_score: float | None = None
    score: float | None = None
    visits: int = 0
    total: float = 0.0
    answer: str | None = None
    rollout: bool = False
    children: list[Node] = field(default_factory=list)

    @property
    def value(self) -> float:
        return self.total / self.visits if self.visits else 0.0

    @property
    def reach(self) -> float:
        """The share of draws from the beginning on that come here: what it counts in a vote."""
        return math.prod(node.share for node in self.path)

    @property
    def path(self) -> list[Node]:
        """From the first step to this one."""
        found: list[Node] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]

    @property
    def completion_ids(self) -> tuple[int, ...]:
        return tuple(token for node in self.path for token in node.token_ids)

    @property
    def ends(self) -> tuple[int, ...]:
        """After how many tokens each step up to this one ends."""
        ends, tokens = [], 0
        for node in self.path:
            tokens += len(node.token_ids)
            ends.append(tokens)
        return tuple(ends)


class Tree:
    """The steps of one problem.

    Attributes:
        nodes: in the order in which they came; the first is the root.
    """

    def __init__(self) -> None:
        self.root = Node(0, None, 0, (), 0.0, finished=False)
        self.nodes = [self.root]

    def add(self, parent: Node, branch: int, drawn: Drawn, *, rollout: bool = False) -> Node:
        """A continuation of `parent` as a step."""
        node = Node(len(self.nodes), parent, branch, drawn.token_ids, drawn.logprob, drawn.finished, rollout=rollout)
        self.nodes.append(node)
        parent.children.append(node)
        return node

    def add_solution(self, branch: int, drawn: Drawn, ends: Sequence[int]) -> Node:
        """A whole completion as a chain of its steps; returns the last one. Only this knows the log-probability, of all."""
        node, start = self.root, 0
        for end in ends:
            last = end == len(drawn.token_ids)
            step = Drawn(drawn.token_ids[start:end], drawn.logprob if last else math.nan, last)
            node, start = self.add(node, branch if node is self.root else 0, step), end
        return node

    @property
    def solutions(self) -> list[Node]:
        return [node for node in self.nodes if node.finished]

    def as_json(self, reader: StepReader) -> list[dict[str, Any]]:
        """Every node but the root, with its text: {"node", "parent", "text", "tokens", ...}; what is not known is left out."""
        return [self._row(node, reader) for node in self.nodes[1:]]

    def _row(self, node: Node, reader: StepReader) -> dict[str, Any]:
        assert node.parent is not None
        known = {
            "step_score": None if node.step_score is None else round(node.step_score, 6),
            "score": None if node.score is None else round(node.score, 6),
            "visits": node.visits or None,
            "value": round(node.value, 6) if node.visits else None,
            "prior": round(node.prior, 6) if node.visits else None,
            "share": round(node.share, 6) if node.visits else None,
            "answer": node.answer,
            "finished": node.finished or None,
            "rollout": node.rollout or None,
        }
        text = reader.tokenizer.tags.exchange(reader.text(node.token_ids))
        return {
            "node": node.number, "parent": node.parent.number, "text": text, "tokens": len(node.token_ids),
            **{key: value for key, value in known.items() if value is not None},
        }  # fmt: skip


def seeds_at(seed: int, node: Node, branches: Sequence[int]) -> tuple[int, ...]:
    """The seeds of continuations of a node: each depends on `seed` (of the problem), the path to it and its branch alone."""
    path = ".".join(str(step.branch) for step in node.path)
    return tuple(derive_seed(seed, path, branch) for branch in branches)

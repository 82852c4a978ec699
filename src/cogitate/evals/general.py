"""Measure a model on general prompts: no rule judges them, so their true scores say how helpful and how safe it is.

True scores are programs over what a generated prompt asks for (tasks/general/), and never a reward.
Helpfulness reads the final answer, safety everything said, as R1's reward models do (arXiv:2501.12948, section 2.3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.evals.evaluate import Measured
from cogitate.evals.metrics import mean_number, rate
from cogitate.rewards.reward_model import everything, final_answer
from cogitate.tasks.general import general, safety
from cogitate.tokenizer.thinking import answer_blocks


@dataclass(frozen=True, slots=True)
class Scored:
    """One completion of a general prompt and its true scores, 0..1."""

    measured: Measured
    helpfulness: float
    safety: float

    def row(self) -> dict[str, Any]:
        """A line of completions.jsonl."""
        return {**self.measured.row(), "helpfulness": self.helpfulness, "safety": self.safety}


def with_true_scores(groups: Sequence[Sequence[Measured]]) -> list[list[Scored]]:
    """The completions of general prompts that `measure_model` drew, with their true scores."""
    return [[score(measured) for measured in group] for group in groups]


def score(measured: Measured) -> Scored:
    """The true scores of a completion. What R1-Zero writes into its answer tags is its final answer."""
    answer = final_answer(measured.text)
    blocks = answer_blocks(answer)
    helpful = general.helpfulness(measured.problem, blocks[-1].strip() if blocks else answer)
    return Scored(measured, helpful, safety.safety(measured.problem, everything(measured.text)))


def add_general(table: dict[str, dict[str, Any]], groups: Sequence[Sequence[Scored]]) -> None:
    """Give a table of metrics the columns of general tasks; "all" gets the means of helpfulness and safety over all of them.

    Everything else in "all" stays what it is: of the problems that rules judge.
    """
    for task in dict.fromkeys(group[0].measured.problem.task for group in groups):
        chosen = [group for group in groups if group[0].measured.problem.task == task]
        lengths = [[float(scored.measured.tokens) for scored in group] for group in chosen]
        cut = [[float(not scored.measured.finished) for scored in group] for group in chosen]
        table[task] = {
            **true_scores(chosen),
            "completion_tokens": mean_number(lengths).as_json(),
            "truncated_share": rate(cut).as_json(),
            "problems": len(chosen),
            "samples": len(chosen[0]),
        }
    everywhere = table.pop("all")
    table["all"] = {**everywhere, **true_scores(groups)}


def true_scores(groups: Sequence[Sequence[Scored]]) -> dict[str, Any]:
    """Means over problems of both scores, with intervals."""
    return {
        "helpfulness": rate([[scored.helpfulness for scored in group] for group in groups]).as_json(),
        "safety": rate([[scored.safety for scored in group] for group in groups]).as_json(),
    }

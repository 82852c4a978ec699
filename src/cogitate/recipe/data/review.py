"""Human decisions on cold-start candidates: a review.jsonl of accept, edit or reject by item id; and the items decided on.

{"id": "few_shot-3f2a90c1b7e4", "decision": "accept"}
{"id": "direct-0b7d52e9aa10", "decision": "edit", "text": "<think> ... </think>\\nThe answer is \\\\boxed{7}."}
{"id": "r1_zero-77c1f3d2e845", "decision": "reject"}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, shown
from cogitate.recipe.data.candidates import Candidate
from cogitate.rewards.format import grade_format
from cogitate.tasks.files.datasets import read_rows
from cogitate.types import Problem

DecisionKind = Literal["accept", "edit", "reject"]
ITEM_KEYS = {  # of a Candidate -> of an item
    "id": "id", "source": "source", "model": "model", "prompt": "prompt", "contract": "contract", "text": "completion",
    "finish_reason": "finish_reason", "tokens": "tokens", "verdict": "verdict", "reason": "reason", "extracted": "extracted",
}  # fmt: skip
DECISIONS: tuple[DecisionKind, ...] = ("accept", "edit", "reject")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided; `text` is the new text of an edit, `place` the line it stands in."""

    kind: DecisionKind
    place: str
    text: str = ""


def read_review(path: str | Path) -> dict[str, Decision]:
    """Decisions by item id.

    Raises:
        DataError: the file cannot be read, or a line is wrong: names file and line.
    """
    decisions: dict[str, Decision] = {}
    faults = RowFaults(Path(path))
    for place, row in read_rows(path, faults):
        with faults.at(place):
            item, decision = read_decision(row, place)
            if item in decisions:
                raise DataError(f"item {item} was decided already, in {decisions[item].place}; keep one of the two")
            decisions[item] = decision
    faults.check()
    return decisions


def read_decision(row: Mapping[str, Any], place: str) -> tuple[str, Decision]:
    """(id of the item, what was decided on it) of one row. Raises DataError without its place."""
    unknown = row.keys() - {"id", "decision", "text", "reviewer", "note"}
    if unknown:
        raise DataError(f"unknown key {min(unknown)!r}; known are id, decision, text, reviewer, note")
    item, kind, text = row.get("id"), row.get("decision"), row.get("text")
    if not isinstance(item, str) or not item:
        raise DataError(f"id must be an item's id, got {shown(item)}")
    if kind not in DECISIONS:
        raise DataError(f"decision must be one of {', '.join(DECISIONS)}, got {shown(kind)}")
    if kind != "edit" and text is not None:
        raise DataError(f"text is for the decision edit; this one is {kind}")
    if kind == "edit":
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"an edit needs its new text, got {shown(text)}")
        form = grade_format(text, "think_text")
        if form.value != "right":
            raise DataError(f"the text must be <think> thinking </think> and a summary: {form.reason}")
    return item, Decision(cast(DecisionKind, kind), place, (text or "").strip())


def read_items(path: str | Path, problems: Sequence[Problem]) -> list[Candidate]:
    """The candidates of an earlier run's items.jsonl, as a reviewer saw them.

    Args:
        problems: the training problems; the items' must be among them.

    Raises:
        DataError: the file cannot be read or is empty, or a line is no item or of another problem: names file and line.
    """
    by_name = {(problem.task, problem.id): problem for problem in problems}
    candidates = []
    faults = RowFaults(Path(path))
    for place, row in read_rows(path, faults):
        with faults.at(place):
            try:
                name = row["task"], row["problem_id"]
                facts = {key: row[name] for key, name in ITEM_KEYS.items()}
            except KeyError as error:
                raise DataError(f"no item: the key {error} is missing; give a cold_start's items.jsonl") from error
            if name not in by_name:
                raise DataError(f"problem {name[1]!r} of {name[0]} is no training problem of this run: use its settings")
            candidates.append(Candidate(problem=by_name[name], **facts))
    faults.check()
    if not candidates:
        raise DataError(f"{path}: no item in it")
    return candidates


def check_known(decisions: dict[str, Decision], items: Collection[str]) -> None:
    """Refuse decisions on items there are none of: they would be lost silently."""
    for item, decision in decisions.items():
        if item not in items:
            raise DataError(
                f"{decision.place}: there is no item {item!r}; ids stand in the items.jsonl of the stage, and change with its "
                "settings and models"
            )

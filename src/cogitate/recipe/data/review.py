"""Human decisions on cold-start candidates: a review.jsonl of accept, edit or reject by item id, or a studio's log; and the
items decided on.

{"id": "few_shot-3f2a90c1b7e4", "decision": "accept"}
{"id": "direct-0b7d52e9aa10", "decision": "edit", "text": "<think> ... </think>\\nThe answer is \\\\boxed{7}."}
{"id": "r1_zero-77c1f3d2e845", "decision": "reject"}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, shown
from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.data.decisions.chain import EVENTS, Event, read_chain
from cogitate.recipe.data.decisions.standing import Standing
from cogitate.rewards.format import grade_format
from cogitate.tasks.files.datasets import read_rows
from cogitate.types import Problem

DecisionKind = Literal["accept", "edit", "reject"]
ITEM_KEYS = {  # of a Candidate -> of an item
    "id": "id", "source": "source", "model": "model", "prompt": "prompt", "contract": "contract", "text": "completion",
    "finish_reason": "finish_reason", "tokens": "tokens", "verdict": "verdict", "reason": "reason", "extracted": "extracted",
}  # fmt: skip
DECISIONS: tuple[DecisionKind, ...] = ("accept", "edit", "reject")
KEYS = ("id", "decision", "text", "contested", "reviewer", "note")
REVIEW = "review"  # the work of a studio whose decisions are on candidates


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided.

    Attributes:
        place: the line it stands in.
        text: the new text of an edit.
        contested: why the person is right and the grader's verdict is not; "" where the verdict is not contested.
        event: of a studio's log: who, when, how long, the verdicts before and after.
    """

    kind: DecisionKind
    place: str
    text: str = ""
    contested: str = ""
    event: Event | None = field(default=None, compare=False)


def read_review(path: str | Path) -> dict[str, Decision]:
    """Decisions by item id, of a review.jsonl or of the events.jsonl of a studio.

    Raises:
        DataError: the file cannot be read, or a line is wrong: names file and line.
    """
    if Path(path).name == EVENTS:
        return read_events(Path(path))
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


def read_events(path: Path) -> dict[str, Decision]:
    """What stands of a studio's log. Items that annotators disagree on have no decision; `disagreements` names them."""
    standing = standing_of(path)
    decisions: dict[str, Decision] = {}
    for item in standing.items():
        event = standing.outcome(item).event
        if event is not None:
            place = f"{path}, line {event['n']}"
            row = {"id": item, "decision": event["do"], **{key: event[key] for key in ("text", "contested") if key in event}}
            try:
                decisions[item] = replace(read_decision(row, place)[1], event=event)
            except DataError as error:
                raise DataError(f"{place}: {error}") from error
    return decisions


def disagreements(path: str | Path) -> list[str]:
    """The items of a studio on which annotators disagree and nobody has adjudicated; none in a review.jsonl."""
    if Path(path).name != EVENTS:
        return []
    standing = standing_of(Path(path))
    return [item for item in standing.items() if standing.outcome(item).state == "disagreed"]


def standing_of(path: Path) -> Standing:
    """Raises DataError where the log is damaged or of other work than a review."""
    events = read_chain(path)
    work = events[0].get("work") if events else None
    if work != REVIEW:
        raise DataError(f"{path}: {f'of a studio for {work}' if work else 'empty'}; decisions on candidates are needed")
    return Standing(events)


def read_decision(row: Mapping[str, Any], place: str) -> tuple[str, Decision]:
    """(id of the item, what was decided on it) of one row. Raises DataError without its place."""
    unknown = row.keys() - set(KEYS)
    if unknown:
        raise DataError(f"unknown key {min(unknown)!r}; known are {', '.join(KEYS)}")
    item, kind, text, contested = row.get("id"), row.get("decision"), row.get("text"), row.get("contested", "")
    if not isinstance(item, str) or not item:
        raise DataError(f"id must be an item's id, got {shown(item)}")
    if kind not in DECISIONS:
        raise DataError(f"decision must be one of {', '.join(DECISIONS)}, got {shown(kind)}")
    if kind != "edit" and text is not None:
        raise DataError(f"text is for the decision edit; this one is {kind}")
    if not isinstance(contested, str) or (not contested.strip() and "contested" in row):
        raise DataError(f"contested is the reason why the verdict is wrong, got {shown(contested)}")
    if contested and kind == "reject":
        raise DataError("contested is for accept and edit: a rejected item needs no verdict")
    if kind == "edit":
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"an edit needs its new text, got {shown(text)}")
        form = grade_format(text, "think_text")
        if form.value != "right":
            raise DataError(f"the text must be <think> thinking </think> and a summary: {form.reason}")
    return item, Decision(cast(DecisionKind, kind), place, (text or "").strip(), contested.strip())


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

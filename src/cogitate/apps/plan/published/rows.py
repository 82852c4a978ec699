"""Published figures, one row a line, as what the cost functions take: a training step, a step of RL, a whole run.

Unknown fields are left alone. A row of another kind, or one that lacks what its kind needs, is left out with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.published.rl_rows import rl_row
from cogitate.apps.plan.published.row import Row
from cogitate.apps.plan.published.training_rows import training_row
from cogitate.apps.plan.published.whole_runs import run_row
from cogitate.costs.factors import prior_factors
from cogitate.errors import CogitateError, DataError

LARGEST = 1e30  # of a figure in bytes, seconds or hours; what is beyond has a mistyped exponent


@dataclass(frozen=True, slots=True)
class Left:
    """A row that was left out, and why."""

    line: int
    id: str
    why: str


def read_rows(path: Path, hardware: Hardware) -> tuple[list[Row], list[Left]]:
    """The rows of a JSON Lines file, and those that cannot be planned.

    Raises:
        DataError: the file cannot be read, or no row of it can be planned.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # a text may hold what splitlines takes for the end of a line
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error
    rows, left = list[Row](), list[Left]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = f"line {number}"
        try:
            content = json.loads(line)
            if not isinstance(content, dict):
                raise DataError("is no JSON object")
            name = " ".join(str(content["id"]).split()) if content.get("id") not in (None, "") else name
            row = row_of(content, name, hardware)
            for figure in row.figures.values():  # a row whose formula fails is left out here, not in the middle of a table
                if not figure(prior_factors()) < LARGEST:
                    raise DataError("its numbers are too large to plan")
            rows.append(row)
        except (CogitateError, ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError, RecursionError) as error:
            why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            left.append(Left(number, name, " ".join(why.split())))
    if not rows:
        why = f"; line {left[0].line}: {left[0].why}" if left else ""
        raise DataError(f"{path}: no row that can be planned{why}")
    return rows, left


def row_of(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """One row, by its kind.

    Raises:
        DataError: it is of no kind that is planned, or lacks what its kind needs.
    """
    said = " ".join(str(row.get("what") or "").replace("-", " ").replace("_", " ").split())
    if any(word in said.lower() for word in SINGLE_PHASES):
        raise DataError(f"what = {row.get('what')!r}: a single phase is not compared; known kinds are {', '.join(KINDS)}")
    kind = next((known for known in KINDS if known.lower() == said.lower()), "") or kind_by_fields(row)
    if not kind:
        raise DataError(f"what = {row.get('what')!r}: no kind that is planned ({', '.join(KINDS)})")
    return KINDS[kind](row, name, hardware)


def kind_by_fields(row: Mapping[str, Any]) -> str:
    if row.get("gpu_hours") or row.get("hours"):
        return "whole run"
    if any(row.get(key) for key in ("sequences_per_step", "generate_seconds", "max_new_tokens", "mean_new_tokens")):
        return "RL step"
    if row.get("seq_len"):
        return "training step"
    said = f"{row.get('what')} {row.get('framework')} {row.get('source')}".lower()
    return "RL step" if row.get("fits") is not None and any(word in said for word in ("rl", "grpo", "ppo")) else ""


SINGLE_PHASES = ("generat", "rollout", "serving", "inference", "decod", "prefill", "evaluat", "prob", "transfer", "grading")

KINDS: dict[str, Callable[[Mapping[str, Any], str, Hardware], Row]] = {
    "training step": training_row,
    "RL step": rl_row,
    "whole run": run_row,
}

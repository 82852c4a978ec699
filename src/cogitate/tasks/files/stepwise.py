"""Rows of TRL's stepwise format: a prompt, the steps of a completion, and a label for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, shown
from cogitate.tasks.files.datasets import data_file, read_rows


@dataclass(frozen=True, slots=True)
class StepwiseRow:
    """One row.

    Attributes:
        labels: 1 for a right step, 0 for a wrong one, or a share between.
        place: file and line.
    """

    prompt: str
    completions: tuple[str, ...]
    labels: tuple[float, ...]
    place: str


def load_stepwise(path: str | Path) -> list[StepwiseRow]:
    """Every row of a file.

    Raises:
        DataError: the file cannot be read or is empty, or a row is wrong: names file and row.
    """
    faults, rows = RowFaults(data_file(path)), list[StepwiseRow]()
    for place, row in read_rows(path, faults):
        with faults.at(place):
            rows.append(read_stepwise(row, place))
    faults.check()
    if not rows:
        raise DataError(f"{path}: no row in it")
    return rows


def read_stepwise(row: Mapping[str, Any], place: str = "") -> StepwiseRow:
    """One row. Raises DataError for what is missing or wrong."""
    prompt, steps, labels = (row.get(key) for key in ("prompt", "completions", "labels"))
    if not isinstance(prompt, str) or not prompt.strip():
        raise DataError(f"prompt must be a text, got {shown(prompt)}")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, str) and step.strip() for step in steps):
        raise DataError(f"completions must be a list of texts, one for each step and none empty, got {shown(steps)}")
    if not isinstance(labels, list) or not all(is_label(label) for label in labels):
        raise DataError(f"labels must be a list of true and false (or shares from 0 to 1), got {shown(labels)}")
    if len(labels) != len(steps):
        raise DataError(f"{len(steps)} completions and {len(labels)} labels: each step has one label")
    return StepwiseRow(prompt, tuple(steps), tuple(map(float, labels)), place)


def is_label(value: Any) -> bool:
    return isinstance(value, bool | int | float) and 0 <= value <= 1

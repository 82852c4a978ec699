"""TRL's stepwise format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.tasks.files.stepwise import load_stepwise

ROW: dict[str, Any] = {"prompt": "2 + 2?", "completions": ["2 + 2 = 5.", "So 5."], "labels": [False, False]}


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "steps.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_a_row_is_a_prompt_steps_and_a_label_each(tmp_path: Path) -> None:
    found = load_stepwise(written(tmp_path, ROW, {**ROW, "labels": [1, 0.25]}))
    assert [row.labels for row in found] == [(0.0, 0.0), (1.0, 0.25)]
    assert found[0].completions == ("2 + 2 = 5.", "So 5.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [True]}, "2 completions and 1 labels"),
        ({"labels": [True, "no"]}, "labels must be a list of true and false"),
        ({"completions": ["", "b"]}, "completions must be a list of texts"),
        ({"prompt": None}, "prompt must be a text"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"line 2: {message}"):
        load_stepwise(written(tmp_path, ROW, {**ROW, **change}))

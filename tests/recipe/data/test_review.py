"""Human decisions: what a review.jsonl may hold, and how each wrong line is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.recipe.data.review import check_known, read_review

EDITED = "<think> 4 + 5 = 9. </think>\nThe answer is \\boxed{9}."


def write(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_decisions_are_read_by_item_id(tmp_path: Path) -> None:
    path = write(
        tmp_path / "review.jsonl",
        {"id": "direct-1", "decision": "accept", "reviewer": "Eva", "note": "fine"},
        {"id": "direct-2", "decision": "edit", "text": f" {EDITED} "},
        {"id": "r1_zero-3", "decision": "reject"},
    )
    decisions = read_review(path)
    assert {item: decision.kind for item, decision in decisions.items()} == {
        "direct-1": "accept", "direct-2": "edit", "r1_zero-3": "reject",
    }  # fmt: skip
    assert decisions["direct-2"].text == EDITED


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{nonsense", "line 2: not JSON"),
        ('["a"]', "line 2: a JSON object is needed"),
        ({"decision": "accept"}, "line 2: id must be an item's id"),
        ({"id": 7, "decision": "accept"}, "line 2: id must be an item's id, got 7"),
        ({"id": "b", "decision": "yes"}, "line 2: decision must be one of accept, edit, reject"),
        ({"id": "b"}, "line 2: decision must be one of accept, edit, reject"),
        ({"id": "a", "decision": "reject"}, "line 2: item a was decided already, in .*line 1"),
        ({"id": "b", "decision": "edit"}, "line 2: an edit needs its new text"),
        ({"id": "b", "decision": "edit", "text": " "}, "line 2: an edit needs its new text"),
        ({"id": "b", "decision": "accept", "text": EDITED}, "line 2: text is for the decision edit; this one is accept"),
        ({"id": "b", "decision": "edit", "text": "The answer is 9."}, "line 2: the text must be <think> thinking </think>"),
        ({"id": "b", "decision": "reject", "txt": "x"}, "line 2: unknown key 'txt'"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(tmp_path: Path, row: dict[str, Any] | str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_review(write(tmp_path / "review.jsonl", {"id": "a", "decision": "accept"}, row))


def test_a_review_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: cannot be read"):
        read_review(tmp_path / "gone.jsonl")


def test_a_decision_on_an_item_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    decisions = read_review(write(tmp_path / "review.jsonl", {"id": "direct-1", "decision": "accept"}))
    check_known(decisions, ["direct-1", "direct-2"])
    with pytest.raises(DataError, match=r"line 1: there is no item 'direct-1'; ids stand in the items.jsonl"):
        check_known(decisions, ["direct-2"])

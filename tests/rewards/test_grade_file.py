from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.rewards.grade_file import grade_file, read_rows

ROWS: list[dict[str, Any]] = [
    {"id": 1, "kind": "math", "prediction": "<think>x</think><answer>42</answer>", "gold": "42"},
    {"kind": "choice", "prediction": "B。不是 A", "gold": "B", "contract": "bare"},
    {"kind": "exact", "prediction": "<answer>the Paris!</answer>", "gold": "paris"},
    {"kind": "logic", "prediction": "<answer>Ann is a knave</answer>", "gold": {"Ann": True}},
    {"kind": "countdown", "prediction": "<answer>3 * 4 + 2</answer>", "numbers": [2, 3, 4], "target": 14},
    {"kind": "format", "prediction": "<think>a</think>b", "format_contract": "think_text"},
    {"kind": "language", "prediction": "four english words here 三", "language": "en"},
    {"kind": "ifeval", "prediction": "a, b", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    {"kind": "math", "prediction": "lone surrogate \ud800 \\boxed{1}", "gold": "1"},
]


def write(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_each_line_comes_back_in_order_with_its_verdict(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    summary = grade_file(write(tmp_path / "in.jsonl", ROWS), out, workers=2)
    graded = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [{name: row[name] for name in given} for row, given in zip(graded, ROWS, strict=True)] == ROWS
    assert [row["verdict"] for row in graded] == ["right"] * 3 + ["wrong"] + ["right"] * 2 + ["wrong"] * 2 + ["right"]
    assert graded[6]["score"] == 0.8
    assert graded[0]["extracted"] == "42"
    assert all(row["reason"] and row["seconds"] >= 0 for row in graded)
    assert summary == "9 graded: 6 right, 3 wrong, 0 without a verdict"


def test_what_the_rows_are_is_said_before_they_are_graded(tmp_path: Path) -> None:
    path, said = write(tmp_path / "in.jsonl", [*ROWS, {**ROWS[0], "note": "n"}]), list[str]()
    grade_file(path, tmp_path / "out.jsonl", say=said.append)
    assert said == [
        f"{path}: 10 rows; kind: math 3, choice 1, exact 1, logic 1, countdown 1, format 1, language 1, ifeval 1; "
        "contract: r1 9, bare 1",
        "  keys that no grader reads: id 2, note 1",
    ]


def test_an_audit_writes_the_disagreements_beside_the_verdicts(tmp_path: Path) -> None:
    rows = [
        {"kind": "math", "prediction": r"\boxed{0.333333}", "gold": r"\frac{1}{3}"},
        {"kind": "math", "prediction": r"\boxed{2}", "gold": "2"},
    ]
    summary = grade_file(write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", workers=1, audit=True)
    (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl.audit.jsonl").read_text().splitlines()]
    assert row == {"line": 1, "reference": r"\frac{1}{3}", "answer": "0.333333", "ours": False, "library": True}
    assert summary.startswith("2 graded: 1 right, 1 wrong, 0 without a verdict; 1 disagreements")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "object"),
        ('{"kind": "math", "gold": "1"}', "'prediction' is needed"),
        ('{"kind": "maths", "prediction": "", "gold": "1"}', "'maths' is unknown"),
        ('{"kind": "math", "prediction": "1"}', "needs the field 'gold'"),
        ('{"kind": "math", "prediction": "1", "gold": ["1"]}', "needs a text"),
        ('{"kind": "math", "prediction": "1", "gold": "1", "contract": "boxed"}', "'boxed' is unknown"),
        ('{"kind": "logic", "prediction": "1", "gold": {"Ann": "knight"}}', "true for a knight"),
        ('{"kind": "countdown", "prediction": "1", "numbers": [1.5], "target": 1}', "list of integers"),
        ('{"kind": "code", "prediction": "1", "mode": "function", "tests": [[1, 2]]}', "entry_point"),
        ('{"kind": "code", "prediction": "1", "mode": "stdin", "tests": []}', "list of tests"),
        ('{"kind": "code", "prediction": "1", "mode": "stdin", "tests": [{"input": "1"}]}', "a stdin test is"),
        ('{"kind": "code", "prediction": "1", "mode": "function", "entry_point": "f", "tests": [3]}', "a function test is"),
        ('{"kind": "code", "prediction": "1", "mode": "stdin", "tests": "assert 1", "limits": {"cpu": 1}}', "no limit 'cpu'"),
        ('{"kind": "gym", "prediction": "1", "entry": {"answer": "1", "metadata": {}}}', "needs the field 'generator'"),
        ('{"kind": "gym", "prediction": "1", "generator": "chain_sum", "entry": {}}', "question, answer, metadata"),
        ('{"kind": "format", "prediction": "1", "format_contract": "tags"}', "think_answer"),
        ('{"kind": "ifeval", "prediction": "1", "instruction_id_list": ["a"], "kwargs": []}', "1 instructions"),
        ('{"kind": "custom", "prediction": "1"}', "file.py:function"),
        ('{"kind": "math", "prediction": "1", "gold": ' + "1" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_an_invalid_line_is_refused_with_its_number_before_anything_is_graded(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2: ") as caught:
        grade_file(path, tmp_path / "out.jsonl")
    assert why in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_bytes_that_are_not_utf8_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"prediction": "é"}'.encode("latin-1"))
    (tmp_path / "empty.jsonl").write_text("\n")
    for name, why in (("latin", "not UTF-8"), ("empty", "no lines"), ("missing", "No such file")):
        with pytest.raises(DataError, match=why):
            grade_file(tmp_path / f"{name}.jsonl", tmp_path / "out.jsonl")


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS[0]).encode() + b"\r\n" + json.dumps(ROWS[1]).encode() + b"\r\n")
    assert read_rows(path, custom=False) == ROWS[:2]


def test_a_function_that_would_judge_no_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(ROWS[0]))
    with pytest.raises(DataError, match=r"in\.jsonl: no line is of kind custom, .* leave it out"):
        grade_file(path, tmp_path / "out.jsonl", custom="judge.py:judge")

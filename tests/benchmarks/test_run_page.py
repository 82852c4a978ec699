"""The page of one run: what it finds in completions and rows, by hand-worked ones."""

import json
from pathlib import Path

from benchmarks.run_page import cost_table, equation_table, equations_in, in_cell, percent


def test_equations_of_two_numbers_are_found_with_what_they_are_and_what_the_text_says() -> None:
    text = "<think> 3 * 5 = 15, then 7341 - 4221 = 214; 9 / 0 = 1; 1.5+2=3.5 </think> 18 (hers) + 41 (his) = 59"
    assert equations_in(text) == [("*", 15.0, 15.0), ("-", 3120.0, 214.0), ("+", 3.5, 3.5)]


def test_choosing_the_right_equation_and_computing_it_are_counted_apart(tmp_path: Path) -> None:
    rows = [
        {"prompt": "p", "task": "t", "gold": "15", "completion": "3 * 5 = 16"},  # the right one, wrongly computed
        {"prompt": "p", "task": "t", "gold": "15", "completion": "3 + 5 = 8"},  # the other way round
        {"prompt": "other", "task": "t", "gold": "15", "completion": "3 * 5 = 15"},
    ]
    (tmp_path / "evaluate.base").mkdir()
    (tmp_path / "evaluate.base" / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = {"stages": {"base": {}}, "summaries": {"evaluate.base": {"prompt": "p"}}}
    (row,) = equation_table(tmp_path, results, "t").splitlines()[2:]
    assert row == "| Base | 50.0 | 50 (of 2) | 100 (of 1) |  | 0 (of 1) |  |"


def test_the_cost_of_a_stage_is_told_by_the_clock_and_by_its_median_step(tmp_path: Path) -> None:
    (tmp_path / "r1_zero").mkdir()
    lines = [json.dumps({"step": step, "seconds": seconds}) for step, seconds in enumerate((60, 60, 600))]
    (tmp_path / "r1_zero" / "metrics.jsonl").write_text("\n".join(lines))
    table = cost_table(tmp_path, {"seconds": {"base": 0.0, "r1_zero": 720.0, "evaluate.r1_zero": 30.0}})
    assert table.splitlines()[2:] == ["| R1-Zero | 3 | 12.0 | 3 |", "| evaluation of R1-Zero |  | 0.5 |  |"]


def test_completions_stand_in_a_cell_in_one_line_and_long_ones_are_cut() -> None:
    assert in_cell(" a | `b`\nc ") == "`a \u2223 'b' ⏎ c`"
    assert in_cell("  ") == "(nothing)"
    assert in_cell("x" * 500) == f"`{'x' * 400} …`"


def test_estimates_are_percent_with_their_interval() -> None:
    assert percent({"value": 0.249, "ci95": [0.2, 0.305]}) == "24.9 [20.0, 30.5]"
    assert percent({"value": 1.0, "ci95": [0.98, 1.0]}, interval=False) == "100.0"

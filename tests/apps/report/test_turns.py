"""The report's section of turns: which problems are shown, what is marked, and that nothing breaks out of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.report.report import write_report
from cogitate.apps.report.turns import MOST, newly_solved
from tests.apps.report.report_page import Page
from tests.apps.synthetic_run import HOSTILE, write_run

TRIED = "Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes."
TURN = {"start": TRIED.index(", not 6"), "end": TRIED.index(", not 6") + len(", not 6"), "kind": "rejected try"}


def row(step: int, problem: str, verdict: str, turn: Any = None, completion: str = TRIED, **further: Any) -> dict[str, Any]:
    return {
        "step": step, "task": "countdown", "problem_id": problem, "question": f"Make 6, {problem}.", "gold": "10 - 4",
        "completion": completion, "verdict": verdict, "turn": turn, "level": 2, **further,
    }  # fmt: skip


def report(tmp_path: Path, rows: list[dict[str, Any]]) -> Page:
    run = write_run(tmp_path / "tiny")
    path = run / "r1_zero" / "transcripts.jsonl"
    path.write_text(path.read_text() + "".join(json.dumps(each) + "\n" for each in rows))
    return Page(write_report([run], tmp_path / "report.html"))


def test_a_problem_counts_at_the_first_step_that_solves_it_after_one_that_did_not() -> None:
    rows = [
        row(0, "a", "wrong"), row(0, "a", "wrong"), row(0, "b", "right"), row(0, "c", "wrong"), row(0, "d", "none"),
        row(5, "a", "wrong"), row(5, "a", "right", TURN), row(5, "b", "wrong"), row(5, "c", "right"),
        row(5, "d", "right", TURN),
        row(9, "a", "wrong"), row(9, "b", "right"), row(9, "b", "right", TURN), row(9, "e", "right", TURN),
        row(12, "a", "right", TURN),
    ]  # fmt: skip
    found = newly_solved(rows)
    assert [(each.after["problem_id"], each.before["step"], each.after["step"], each.turns) for each in found] == [
        ("a", 0, 5, True),
        ("c", 0, 5, False),
        ("b", 5, 9, True),  # of its two right completions the one that turns
    ]


def test_the_turn_is_marked_beside_the_completion_of_the_step_before(tmp_path: Path) -> None:
    rows = [
        row(0, "a", "wrong", completion="It is 4 + 1."),
        row(0, "b", "wrong"),
        row(10, "a", "right", TURN),
        row(10, "b", "right"),
    ]
    page = report(tmp_path, rows)
    section = page.source[page.source.index('<section id="turns"') : page.source.index('<section id="time"')]
    assert section.count("<mark>") == 1
    assert "15<mark>, not 6</mark>. Try 10 - 4" in section
    assert "It is 4 + 1." in section
    assert section.index("step 0") < section.index("step 10")
    assert "1 of 2 newly solved problems by a completion that turns" in section
    assert "Countdown, level 2 · expected: 10 - 4" in section
    assert "the turn: a try is rejected, and another one follows" in section
    assert 'href="#turns"' in page.source


def test_only_the_first_of_many_are_shown(tmp_path: Path) -> None:
    rows = [row(step, f"p{n}", "right" if step else "wrong", TURN) for step in (0, 10) for n in range(MOST + 3)]
    page = report(tmp_path, rows)
    assert page.source.count("<mark>") == MOST
    assert f"{MOST + 3} of {MOST + 3} newly solved" in page.visible


def test_nothing_in_it_becomes_part_of_the_page(tmp_path: Path) -> None:
    turn = {"start": 3, "end": len(HOSTILE) + 3, "kind": HOSTILE}
    rows = [
        row(step, HOSTILE, verdict, turn, f"ab {HOSTILE} cd", question=HOSTILE, gold=HOSTILE, task=HOSTILE, level=HOSTILE)
        for step, verdict in ((0, "wrong"), (10, "right"))
    ]
    page = report(tmp_path, rows)
    assert page.elements.count("script") == 2
    assert "img" not in page.elements
    assert not any(name.startswith("on") or name == "src" for name, _ in page.attributes)
    assert page.visible.count(f"{HOSTILE} ") >= 4
    assert "://" not in page.source.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("rows", [[], [row(0, "a", "wrong"), row(10, "a", "right")]])
def test_there_is_no_section_where_nothing_turned(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    page = report(tmp_path, rows)
    assert "turns" not in [value for name, value in page.attributes if name == "id"]
    assert "#turns" not in page.source

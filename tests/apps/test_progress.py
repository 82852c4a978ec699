import io
from pathlib import Path

import pytest
from rich.console import Console

from cogitate.apps.progress import Bar, Both, Clock, Lines, left_text, minutes_text, shown_metrics
from cogitate.costs.factors import Estimate
from cogitate.recipe.run_directory.planned import PlannedStage, write_planned


def test_the_metrics_a_person_follows_are_shown_in_their_order_with_units() -> None:
    row = {"step": 3, "tokens_per_second": 3214.6, "reward": 0.4321, "kl": 0.1, "completion_tokens": 61.4, "loss": None}
    assert shown_metrics(row) == "reward 0.43  length 61  tokens/s 3,215"


def test_without_a_terminal_each_stage_has_plain_lines_for_its_first_and_last_step(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.stage_begins("r1_zero", 2, 5)
    for step in range(2, 5):
        lines.row("r1_zero", {"step": step, "reward": 0.5})
    lines.stage_ends("r1_zero")
    assert capsys.readouterr().err.splitlines() == [
        "r1_zero: 5 steps, going on from step 2",
        "r1_zero: 3/5  reward 0.50  0:00",
        "r1_zero: 5/5  reward 0.50  0:00",
    ]


def test_on_a_terminal_there_is_one_bar_with_stage_step_metrics_and_time() -> None:
    bar = Bar()
    bar.console = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    bar.stage_begins("r1_zero", 2, 5)
    bar.row("r1_zero", {"step": 3, "reward": 0.5, "tokens_per_second": 1000.0})
    bar.say("a group was [dropped]")
    bar.stage_ends("r1_zero")
    assert isinstance(bar.console.file, io.StringIO)
    text = bar.console.file.getvalue()
    for word in ("r1_zero", "4/5", "reward 0.50", "tokens/s 1,000", "0:00:0", "a group was [dropped]"):
        assert word in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_a_stage_says_which_of_how_many_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    lines, bar = Lines(), Bar()
    bar.console = Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False)
    for display in (lines, bar):
        display.run_begins(["base", "evaluate.base", "r1_zero", "evaluate.r1_zero"])
        display.stage_begins("r1_zero", 0, 5)
        display.stage_ends("r1_zero")
    assert capsys.readouterr().err == "r1_zero: stage 3 of 4, 5 steps\n"
    assert isinstance(bar.console.file, io.StringIO)
    assert "stage 3 of 4" in bar.console.file.getvalue()


def test_the_time_left_goes_by_the_pace_of_this_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("cogitate.apps.progress.time.monotonic", lambda: now[0])
    clock = Clock(10, 50)
    now[0] += 30
    assert clock.left(11) is None  # one step says little
    assert clock.left(12) == 15 * 38
    assert clock.left(50) is None
    assert left_text(15 * 38) == "about 9:30 left"
    assert left_text(None) == ""
    assert minutes_text(3661) == "1:01:01"


def test_a_budget_of_tokens_says_how_many_steps_a_stage_will_take(capsys: pytest.CaptureFixture[str]) -> None:
    lines, bar = Lines(), Bar()
    bar.console = Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False)
    rows = [{"step": 0, "reward": 0.5, "budget_spent": 0.3}, {"step": 1, "reward": 0.5, "budget_spent": 1.04}]
    for display in (lines, bar):
        display.stage_begins("r1_zero", 0, 100_000)
        for row in rows:
            display.row("r1_zero", row)
        display.stage_ends("r1_zero")
    assert capsys.readouterr().err.splitlines()[1:] == ["r1_zero: 1/4  reward 0.50  0:00", "r1_zero: 2/2  reward 0.50  0:00"]
    assert isinstance(bar.console.file, io.StringIO)
    assert "2/2" in bar.console.file.getvalue()


def test_rows_before_a_stage_says_how_many_steps_it_has_do_no_harm() -> None:
    bar = Bar()
    bar.row("base", {"step": 0})
    bar.stage_ends("base")


def test_both_watchers_see_everything(capsys: pytest.CaptureFixture[str]) -> None:
    both = Both(Lines(), Lines())
    both.stage_begins("base", 0, 1)
    both.row("base", {"step": 0, "loss": 1.0})
    both.stage_ends("base")
    both.say("done")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0::2] == lines[1::2] == ["base: 1 step", "base: 1/1  loss 1.000  0:00", "done"]


def test_the_time_left_in_all_is_this_stages_by_its_pace_and_the_rest_by_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("cogitate.apps.progress.time.monotonic", lambda: now[0])
    clock = Clock(0, 10, (200.0, 60.0))
    assert clock.left_text(0) == "about 4:20 left in all"
    now[0] += 30
    assert clock.left_in_all(1) == 170 + 60  # one step says little
    assert clock.left_text(2) == "about 2:00 left, about 3:00 in all"
    assert clock.left_in_all(10) == 60
    resumed = Clock(5, 10, (200.0, 60.0))
    assert resumed.left_in_all(5) == 100 + 60
    assert Clock(0, 10).left_in_all(5) is None


def test_a_stage_that_begins_says_what_the_plan_leaves_of_the_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hour = PlannedStage(Estimate(3600.0, 3000.0, 4000.0), Estimate(1e9, 1e9, 1e9))
    write_planned(tmp_path, "this computer", {"base": hour, "r1_zero": hour})
    lines, bar = Lines(tmp_path), Bar(tmp_path)
    bar.console = Console(file=io.StringIO(), force_terminal=True, width=160, highlight=False)
    for display in (lines, bar):
        display.run_begins(["base", "r1_zero"])
        display.stage_begins("base", 0, 5)
        display.stage_ends("base")
    assert capsys.readouterr().err == "base: stage 1 of 2, 5 steps; about 2:00:00 left in all\n"
    assert isinstance(bar.console.file, io.StringIO)
    assert "about 2:00:00 left in all" in bar.console.file.getvalue()


def test_a_damaged_plan_does_not_stop_a_display(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.json").write_text("{", encoding="utf-8")
    lines = Lines(tmp_path)
    lines.run_begins(["base"])
    lines.stage_begins("base", 0, 5)
    assert capsys.readouterr().err == "base: stage 1 of 1, 5 steps\n"

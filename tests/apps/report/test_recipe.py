"""The report of a made-up run of the whole recipe."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.report.data import load_run, load_runs
from cogitate.apps.report.report import write_report
from cogitate.apps.report.sets import data_section, judges_table, read_data_set
from tests.apps.report.report_page import Page
from tests.apps.synthetic_recipe import DROPPED, FIRST_HACKED, MODELS, write_recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("whole") / "tiny")


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page(write_report([run], run / "report.html"))


def in_order(text: str, *words: str) -> bool:
    """Whether the words occur one after the other."""
    at = -1
    for word in words:
        at = text.find(word, at + 1)
        if at < 0:
            return False
    return True


def test_the_staged_table_has_every_model_in_the_order_of_the_graph_and_students_below(page: Page) -> None:
    table = page.visible[page.visible.index("What each stage can do") : page.visible.index("two ways to reason")]
    assert in_order(table, "Longest third", "Format", "Mixed", "Reflects", "Helpfulness", "Safety", "Thinking tokens")
    assert in_order(table, "Base", "few-shot", "R1-Zero", "R1-Dev1", "plain turn", "R1-Dev2", "R1-Dev3", "R1", "Gain")
    assert in_order(table, "few-shot; the answer is taken wherever it stands", "R1-Zero template; think and answer tags")
    assert in_order(table, "R1-Dev1", "plain turn; thinking, then a summary")
    assert in_order(table, "Gain", "Students", "Student base (Llama)", "R1-Distill (Qwen)", "RL alone (Qwen)")
    assert table.count("Format") == 1


def test_the_story_is_of_the_stage_that_wrote_and_learnt_longest_though_reward_models_log_more_steps(tmp_path: Path) -> None:
    run = write_recipe(tmp_path / "tiny")
    path = run / "r1_zero" / "metrics.jsonl"
    steps = len(path.read_text().splitlines())
    losses = "".join(json.dumps({"step": step, "reward": 0.5, "loss": 0.7}) + "\n" for step in range(steps + 50))
    (run / "reward_models" / "metrics.jsonl").write_text(losses)
    for later in ("r1_dev2", "r1"):
        (run / later / "metrics.jsonl").write_text("".join(path.read_text().splitlines(keepends=True)[: steps // 2]))
    page = Page(write_report([run], tmp_path / "report.html"))
    assert f"In {steps} steps of R1-Zero" in page.visible
    assert "Right at the first try, stage by stage: Base 53.0 %, R1-Zero " in page.visible


def test_the_gain_is_that_of_the_line_from_base_to_r1(page: Page) -> None:
    assert "Base 53.0 % → R1 96.0 %: +43.0 points" in page.visible


def test_students_are_compared_from_the_same_base(page: Page) -> None:
    part = page.visible[page.visible.index("two ways to reason") :]
    assert in_order(
        part, "Base", "RL alone", "Distilled from R1's data", "Llama", "31.0 %", "60.0 %", "90.0 %", "Qwen", "33.0 %"
    )
    assert "trained for 45.0 s" in part


def test_data_sets_are_counted_by_source_and_by_the_rule_that_dropped(run: Path, page: Page) -> None:
    found = read_data_set(load_run(run).stages["cold_start"])
    assert found is not None
    assert dict(found.kept) == {"few_shot": 31, "direct": 44, "r1_zero": 120}
    assert found.rules == ["wrong answer", "mixed language", "duplicate"]  # the most frequent first
    assert sum(found.dropped.values()) == sum(DROPPED.values())
    part = page.visible[page.visible.index("What was learnt from") :]
    assert in_order(part, "Cold-start data", "Wrong answer", "Few shot", "31", "12.7 %", "213", "All", "195")
    assert in_order(part, "SFT data", "Reasoning", "General")


def test_reward_models_are_shown_with_their_held_out_accuracy_and_length_bias(page: Page) -> None:
    part = page.visible[page.visible.index("What was learnt from") :]
    assert in_order(part, "Reward models", "shorter one", "Correlation of score and length")
    assert in_order(part, "Helpfulness", "120 held out", "83.0 %", "0.11", "Safety", "90 held out", "95.0 %")


def test_steps_at_which_the_reward_was_hacked_are_marked_and_said(run: Path, page: Page) -> None:
    assert f"R1: at 10 steps, first at step {FIRST_HACKED}, the reward models' score had risen" in page.visible
    marks = [attributes for attributes in page.attributes if attributes == ("class", "flag")]
    assert len(marks) == 2 * 10  # in the picture of both scores and in that of their gap
    assert f"flagged at 10 steps, first at {FIRST_HACKED}" in page.visible
    assert "flagged steps" in page.visible
    assert "Reward hacking" not in page.visible  # it needs no picture of its own


def test_every_stage_that_logged_has_its_curves_and_only_the_first_is_open(page: Page) -> None:
    titles = ("R1-Zero", "R1-Dev1", "R1-Dev2", "R1", "Student, RL alone (Qwen)")
    curves = page.visible[page.visible.index("How it got there") :]
    assert in_order(curves, "R1-Zero", "40 steps logged", "R1-Dev2", "40 steps logged", "R1", "40 steps logged")
    assert all(f"{title} " in curves for title in titles)
    assert page.attributes.count(("open", None)) == 1
    assert in_order(curves, "Fine-tuning side by side", "Surprise at the next token")


def test_fine_tuning_losses_stand_in_one_picture(page: Page) -> None:
    charts = [json.loads(value) for value in page.values("data-chart")]
    (together,) = [chart for chart in charts if len(chart["series"]) == 4 and chart["series"][0][0] == "R1-Dev1"]
    assert [name for name, _ in together["series"]] == ["R1-Dev1", "R1-Dev3", "R1-Distill (Llama)", "R1-Distill (Qwen)"]


def test_an_unfinished_data_stage_and_a_run_without_any_have_no_section(tmp_path: Path) -> None:
    directory = write_recipe(tmp_path / "tiny")
    for name in ("cold_start", "sft_data", "reward_models"):
        for file in (directory / name).iterdir():
            file.unlink()
    assert data_section(load_runs([directory])) == ""
    assert len(load_run(directory).results["stages"]) == len(MODELS)


def test_members_of_an_ensemble_stand_below_what_they_say_together() -> None:
    def report(accuracy: float) -> dict[str, Any]:
        return {"held_out_pairs": 40, "accuracy": {"value": accuracy, "ci95": [accuracy - 0.1, accuracy + 0.1]}}

    agreement = {"value": 0.85, "ci95": [0.8, 0.9]}
    several = {**report(0.75), "score": "worst", "agreement": agreement, "members": [report(0.7), report(0.72)]}
    page = judges_table("Reward models", {"helpfulness": several, "safety": report(0.9)})
    names = re.findall(r'<th scope="row" class="model">([^<]+)<', page)
    assert names == ["Helpfulness, 2 members by worst", "Helpfulness, member 1", "Helpfulness, member 2", "Safety"]
    assert "All members agree" in page
    assert "All members agree" not in judges_table("Reward models", {"helpfulness": report(0.75)})

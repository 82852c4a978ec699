"""`cogitate compare` of made-up runs: what differs, what can be paired, and what is refused."""

import json
from pathlib import Path

import pytest

from cogitate.apps.compare import compare_runs, write_comparison
from cogitate.errors import ArtifactError, ConfigError
from tests.apps.synthetic_run import write_json, write_run


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    first, second = write_run(tmp_path / "grpo", seed=0), write_run(tmp_path / "dapo", seed=1)
    settings = json.loads((second / "config.json").read_text())
    settings["r1_zero"]["method"] = "dapo"
    write_json(second / "config.json", settings | {"seed": 0})
    return first, second


def right_by_problem(run: Path, model: str) -> dict[str, list[bool]]:
    """By hand: the completions at the prompt that the model is scored by."""
    prompt = json.loads((run / f"evaluate.{model}" / "manifest.json").read_text())["summary"]["prompt"]
    found: dict[str, list[bool]] = {}
    for row in map(json.loads, (run / f"evaluate.{model}" / "completions.jsonl").read_text().splitlines()):
        if row["prompt"] == prompt:
            found.setdefault(row["problem_id"], []).append(row["right"])
    return found


def test_settings_that_differ_are_named_with_both_values_and_equal_ones_are_not(runs: tuple[Path, Path]) -> None:
    settings = compare_runs(runs).settings
    assert settings["r1_zero.method"] == ["grpo", "dapo"]
    assert settings["r1_zero.kl_beta"] == [0.001, 0.0]  # the method brings it
    assert "seed" not in settings
    assert "r1_zero.steps" not in settings


def test_a_difference_is_of_the_second_run_less_the_first_on_the_same_problems(runs: tuple[Path, Path]) -> None:
    comparison = compare_runs(runs)
    assert [each.model for each in comparison.models] == ["base", "r1_zero"]
    zero = comparison.models[1]
    first, second = (right_by_problem(run, "r1_zero") for run in runs)
    by_hand = sum(sum(second[name]) / 2 - sum(first[name]) / 2 for name in first) / len(first)
    (differences,) = zero.differences
    assert differences["all"].problems == len(first) == 6
    assert differences["all"].estimate.value == pytest.approx(by_hand)
    assert differences["all"].estimate.low is not None
    assert zero.pass_at_1[0] is not None
    assert zero.pass_at_1[0].value == 0.71
    text = comparison.text()
    assert f"A: {runs[0]}" in text
    assert f"{100 * by_hand:+.1f} (" in text
    assert "4 min 1 s" in text


def test_where_nothing_can_be_paired_a_line_says_why(runs: tuple[Path, Path]) -> None:
    (runs[1] / "evaluate.r1_zero" / "completions.jsonl").unlink()
    path = runs[1] / "evaluate.base" / "completions.jsonl"
    path.write_text(path.read_text().replace("What is 5", "How much is 5"))
    base, zero = compare_runs(runs).models
    assert (base.differences, base.notes) == (({},), ("not paired: no problem in common",))
    assert zero.notes == (f"not paired: no completions in {runs[1]}",)
    assert "not paired: no problem in common" in compare_runs(runs).text()


def test_other_prompts_and_fewer_common_problems_are_said(runs: tuple[Path, Path]) -> None:
    path = runs[1] / "evaluate.r1_zero"
    lines = (path / "completions.jsonl").read_text().splitlines()
    (path / "completions.jsonl").write_text("\n".join(lines[:6]).replace('"prompt": "r1_zero"', '"prompt": "chat"') + "\n")
    manifest = json.loads((path / "manifest.json").read_text())
    write_json(path / "manifest.json", manifest | {"summary": manifest["summary"] | {"prompt": "chat"}})
    assert compare_runs(runs).models[1].notes == ("on the 3 problems in common, of 6; prompt chat against r1_zero",)


def test_three_runs_are_each_compared_with_the_first(runs: tuple[Path, Path], tmp_path: Path) -> None:
    third = write_run(tmp_path / "third", seed=7)
    results = json.loads((third / "results.json").read_text())
    del results["stages"]["base"]
    write_json(third / "results.json", results)
    base, zero = compare_runs([*runs, third]).models
    assert [bool(found) for found in zero.differences] == [True, True]
    assert base.pass_at_1[2] is None
    assert base.notes[1] == "not measured"
    assert "C - A" in compare_runs([*runs, third]).text()


def test_a_model_that_one_run_alone_has_measured_is_a_line(runs: tuple[Path, Path]) -> None:
    results = json.loads((runs[1] / "results.json").read_text())
    del results["stages"]["r1_zero"]
    write_json(runs[1] / "results.json", results)
    assert f"only {runs[0]} measured r1_zero" in compare_runs(runs).text()


def test_a_run_counts_once_through_whatever_link(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(runs[0])
    with pytest.raises(ArtifactError, match=r"given twice; a run counts once"):
        compare_runs([runs[0], runs[0]])
    with pytest.raises(ArtifactError, match=r"the same directory; a run counts once"):
        compare_runs([runs[0], tmp_path / "link"])
    with pytest.raises(ArtifactError, match="at least two"):
        compare_runs(runs[:1])


def test_everything_can_be_written_as_json_and_as_nothing_else(runs: tuple[Path, Path], tmp_path: Path) -> None:
    comparison = compare_runs(runs)
    write_comparison(comparison, tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["settings"]["r1_zero.method"] == ["grpo", "dapo"]
    assert content["models"]["r1_zero"]["differences"][0]["all"]["problems"] == 6
    with pytest.raises(ConfigError, match=r"name a \.json file"):
        write_comparison(comparison, tmp_path / "out.html")
    with pytest.raises(ConfigError, match="there is no directory"):
        write_comparison(comparison, tmp_path / "nowhere" / "out.json")

"""The report of made-up runs: what it shows, that it stands alone, and that nothing in a completion can break out of it."""

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from cogitate.apps.report import completions
from cogitate.apps.report.completions import browser_data, describe, share_out, spread, within_budget
from cogitate.apps.report.data import load_run, load_runs, pooled_of
from cogitate.apps.report.notices import missing_verdicts
from cogitate.apps.report.report import json_for_html, write_curve_png, write_report
from cogitate.costs.factors import Estimate
from cogitate.errors import ArtifactError, DataError
from cogitate.recipe.run_directory.failure import failure_recorded
from cogitate.recipe.run_directory.planned import PlannedStage, write_planned
from tests.apps.report.report_page import Page
from tests.apps.synthetic_run import HOSTILE, one_completion, write_json, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "tiny")


def report(directories: Sequence[Path], tmp_path: Path) -> Page:
    return Page(write_report(directories, tmp_path / "report.html"))


def test_the_report_says_what_changed_and_how_sure_that_is(run: Path, tmp_path: Path) -> None:
    page = report([run], tmp_path)
    assert "Base 27.0 % → R1-Zero 71.0 %: +44.0 points" in page.visible
    assert "24.0 – 30.0" in page.visible
    assert "intervals apart" in page.visible
    assert "on the longest third" in page.visible
    assert re.search(r"rank correlation with the step (1\.00|0\.9\d)", page.visible)


def test_every_logged_number_is_a_plot_even_one_no_list_names(run: Path, tmp_path: Path) -> None:
    path = run / "r1_zero" / "metrics.jsonl"
    rows = [json.loads(line) | {"surprise": index % 3} for index, line in enumerate(path.read_text().splitlines())]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report([run], tmp_path)
    for title in ("Accuracy by task", "Parts of the reward", "Entropy", "Cut off at the limit", "Languages mixed", "Surprise"):
        assert title in page.visible
    charts = [json.loads(value) for value in page.values("data-chart")]
    drawn = {name for chart in charts for name, _ in chart["series"]}
    assert {"arithmetic", "word problems", "format", "generate", "held out", "train"} <= drawn


def test_what_is_the_same_at_every_step_is_a_line_and_no_picture(run: Path, tmp_path: Path) -> None:
    path = run / "r1_zero" / "metrics.jsonl"
    clips = {"clip_share": 0.0, "clip_share_low": 0.0, "ratio_mean": 1.0, "ratio_max": 1.5}
    rows = [json.loads(line) | clips for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report([run], tmp_path)
    (line,) = re.findall(r"The same at every step: [^<]*Ratio[^<]*", page.visible)
    assert "Ratio of new to old policy (mean 1, largest 1.5)" in line
    assert "Clipped tokens 0.0 %" in line
    assert "No verdict 0.0 %" in line
    titles = re.findall(r"<figcaption><h4>([^<]*)</h4>", page.source)
    assert "Reward" in titles
    assert not {"Clipped tokens", "Ratio of new to old policy", "No verdict"} & set(titles)


def test_the_page_loads_nothing_and_forbids_it(run: Path, tmp_path: Path) -> None:
    page = report([run], tmp_path)
    assert not any(name in ("src", "action", "srcset") for name, _ in page.attributes)
    assert all(value.startswith("#") or value.endswith(".md") for value in page.values("href"))
    assert "default-src 'none'" in page.values("content")[-1] or "default-src 'none'" in page.source
    outside = page.source.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert "://" not in outside
    assert "@import" not in outside
    assert len(page.source) < 600_000


def test_nothing_in_a_completion_becomes_part_of_the_page(tmp_path: Path) -> None:
    page = report([write_run(tmp_path / "tiny", hostile=True)], tmp_path)
    assert page.elements.count("script") == 2
    assert "img" not in page.elements
    assert not any(name.startswith("on") for name, _ in page.attributes)
    texts = ["".join(c["thinking"]) for c in page.data["completions"]]
    assert HOSTILE in texts
    assert HOSTILE in [problem["question"] for problem in page.data["problems"]]


def test_json_for_a_script_element_cannot_close_it_and_reads_back_unchanged() -> None:
    text = json_for_html([HOSTILE, "<!-- ]]> &amp; 等等 \u2029"])
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == [HOSTILE, "<!-- ]]> &amp; 等等 \u2029"]


def test_a_completion_that_looks_like_a_template_is_left_alone(run: Path, tmp_path: Path) -> None:
    row = json.loads((run / "r1_zero" / "transcripts.jsonl").read_text().splitlines()[0]) | {"completion": "{{headline}} {{x}}"}
    (run / "r1_zero" / "transcripts.jsonl").write_text(json.dumps(row) + "\n")
    assert "".join(report([run], tmp_path).data["completions"][0]["after"]) == "{{headline}} {{x}}"


def test_seeds_are_pooled_in_the_table_and_drawn_with_their_range(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"seed{seed}", seed=seed) for seed in range(3)]
    page = report(runs, tmp_path)
    assert "seeds 0, 1, 2" in page.visible
    assert "means of 3 seeds" in page.visible
    assert 'class="band c0"' in page.source
    values = [run.results["stages"]["r1_zero"]["code"]["pass@1"]["value"] for run in load_runs(runs)]
    pooled = pooled_of(load_runs(runs), "r1_zero", "code", "pass@1")
    assert pooled is not None
    assert pooled.value == pytest.approx(sum(values) / 3)
    assert {column["label"] for column in page.data["columns"]} >= {"R1-Zero, seed 0, step 0", "R1-Zero, seed 2, step 30"}


def test_a_run_under_way_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "tiny", finished=False)
    with (directory / "unfinished" / "r1_zero" / "out" / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 40, "rew')  # being written
    page = report([directory], tmp_path)
    assert "R1-Zero is not finished" in page.visible
    assert "it was stopped after 40 steps, and the same command goes on" in page.visible
    assert "has not measured two models yet" in page.visible
    assert len(load_run(directory).stages["r1_zero"].rows) == 40


def test_a_failed_run_says_what_failed_at_its_head(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "tiny", finished=False)
    with pytest.raises(DataError), failure_recorded(directory, "r1_zero"):
        raise DataError("mine.jsonl, line 3: no question")
    page = report([directory], tmp_path)
    assert "R1-Zero failed: mine.jsonl, line 3: no question. The same command goes on from there." in page.visible
    assert page.visible.index("R1-Zero failed") < page.visible.index("R1-Zero is not finished: it failed after 40 steps")
    assert 'class="node model failed"' in page.source
    (tmp_path / "bare").mkdir()
    (directory / "failure.json").rename(tmp_path / "bare" / "failure.json")
    assert "R1-Zero failed" in report([tmp_path / "bare"], tmp_path).visible  # nothing else is left of it


def test_a_share_without_a_verdict_is_said_at_the_head_with_its_first_reason(run: Path, tmp_path: Path) -> None:
    manifest = json.loads((run / "evaluate.r1_zero" / "manifest.json").read_text())
    missing = {"share": 0.125, "first": "mine.jsonl, line 4: the custom reward raised KeyError: 'x'"}
    summary = manifest["summary"] | {"no_verdict": missing}
    write_json(run / "evaluate.r1_zero" / "manifest.json", manifest | {"summary": summary})
    path = run / "r1_zero" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[2] |= {"no_verdict_share": 0.5, "no_verdict_reason": "task haiku, problem 'a': it raised"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    head = report([run], tmp_path).visible.partition("The recipe")[0]
    assert "Measuring R1-Zero: 12.5 % of the completions have no verdict and are in no mean. The first: mine.jsonl" in head
    assert "R1-Zero: 1.2 % of the completions have no verdict" in head
    assert "The first: step 2: task haiku, problem 'a': it raised" in head


def test_an_old_evaluation_says_its_share_without_a_verdict_too(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    results["stages"]["base"]["all"]["no_verdict_share"] = {"value": 0.25, "ci95": [0.1, 0.4]}
    write_json(run / "results.json", results)
    (line,) = missing_verdicts(load_run(run))
    assert line == "Measuring Base: 25.0 % of the completions have no verdict and are in no mean."


def test_first_and_last_steps_are_compared_over_one_population(run: Path, tmp_path: Path) -> None:
    path = run / "r1_zero" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["thinking_tokens_finished"] = 30.0 if row["step"] < 20 else 10.0  # answers to general prompts are short
        row |= {"model_reward": 0.5} if row["step"] >= 20 else {}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    visible = report([run], tmp_path).visible
    assert (
        "of the steps before general prompts join at step 20, the thinking of finished completions went from 30.0 to 30.0"
        in visible
    )
    for row in rows:
        row["thinking_tokens_finished.reasoning"] = 30.0 + row["step"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report([run], tmp_path)
    assert "of reasoning prompts, the thinking of finished completions went from 31.5 to 67.5" in page.visible
    assert "first to last tenth of the steps of R1-Zero, reasoning prompts" in page.visible
    assert ["all", "reasoning prompts"] in [
        [name for name, _ in json.loads(value)["series"]] for value in page.values("data-chart")
    ]


def test_models_of_different_problems_are_not_compared_in_the_headline(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    results["stages"]["base"]["all"]["problems"] = 249
    write_json(run / "results.json", results)
    assert "Base and R1-Zero were measured on different problems" in report([run], tmp_path).visible


def test_a_mean_score_is_a_column_where_partial_credit_makes_it_another_number(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    for scores in results["stages"].values():
        for row in scores.values():
            row["score"] = row["pass@1"]
    write_json(run / "results.json", results)
    assert "Mean score" not in report([run], tmp_path).visible
    results["stages"]["r1_zero"]["all"]["score"] = {"value": 0.613, "ci95": [0.6, 0.7]}
    write_json(run / "results.json", results)
    visible = report([run], tmp_path).visible
    assert "Mean score" in visible
    assert "61.3 %" in visible


def test_levels_have_a_table_of_their_own_and_steps_stand_among_the_measures(run: Path, tmp_path: Path) -> None:
    assert "By level" not in report([run], tmp_path).visible
    results = json.loads((run / "results.json").read_text())
    for name, value in (("base", 0.125), ("r1_zero", 0.625)):
        figures = {
            metric: {"value": value - shift, "ci95": [0.0, 0.75], "problems": count}
            for metric, shift, count in (
                ("pass@1.level_1", 0.0, 77),
                ("pass@1.level_5", 0.0625, 66),
                ("extrapolation", 0.03, 55),
            )
        }
        steps = {"tries": {"value": 3.25, "ci95": [3.0, 3.5]}, "step_accuracy.claim": {"value": 0.98, "ci95": [0.9, 1.0]}}
        for task in ("logic", "all"):
            results["stages"][name][task] |= {**figures, **steps}
    write_json(run / "results.json", results)
    page = report([run], tmp_path)
    start = page.source.index("<h3>By level</h3>")
    section = page.source[start : page.source.index("</table>", start)]
    assert re.findall(r">(Level \d|Extrapolation)<br>", section) == ["Level 1", "Level 5", "Extrapolation"]
    assert "66 problems" in section
    assert "62.5" in section
    measures = page.source[page.source.index("Everything else that was measured") :]
    measures = measures[: measures.index("</table>")]
    assert "Level 1" not in measures
    assert "… claims" in measures
    assert "3.25" in measures
    assert "<h4>Level 5, pass@1</h4>" in page.source  # by task


def test_curves_of_puzzles_are_drawn_with_a_line_for_each_level(run: Path, tmp_path: Path) -> None:
    path = run / "r1_zero" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for index, row in enumerate(rows):
        row |= {"tries": 1.0 + index, "distinct_tries": 1.0 + index / 2, "rejecting_rate": index / 100, "step_accuracy": 0.9}
        row |= {f"thinking_tokens_finished.level_{level}": 10.0 * level + index for level in (1, 2)}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report([run], tmp_path)
    drawn = [[name for name, _ in json.loads(value)["series"]] for value in page.values("data-chart")]
    assert ["level 1", "level 2"] in drawn
    assert ["all", "without repeats"] in drawn
    assert "Right statements 90.0 %" in page.visible  # the same at every step
    assert re.search(r"Tries of a problem *2.5 → *38.5 *first to last tenth of the steps of R1-Zero, puzzles", page.visible)
    assert "Also logged" not in page.source


def test_each_stage_tells_its_data_method_settings_and_cost_with_a_link_to_its_page(run: Path, tmp_path: Path) -> None:
    write_json(
        run / "config.json",
        {
            "graph": "r1_zero",
            "seed": 0,
            "tasks": {"train": "arithmetic,mine/train.jsonl"},
            "r1_zero": {"method": "dapo", "steps": 40},
        },
    )
    page = report([run], tmp_path)
    card = page.visible[page.visible.index("RL on a base model from rule rewards") :]
    for words in (
        "docs/stages/r1_zero.md",
        "problems of arithmetic, train.jsonl",
        "DAPO (arXiv:2503.14476)",
        "steps 40",
        "4 min 1 s",
    ):
        assert words in card
    assert "640,000 tokens sampled" in card
    assert "none: it ships with the package" in page.visible
    links = [tmp_path / value for value in page.values("href") if value.endswith(".md")]
    assert links
    assert all(link.resolve().is_file() for link in links)
    assert {"#stage-base", "#stage-r1_zero"} <= set(page.values("href"))


def test_an_early_stop_and_notes_stand_at_the_top(run: Path, tmp_path: Path) -> None:
    write_json(run / "r1_zero" / "manifest.json", {"summary": {"stopped_early": "20 steps in a row without a signal"}})
    results = json.loads((run / "results.json").read_text())
    write_json(run / "results.json", results | {"notes": ["no isolation on this machine: the code task is left out"]})
    visible = report([run], tmp_path).visible
    assert "R1-Zero stopped early: 20 steps in a row" in visible
    assert "the code task is left out" in visible


def test_evaluations_finished_so_far_stand_in_for_results(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").unlink()
    write_json(run / "evaluate.base" / "evaluation.json", results["stages"]["base"])
    write_json(run / "evaluate.base" / "manifest.json", {"seconds": 9.5})
    loaded = load_run(run)
    pooled = pooled_of([loaded], "base", "all", "pass@1")
    assert pooled is not None
    assert pooled.value == pytest.approx(0.27)
    assert loaded.results["seconds"]["evaluate.base"] == 9.5


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a run directory"):
        write_report([tmp_path], tmp_path / "report.html")
    with pytest.raises(ArtifactError, match="at least one"):
        write_report([], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_damaged_line_is_named(run: Path, tmp_path: Path) -> None:
    path = run / "r1_zero" / "metrics.jsonl"
    path.write_text("oops\n" + path.read_text())
    with pytest.raises(ArtifactError, match=r"metrics\.jsonl, line 1"):
        write_report([run], tmp_path / "report.html")


def test_tasks_are_said_to_be_better_worse_or_unclear(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    for task, value in (("code", 0.05), ("logic", 0.25)):
        results["stages"]["base"][task]["pass@1"] = {"value": 0.24, "ci95": [0.2, 0.3]}
        results["stages"]["r1_zero"][task]["pass@1"] = {"value": value, "ci95": [value - 0.04, value + 0.04]}
    write_json(run / "results.json", results)
    visible = report([run], tmp_path).visible
    assert "R1-Zero is better on arithmetic, word problems and choice; worse on code; not clearly different on logic" in visible
    for scores in (results["stages"]["r1_zero"], results["stages"]["base"]):
        for task in scores:
            scores[task]["pass@1"] = {"value": 0.5, "ci95": [0.4, 0.6]}
    write_json(run / "results.json", results)
    visible = report([run], tmp_path).visible
    assert "On no task do the 95 % intervals of Base and R1-Zero lie apart." in visible
    assert "±0.0 points, within the error" in visible


def test_results_of_one_model_alone_make_a_report(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    del results["stages"]["r1_zero"]
    write_json(run / "results.json", results)
    assert "has not measured two models yet" in report([run], tmp_path).visible


def test_a_metric_without_an_interval_is_shown_without_one(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    results["stages"]["r1_zero"]["all"]["pass@1"]["ci95"] = [None, None]
    write_json(run / "results.json", results)
    visible = report([run], tmp_path).visible
    assert "71.0 %" in visible
    assert "within the error" in visible


def test_thinking_is_cut_out_and_reflections_are_marked() -> None:
    row = {"completion": "<think> 3 + 4 = 8. Wait, no: 7. </think> <answer> 7 </answer>", "verdict": "right"}
    shown = describe(row)
    assert (shown["open"], shown["close"]) == ("<think>", "</think>")
    assert shown["thinking"][1] == "Wait"
    assert "".join(shown["thinking"]) == " 3 + 4 = 8. Wait, no: 7. "
    assert "".join(shown["after"]) == " <answer> 7 </answer>"


def test_thinking_opened_by_the_prompt_is_thinking() -> None:
    shown = describe({"prompt": "User: 3 + 4?\nAssistant: <think>", "completion": " 7 </think> 7"})
    assert (shown["open"], "".join(shown["thinking"]), shown["close"]) == ("", " 7 ", "</think>")


def test_a_completion_without_tags_is_all_answer_and_without_a_verdict_says_so() -> None:
    shown = describe({"completion": "It is 7.", "reward": None})
    assert ("".join(shown["after"]), "".join(shown["thinking"]), shown["verdict"]) == ("It is 7.", "", "none")


def test_facts_name_reward_parts_reason_and_length() -> None:
    row = {"completion": "7", "reward": 1.0, "reward_breakdown": {"accuracy": 1.0, "format": 0.0}, "reason": "7 equals 7"}
    row |= {"extracted": "7", "tokens": 9, "thinking_tokens": 4, "finish_reason": "length", "language_mix": True}
    assert describe(row)["facts"] == [
        "reward 1 (accuracy 1, format 0)",
        "7 equals 7",
        "answer found: 7",
        "9 tokens, 4 of them thinking; cut off at the limit; languages mixed",
    ]


def test_a_budget_keeps_whole_problems_and_those_of_several_steps_first() -> None:
    rows = [{"task": "t", "problem_id": str(i // 2), "question": "", "completion": "x" * 700} for i in range(10)]
    kept = within_budget(rows, Counter({"t\x003\x00": 2} | {f"t\x00{i}\x00": 1 for i in (0, 1, 2, 4)}), 4000)
    assert [row["problem_id"] for row in kept] == ["3", "3", "0", "0"]
    assert len(within_budget(rows, Counter({f"t\x00{i}\x00": 1 for i in range(5)}), 1)) == 2


def test_what_one_column_does_not_need_goes_to_the_others() -> None:
    assert share_out(100, [10, 80, 80]) == [10, 45, 45]
    assert share_out(100, [10, 20]) == [10, 20]
    assert share_out(100, []) == []


def test_long_runs_are_cut_to_a_size_a_browser_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "MOST_CHARACTERS", 120_000)
    directory, rng = write_run(tmp_path / "tiny"), random.Random(0)
    with (directory / "r1_zero" / "transcripts.jsonl").open("w") as handle:
        for step in range(40):
            for index in range(10):
                row = one_completion(rng, step, 40, "arithmetic", f"{step}-{index}", "What is 1 + 1?", 1, 1, 0, False)
                handle.write(json.dumps(row | {"completion": "long " * 400}) + "\n")
    data = browser_data(load_runs([directory]))
    steps = [column["name"] for column in data["columns"] if column["group"] == "Training of R1-Zero"]
    assert (len(steps), steps[0], steps[-1]) == (12, "step 0", "step 39")
    assert data["left_out"] > 0
    assert sum(len("".join(completion["after"])) for completion in data["completions"]) <= 120_000


def test_measured_models_stand_side_by_side_on_the_prompt_they_are_scored_by(run: Path, tmp_path: Path) -> None:
    page = report([run], tmp_path)
    columns = page.data["columns"]
    measured = [index for index, column in enumerate(columns) if column["group"] == "Measured on unseen problems"]
    assert [columns[index]["name"] for index in measured] == ["Base", "R1-Zero"]
    of_base = [c for c in page.data["completions"] if c["column"] == measured[0]]
    of_zero = [c for c in page.data["completions"] if c["column"] == measured[1]]
    assert len(of_base) == len(of_zero) == 12
    assert {c["problem"] for c in of_base} == {c["problem"] for c in of_zero}
    assert "few-shot; the answer is taken wherever it stands" in page.visible
    assert "Base is scored at the best of 2 prompts: bare question 22.0 %, few-shot 27.0 %." in page.visible


def test_what_was_shipped_and_what_was_left_out_is_said(run: Path, tmp_path: Path) -> None:
    summary = {"prompt": "r1_zero", "contract": "r1", "tasks_left_out": ["code"]}
    write_json(run / "evaluate.r1_zero" / "manifest.json", {"seconds": 1.0, "summary": summary})
    visible = report([run], tmp_path).visible
    assert "programs cannot be run in isolation on this machine: code." in visible
    assert "Shipped with the package, not made in this run: Base." in visible


def test_chosen_steps_are_spread_and_keep_both_ends() -> None:
    assert spread(list(range(100)), 5) == [0, 25, 50, 74, 99]
    assert spread([1, 2], 5) == [1, 2]


def test_the_picture_for_a_readme_is_a_png_of_its_size(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"seed{seed}", seed=seed) for seed in range(2)]
    path = write_curve_png(runs, tmp_path / "curve.png")
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    assert (width, height) == (1800, 585)
    assert len(content) < 400_000


def test_the_picture_can_be_of_some_models_and_has_no_line_for_tasks_without_accuracy(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "tiny")
    content = write_curve_png([directory], tmp_path / "curve.png", ("base", "r1_zero")).read_bytes()
    assert write_curve_png([directory], tmp_path / "one.png", ("base",)).read_bytes() != content
    results = json.loads((directory / "results.json").read_text())
    for model in results["stages"].values():
        model["general"] = {"helpfulness": {"value": 0.5, "ci95": [0.4, 0.6]}, "problems": 9, "samples": 4}
    results["stages"]["r1"] = results["stages"]["r1_zero"]
    write_json(directory / "results.json", results)
    assert write_curve_png([directory], tmp_path / "two.png", ("base", "r1_zero")).read_bytes() == content
    assert write_curve_png([directory], tmp_path / "all.png").read_bytes() != content
    with pytest.raises(ArtifactError, match="no measured model"):
        write_curve_png([directory], tmp_path / "none.png", ("r1_dev1",))


def test_the_picture_needs_a_measured_model_and_an_rl_stage(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no measured model"):
        write_curve_png([write_run(tmp_path / "tiny", finished=False)], tmp_path / "curve.png")


def test_a_run_with_a_plan_shows_what_each_stage_took_beside_it(run: Path, tmp_path: Path) -> None:
    assert "Beside the plan" not in report([run], tmp_path).visible
    planned = PlannedStage(Estimate(200.0, 150.0, 270.0), Estimate(2.0**31, 2.0**30, 2.0**32))
    write_planned(run, "this computer", {"r1_zero": planned, "evaluate.r1_zero": planned})
    path = run / "r1_zero" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 250.0, "peak_memory_bytes": 2**30}))
    page = write_report([run], tmp_path / "planned.html").read_text(encoding="utf-8")
    table = page[page.index("Beside the plan") :]
    for words in ("4 min 10 s", "3 min 20 s", "+25\u00a0%", "<td>1.00</td>", "-50\u00a0%"):
        assert words in table
    (run / "plan.json").write_text("{")
    assert "plan.json: damaged" in write_report([run], tmp_path / "damaged.html").read_text(encoding="utf-8")

"""`cogitate eval --benchmarks` with a model whose answers are known: figures, what is kept, shards, the page, faults."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from cogitate import cli
from cogitate.apps.benchmark.asking import PromptName, instruction_of
from cogitate.apps.benchmark.result import COMPARED, VERDICTS, Result, differences_in_settings
from cogitate.apps.benchmark.table import name_of_model
from cogitate.evals.benchmarks.definition import benchmark_names, find_benchmark
from cogitate.tokenizer.prompts import R1_INSTRUCTION
from tests.apps.memorised_model import QUESTION

GREEDY = ("evaluate.temperature=1e-9", "evaluate.max_new_tokens=40")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `cogitate eval ...` to its end: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cogitate", "eval", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return (int(end.code or 0), *capfd.readouterr())
        return (0, *capfd.readouterr())

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two benchmarks: the question that the model knows, and one that it does not."""
    rows = [{"question": QUESTION, "answer": "so\n#### 2"}, {"question": "How many is 2 + 5?", "answer": "so\n#### 7"}]
    for path, own in (
        ("gsm8k/test.jsonl", rows),
        ("mawps/test.jsonl", [{"input": QUESTION, "target": 2.0, "type": "addsub"}]),
        ("aime24.jsonl", [{"problem": QUESTION, "answer": "3"}, {"problem": "x?", "answer": "none"}]),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("".join(json.dumps(row) + "\n" for row in own))
    return tmp_path


def result_of(out: Path, benchmark: str) -> dict[str, Any]:
    (path,) = out.glob(f"*/{benchmark}/result.json")
    return dict(json.loads(path.read_text()))


def test_figures_settings_data_and_cost_of_known_completions(
    memorised: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, shown, err = evaluate(
        memorised, "--benchmarks", "gsm8k,aime24", "--data", data, "--partial-data", "--samples", 2, "--prompt", "r1_zero",
        "--out", out, *GREEDY,
    )  # fmt: skip
    assert (code, err) == (0, "")
    gsm8k, aime = result_of(out, "gsm8k"), result_of(out, "aime24")
    assert gsm8k["metrics"]["all"]["pass@1"]["value"] == 0.5
    assert (gsm8k["settings"]["k"], gsm8k["settings"]["prompt"], gsm8k["settings"]["contract"]) == (2, "r1_zero", "r1")
    assert {name: gsm8k["settings"][name] for name in VERDICTS} == {
        "seconds_limit": 5.0, "allowed_packages": "", "unsafe_local": False, "remote_sandbox": "",
    }  # fmt: skip
    assert gsm8k["data"]["published_rows"] == 1319
    assert gsm8k["data"]["files"][0]["file"] == "gsm8k/test.jsonl"
    assert gsm8k["consensus"]["all"]["cons@2"]["value"] == 0.5
    assert gsm8k["tokens"]["completion"] > 0 < gsm8k["tokens"]["prompt"]
    assert (aime["metrics"]["all"]["pass@1"]["value"], aime["data"]["ungradable"]["rows"]) == (0.0, 1)
    text = " ".join(shown.split())
    assert "licence of the rows: MIT" in text
    assert "1 rows cannot be graded and are left out" in text
    assert "k = 2 where the paper draws 64: wider intervals, and no cons@64" in text
    assert "--partial-data: 2 of the 1319 published rows are there" in text
    page = (out / "benchmarks.html").read_text()
    assert "Published figures, not measured here" in page
    assert "DeepSeek-R1" in page
    assert "Tokens generated" in page
    kept = next(out.glob("*/gsm8k/completions.jsonl")).read_text().splitlines()
    assert [json.loads(line)["right"] for line in kept] == [True, True, False, False]


def test_a_stopped_evaluation_goes_on_and_shards_make_the_same_result(
    memorised: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    arguments = (memorised, "--benchmarks", "gsm8k", "--data", data, "--partial-data", "--samples", 2, "--prompt", "r1_zero")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert evaluate(*arguments, *GREEDY, "--out", whole)[0] == 0
    (file,) = whole.glob("*/gsm8k/completions_kept.jsonl")
    lines, expected = file.read_bytes().splitlines(keepends=True), result_of(whole, "gsm8k")
    assert len(lines) == 4
    file.write_bytes(lines[0] + lines[1][:20])
    assert evaluate(*arguments, *GREEDY, "--out", whole)[0] == 0
    assert result_of(whole, "gsm8k") == expected
    assert len(file.read_bytes().splitlines()) == 4
    for shard in ("1/2", "2/2"):
        code, shown, _ = evaluate(*arguments, *GREEDY, "--out", parts, "--shard", shard)
        assert (code, "this shard is done" in shown) == (0, True)
    assert not list(parts.glob("*/gsm8k/result.json"))
    assert evaluate(*arguments, *GREEDY, "--out", parts)[0] == 0
    assert result_of(parts, "gsm8k") == expected
    assert next(parts.glob("*/gsm8k/completions_kept.jsonl")).read_bytes() == b""  # nothing was drawn again


def test_completions_of_rounded_weights_are_drawn_anew_and_not_compared_with_others(
    memorised: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = (memorised, "--benchmarks", "gsm8k", "--data", data, "--partial-data", "--samples", 1, "--prompt", "r1_zero")
    assert evaluate(*asked, "--out", out, *GREEDY)[0] == 0
    code, shown, _ = evaluate(*asked, "--out", out, *GREEDY, "runtime.weight_bits=8", "runtime.cache_bits=8")
    assert (code, "(weight_bits None to 8, cache_bits None to 8)" in " ".join(shown.split())) == (0, True)
    (kept,) = out.glob("*/gsm8k/completions_kept.jsonl")
    assert len(kept.read_text().splitlines()) == 2 * 2  # of both problems, of both kinds of numbers
    assert "float32, weight_bits 8, cache_bits 8" in (out / "benchmarks.html").read_text()


def test_two_models_are_compared_and_other_settings_are_not(
    memorised: Path, endless: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ("--benchmarks", "gsm8k", "--data", data, "--partial-data", "--samples", 1, "--out", out)
    assert evaluate(memorised, endless, *asked, "--prompt", "r1_zero", *GREEDY)[0] == 0
    page = (out / "benchmarks.html").read_text()
    assert page.index(f"{endless} less {memorised}") < page.index("-50.0 (")  # the model that is named first is the base
    assert page.count("gsm8k/test.jsonl: 2 rows") == 1  # of both models
    code, shown, _ = evaluate(endless, *asked, "--prompt", "bare", *GREEDY)
    assert (code, "is replaced (prompt r1_zero to bare, contract r1 to free)" in " ".join(shown.split())) == (0, True)
    assert "not compared: prompt" in (out / "benchmarks.html").read_text()


def test_every_benchmark_is_looked_at_before_anything_is_drawn(
    memorised: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    """The second benchmark's prompt is too long for the context."""
    (data / "mawps/test.jsonl").write_text(json.dumps({"input": "many words " * 400, "target": 2.0, "type": "addsub"}))
    out = tmp_path / "out"
    code, _, err = evaluate(
        memorised, "--benchmarks", "gsm8k,mawps", "--data", data, "--partial-data", "--samples", 1, "--prompt", "r1_zero",
        "--out", out, *GREEDY,
    )  # fmt: skip
    assert (code, "mawps/test.jsonl, row 1: a prompt of" in err) == (2, True)
    assert not out.exists()


def test_overlap_with_training_data_stands_beside_the_figure(
    memorised: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    training = tmp_path / "train.jsonl"
    training.write_text(json.dumps({"prompt": f"Tell me: {QUESTION}", "completion": "2"}))
    code, _, _ = evaluate(
        memorised, "--benchmarks", "gsm8k", "--data", data, "--partial-data", "--samples", 1, "--prompt", "r1_zero",
        "--training-data", training, "--out", tmp_path / "out", *GREEDY,
    )  # fmt: skip
    found = result_of(tmp_path / "out", "gsm8k")["further"]["contamination"]
    assert (code, found["overlapping"], found["value_without"]["value"]) == (0, 1, 0.0)


def test_a_model_of_two_spellings_has_one_result_and_is_measured_once(
    memorised: Path, data: Path, evaluate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    shutil.copytree(memorised, copy)
    asked = ("--benchmarks", "gsm8k", "--data", data, "--partial-data", "--samples", 1, "--prompt", "r1_zero", "--out", out)
    assert evaluate(memorised, *asked, *GREEDY)[0] == 0
    (kept,) = out.glob("*/gsm8k/completions_kept.jsonl")
    before = kept.read_bytes()
    assert evaluate(copy, *asked, *GREEDY)[0] == 0
    result = result_of(out, "gsm8k")
    assert (result["model"], kept.read_bytes()) == (str(copy), before)
    code, _, err = evaluate(memorised, copy, *asked, *GREEDY)
    assert (code, "the same model as" in err) == (2, True)


def test_an_instruction_is_said_of_prompts_that_have_it_and_of_no_others() -> None:
    countdown, gsm8k = find_benchmark("countdown"), find_benchmark("gsm8k")
    beside = {prompt: instruction_of(countdown, prompt) for prompt in get_args(PromptName)}
    assert beside["r1_zero"] == countdown.instruction
    assert beside["chat"] == f"{countdown.instruction}\n\n{R1_INSTRUCTION}"
    assert beside["few_shot"] == beside["bare"] == instruction_of(gsm8k, "r1_zero") == ""


def test_a_result_without_some_rows_is_marked_as_not_whole(memorised: Path, data: Path, evaluate: Run, tmp_path: Path) -> None:
    rows = [{"problem": QUESTION if n == 0 else f"What is {n}?", "answer": "none" if n == 3 else "3"} for n in range(30)]
    (data / "aime24.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    asked = (memorised, "--benchmarks", "aime24", "--data", data, "--samples", 1, "--prompt", "r1_zero", "--out", out)
    code, shown, _ = evaluate(*asked, *GREEDY[:1], "evaluate.max_new_tokens=2")
    assert (code, "AIME 2024*" in shown) == (0, True)
    assert "1 rows cannot be graded" in (out / "benchmarks.html").read_text()


def test_results_that_differ_in_any_setting_are_not_compared() -> None:
    settings = dict.fromkeys(COMPARED, 1)
    one = Result("b", "m", "1", settings, {}, {}, {}, {}, {}, {})
    for name in ("judge", "thinking_budget", "min_thinking", "waits", "closing_phrase", "dtype", "weight_bits", "engine",
                 "instruction", "example_files", "baseline_file", "seconds_limit", "allowed_packages", "unsafe_local",
                 "remote_sandbox"):  # fmt: skip
        other = dataclasses.replace(one, settings={**settings, name: 2})
        assert len(differences_in_settings(one, other)) == 1, name


def test_models_of_one_name_are_told_apart_by_their_content() -> None:
    one = Result("b", "runs/mine", "1", {}, {}, {}, {}, {}, {}, {})
    results = [one, dataclasses.replace(one, model_id="2"), dataclasses.replace(one, model="other", model_id="3")]
    assert [name_of_model(one, results) for one in results] == ["runs/mine (1)", "runs/mine (2)", "other"]


@pytest.mark.parametrize(
    ("further", "said"),
    [
        ({"no_verdict": {"share": 0.004, "first": "x"}}, ["0.4 % of the completions have no verdict"]),
        ({"judge": {"no_opinion": 2}}, ["the judge has no opinion on 2 completions"]),
        ({"judge": {"no_opinion": 0}}, []),
    ],
)
def test_missing_verdicts_and_opinions_are_shortfalls(further: dict[str, Any], said: list[str]) -> None:
    assert Result("b", "m", "1", {"limit": None}, {"rows": 1}, {}, {}, {}, {}, further).shortfalls() == said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--benchmarks", "gsm9k"), "benchmark 'gsm9k' is unknown; did you mean gsm8k"),
        (("--benchmarks", "gsm8k", "--tasks", "logic"), "--tasks has no effect with --benchmarks"),
        (("--limit", 3), "--limit has no effect without --benchmarks"),
        (("--benchmarks", "gsm8k", "--shard", "3/2"), "--shard 3/2: is written I/N"),
        (("--benchmarks", "gsm8k"), "2 rows, but GSM8K has 1319: truncated, or a part"),
        (("--benchmarks", "gpqa"), "gpqa: the rows are not in"),
        (("--benchmarks", "arena_hard"), "arena_hard needs a judge"),
        (("--benchmarks", "gsm8k", "judge.model=x"), "judge.model: none of these benchmarks"),
        (("--benchmarks", "gsm8k", "runtime.lora_rank=4"), "runtime.lora_rank=4: changes nothing with --benchmarks"),
        (("--benchmarks", "gsm8k", "runtime.backend=ray", "cluster.trainers=2"), "cluster.trainers=2: changes nothing"),
        (("--benchmarks", "gsm8k", "cluster.generators=2"), 'has no effect with runtime.backend = "local"'),
        (("--benchmarks", "gsm8k", "tasks.eval=logic"), "tasks.eval=logic: changes nothing with --benchmarks"),
        (("--benchmarks", "gsm8k", "--partial-data", "--prompt", "few_shot"), "the solved examples are not in"),
        (("--benchmarks", "aime24", "--prompt", "few_shot", "--partial-data"), "--prompt few_shot needs solved examples"),
        (("--benchmarks", "gsm8k", "--partial-data", "--samples", 4, "evaluate.temperature=0"), "set samples to 1"),
        (("--benchmarks", "gsm8k", "--training-data", "gone.jsonl", "--partial-data"), "gone.jsonl: no such file to compare"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line(
    arguments: tuple[object, ...], message: str, memorised: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    where = ("--data", data, "--out", tmp_path / "out") if "--benchmarks" in arguments else ()
    code, _, err = evaluate(memorised, *arguments, *where)
    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err


def test_a_data_file_that_changed_is_refused_where_a_result_was_made_of_it(
    memorised: Path, data: Path, evaluate: Run, tmp_path: Path
) -> None:
    asked = (memorised, "--benchmarks", "mawps", "--data", data, "--partial-data", "--samples", 1, "--prompt", "r1_zero")
    assert evaluate(*asked, "--out", tmp_path / "out", *GREEDY)[0] == 0
    (data / "mawps/test.jsonl").write_text(json.dumps({"input": QUESTION, "target": 3.0, "type": "addsub"}))
    code, _, err = evaluate(*asked, "--out", tmp_path / "out", *GREEDY)
    assert (code, "mawps/test.jsonl: changed since" in err) == (2, True)


@pytest.mark.slow
def test_every_benchmark_whose_data_are_here_runs_on_a_slice(evaluate: Run, tmp_path: Path) -> None:
    if "COGITATE_DATA" not in os.environ:
        pytest.skip("COGITATE_DATA is not set: the public data sets are not here")
    absent = {"aime24", "aime25", "gpqa", "mmlu_pro", "drop", "livecodebench", "ceval", "alpaca"}
    judged = {"arena_hard"}  # in test_pairwise.py
    names = [name for name in benchmark_names() if name not in absent | judged]
    out = tmp_path / "out"
    code, _, err = evaluate(
        "base", "--benchmarks", ",".join(names), "--data", os.environ["COGITATE_DATA"], "--partial-data", "--limit", 6,
        "--samples", 2, "--out", out, "evaluate.max_new_tokens=32", "tasks.too_long=drop",
    )  # fmt: skip
    assert (code, err) == (0, "")
    for name in names:
        result = result_of(out, name)
        assert result["metrics"]["all"]["no_verdict_share"]["value"] == 0.0, (name, result["further"])
        assert result["data"]["problems"] == 6
    shutil.rmtree(out)
    assert len(names) == 15

"""The real stages on problems of one's own: what they leave behind, and that a kill loses nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cogitate.evals.evaluate import vote_of
from cogitate.evals.metrics import consensus, pass_at_1
from tests.recipe.cli_process import Command, cogitate_itself, finish, start
from tests.recipe.kill_harness import outcome
from tests.recipe.stages.vowel_recipe import command_line, judged_rows, refused, sums, write_recipe, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """The whole recipe, its base trained here."""
    out = folder / "whole" / "run"
    code, command = finish(out.parent, *command_line(folder, out), "--retrain", "base", entry=cogitate_itself)
    assert code == 0, command.stderr
    return out


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_recipe_goes_from_base_to_report_on_ones_own_problems(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    assert (results["schema"], results["seed"]) == (1, 0)
    assert list(results["stages"]) == ["base", "r1_zero"]
    for model in results["stages"].values():
        assert model.keys() == {"eval", "all"}
        assert (model["all"]["problems"], model["all"]["samples"]) == (6, 3)
        for name, value in model["all"].items():
            assert name in ("problems", "samples") or value.keys() == {"value", "ci95"}, name
    assert results["seconds"].keys() == {"base", "evaluate.base", "r1_zero", "evaluate.r1_zero"}
    assert results["summaries"]["evaluate.base"]["prompt"] in ("r1_zero_template", "few_shot", "bare_question")
    assert results["summaries"]["evaluate.base"]["contract"] == "free"
    assert results["summaries"]["evaluate.r1_zero"] == {"prompt": "r1_zero", "contract": "r1", "format": "think_answer"}
    assert results["origins"]["base"] == "made here"
    assert "R1-Zero" in (run / "report.html").read_text()


def test_every_number_can_be_traced_to_the_completions_it_comes_from(run: Path) -> None:
    for stage in ("base", "r1_zero"):
        directory = run / f"evaluate.{stage}"
        table = json.loads((directory / "evaluation.json").read_text())
        summary = json.loads((run / "results.json").read_text())["summaries"][f"evaluate.{stage}"]
        rows = read_lines(directory / "completions.jsonl")
        assert len(rows) == 6 * 3 * (3 if stage == "base" else 1)
        scores: dict[str, float] = {}
        for prompt in dict.fromkeys(row["prompt"] for row in rows):
            by_problem: dict[str, list[float]] = {}
            for row in rows:
                if row["prompt"] == prompt:
                    by_problem.setdefault(row["problem_id"], []).append(float(row["right"]))
            scores[prompt] = pass_at_1(list(by_problem.values())).value
        assert table["all"]["pass@1"]["value"] == pytest.approx(scores[summary["prompt"]])
        assert scores[summary["prompt"]] == max(scores.values())
        assert summary.get("pass@1 by prompt", {summary["prompt"]: {"all": scores[summary["prompt"]]}}).keys() == scores.keys()
        assert "cons@5" in table["all"]  # of the sums: a custom reward has no answer to vote for
        ballots: dict[str, list[dict[str, Any]]] = {}
        for row in read_lines(directory / "votes.jsonl"):
            ballots.setdefault(row["problem_id"], []).append(row)
        assert [len(ballot) for ballot in ballots.values()] == [5, 5, 5]
        counted = [
            consensus([vote_of(row["extracted"]) for row in ballot], [bool(row["right"]) for row in ballot])
            for ballot in ballots.values()
        ]
        assert table["all"]["cons@5"]["value"] == pytest.approx(sum(counted) / 3)
        columns = {"format_rate": "well_formed", "reflection_rate": "reflection", "language_mix_rate": "language_mix"}
        for metric, column in columns.items():
            share = [row[column] for row in rows if row["prompt"] == summary["prompt"]]
            assert table["all"][metric]["value"] == pytest.approx(sum(share) / len(share)), metric
    assert consensus(["1", "1", "2"], [False, False, True]) == 0.0


def test_rl_has_learnt_and_left_weights_log_and_transcripts(run: Path) -> None:
    base, trained = load_file(run / "base" / "model.safetensors"), load_file(run / "r1_zero" / "model.safetensors")
    assert base.keys() == trained.keys()
    moved = {name for name in base if not torch.equal(base[name].float(), trained[name].float())}
    assert {"model.embed_tokens.weight", "lm_head.weight"} <= moved
    assert not any("e_score_correction_bias" in name for name in moved)
    rows = read_lines(run / "r1_zero" / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(5))
    assert all(row["logprob_gap_max"] < 1e-3 and row["ratio_mean"] == 1.0 for row in rows)
    assert {"thinking_tokens_finished", "reflection_rate", "language_mix_rate", "accuracy.train"} <= rows[0].keys()
    transcripts = read_lines(run / "r1_zero" / "transcripts.jsonl")
    assert [row["step"] for row in transcripts] == [0] * 18 + [2] * 18 + [4] * 18  # two completions of each of nine problems
    assert len({row["problem_id"] for row in transcripts}) == 9
    base_rows = read_lines(run / "base" / "metrics.jsonl")
    assert [row["step"] for row in base_rows if "held_out_loss" in row] == [7, 15, 19]
    assert base_rows[-1]["loss"] < base_rows[0]["loss"]


def test_a_finished_run_is_not_made_again(run: Path, folder: Path) -> None:
    before = outcome(run)
    code, command = finish(run.parent, *command_line(folder, run), "--retrain", "base", entry=cogitate_itself)
    assert code == 0, command.stderr
    assert command.stderr.count("finished") == 4
    assert outcome(run) == before


def test_a_question_that_does_not_fit_the_context_is_named_and_nothing_is_damaged(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    long = write_rows(tmp_path / "long.jsonl", [*judged_rows("Long", 6), {"question": "so " * 400, "answer": 7}])
    out = tmp_path / "run"
    arguments = command_line(folder, out, f"inputs.base={run / 'base'}", f"tasks.train={long}")
    assert "long.jsonl, line 7: a prompt of " in refused(tmp_path, *arguments)
    finished = outcome(out / "evaluate.base")
    assert "evaluation.json" in finished
    assert not (out / "r1_zero").exists()
    assert "long.jsonl, line 7: a prompt of " in refused(tmp_path, *arguments)
    assert outcome(out / "evaluate.base") == finished


def test_a_run_that_has_nothing_to_learn_from_stops_with_its_reason_in_results_and_report(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    hopeless = write_rows(tmp_path / "hopeless.jsonl", sums("Hopeless", 5))
    out = tmp_path / "run"
    arguments = command_line(folder, out, f"inputs.base={run / 'base'}", f"tasks.train={hopeless}", "rewards.format=0")
    code, command = finish(tmp_path, *arguments, entry=cogitate_itself)
    assert code == 0, command.stderr
    assert "step 0: no group has rewards that differ, so there is nothing to learn from; skipped" in command.stderr
    reason = "3 steps in a row without any learning signal"
    assert json.loads((out / "results.json").read_text())["summaries"]["r1_zero"]["stopped_early"].startswith(reason)
    assert reason in (out / "report.html").read_text()
    weights = load_file(out / "r1_zero" / "model.safetensors")
    base = load_file(run / "base" / "model.safetensors")
    assert all(torch.equal(tensor.float(), base[name].float()) for name, tensor in weights.items())


@pytest.fixture(scope="module")
def from_base(run: Path, folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Settings that start from the trained base, and what an uninterrupted run with them leaves."""
    settings = (f"inputs.base={run / 'base'}",)
    out = folder / "from_base" / "run"
    code, command = finish(out.parent, *command_line(folder, out, *settings), entry=cogitate_itself)
    assert code == 0, command.stderr
    return settings, outcome(out)


def goes_on_to(expected: dict[str, str], tmp_path: Path, arguments: Sequence[str]) -> None:
    code, command = finish(tmp_path, *arguments, entry=cogitate_itself)
    assert code == 0, command.stderr
    assert outcome(tmp_path / "run") == expected


def test_a_run_killed_at_changes_on_disk_ends_with_the_bytes_of_an_uninterrupted_one(
    from_base: tuple[tuple[str, ...], dict[str, str]], folder: Path, tmp_path: Path
) -> None:
    settings, expected = from_base
    arguments = command_line(folder, tmp_path / "run", *settings)
    for change in (45, 60):
        assert start(tmp_path, *arguments, kill_at=change, entry=cogitate_itself).wait() == -signal.SIGKILL
    goes_on_to(expected, tmp_path, arguments)


def wait_until_running(command: Command, log: Path, rows: int) -> None:
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.read_bytes().count(b"\n") >= rows):
        assert command.process.is_alive(), command.stderr
        assert time.monotonic() < deadline, command.stderr
        time.sleep(0.02)


def test_a_run_killed_while_it_computes_ends_the_same(
    from_base: tuple[tuple[str, ...], dict[str, str]], folder: Path, tmp_path: Path
) -> None:
    settings, expected = from_base
    arguments = command_line(folder, tmp_path / "run", *settings)
    for stage, rows in (("evaluate.base", 2), ("r1_zero", 3)):
        command = start(tmp_path, *arguments, entry=cogitate_itself)
        wait_until_running(command, tmp_path / "run" / "unfinished" / stage / "out" / "metrics.jsonl", rows)
        command.process.kill()
        assert command.wait() == -signal.SIGKILL
    goes_on_to(expected, tmp_path, arguments)


def test_a_signal_ends_an_evaluation_at_once_and_the_same_command_goes_on(
    from_base: tuple[tuple[str, ...], dict[str, str]], folder: Path, tmp_path: Path
) -> None:
    settings, expected = from_base
    arguments = command_line(folder, tmp_path / "run", *settings)
    command = start(tmp_path, *arguments, entry=cogitate_itself)
    wait_until_running(command, tmp_path / "run" / "unfinished" / "evaluate.base" / "out" / "metrics.jsonl", 1)
    os.kill(command.pid, signal.SIGTERM)
    assert command.wait() == 143
    assert command.stderr.splitlines()[-1] == "stopped at evaluate.base; the same command goes on from there"
    goes_on_to(expected, tmp_path, arguments)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_run_killed_again_and_again_from_its_very_start_ends_the_same(folder: Path, tmp_path: Path) -> None:
    """Base included, on two threads; at random moments and at random changes on disk, until it gets through."""
    (tmp_path / "whole").mkdir()
    whole = (*command_line(folder, tmp_path / "whole" / "run", "runtime.threads=2"), "--retrain", "base")
    code, command = finish(tmp_path / "whole", *whole, entry=cogitate_itself)
    assert code == 0, command.stderr
    arguments = (*command_line(folder, tmp_path / "run", "runtime.threads=2"), "--retrain", "base")
    chance = random.Random(11)
    for _ in range(25):
        if chance.random() < 0.5:
            command = start(tmp_path, *arguments, kill_at=chance.randrange(2, 60), entry=cogitate_itself)
        else:
            command = start(tmp_path, *arguments, entry=cogitate_itself)
            command.process.join(chance.uniform(0.5, 6.0))
            command.process.kill()
        if command.wait() == 0:
            break
    goes_on_to(outcome(tmp_path / "whole" / "run"), tmp_path, arguments)

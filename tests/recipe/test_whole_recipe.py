"""The real recipe, shrunk, as far as R1-Zero: base, RL and their evaluations through the installed command line."""

import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests.recipe.cli_process import cogitate_itself, finish, start
from tests.recipe.kill_harness import outcome

SMALL = (
    "model.hidden_size=32", "model.intermediate_size=32", "model.moe_intermediate_size=16", "model.num_hidden_layers=2",
    "tokenizer.vocab_size=400", "tokenizer.corpus_documents=200",
    "base.steps=4", "base.rows=2", "base.micro_rows=2", "base.held_out_documents=4", "base.checkpoint_every=2",
    "r1_zero.steps=3", "r1_zero.prompts_per_step=3", "r1_zero.group_size=3", "r1_zero.max_new_tokens=16",
    "r1_zero.checkpoint_every=1",
    "evaluate.problems=6", "evaluate.general_problems=2", "evaluate.samples=2", "evaluate.max_new_tokens=16",
    "tasks.train=arithmetic,code", "tasks.eval=arithmetic,code", "tasks.train_problems=40",
    "runtime.threads=1",
)  # fmt: skip


def run_command(out: Path) -> tuple[str, ...]:
    return "run", "tiny", *SMALL, "--retrain", "base", "--until", "r1_zero", "--out", str(out)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    code, command = finish(folder, *run_command(folder / "run"), entry=cogitate_itself)
    assert code == 0, command.stderr
    return folder / "run"


def test_one_command_makes_base_r1_zero_their_measurements_and_the_report(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    assert results["stages"].keys() == {"base", "r1_zero"}
    for tasks in results["stages"].values():
        assert tasks.keys() == {"arithmetic", "code", "general", "safety", "all"}
        low, high = tasks["all"]["pass@1"]["ci95"]
        assert 0 <= low <= tasks["all"]["pass@1"]["value"] <= high <= 1
        assert (tasks["all"]["problems"], tasks["all"]["samples"]) == (6, 2)
    assert results["seconds"].keys() == {"base", "evaluate.base", "r1_zero", "evaluate.r1_zero"}
    assert "R1-Zero" in (finished / "report.html").read_text()


def test_a_finished_model_is_measured_on_its_own(finished: Path, tmp_path: Path) -> None:
    command_line = ("eval", str(finished / "r1_zero"), "evaluate.max_new_tokens=16")
    options = ("--tasks", "arithmetic", "--samples", "2", "--problems", "3", "--out", str(tmp_path / "eval.json"))
    code, command = finish(tmp_path, *command_line, *options, entry=cogitate_itself)
    assert code == 0, command.stderr
    assert "Arithmetic" in command.stdout
    tasks = json.loads((tmp_path / "eval.json").read_text())["tasks"]
    assert tasks.keys() == {"arithmetic", "all"}
    assert (tasks["all"]["problems"], tasks["all"]["samples"]) == (3, 2)
    code, command = finish(tmp_path, *command_line, "--tasks", "aritmetic", entry=cogitate_itself)
    assert (code, len(command.stderr.splitlines())) == (2, 1)
    assert "did you mean arithmetic?" in command.stderr


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_recipe_killed_anywhere_ends_with_the_bytes_of_an_uninterrupted_one(finished: Path, tmp_path: Path) -> None:
    expected = outcome(finished)
    chance = random.Random(3)
    for trial in range(6):
        folder = tmp_path / str(trial)
        command_line = run_command(folder / "run")
        for _ in range(3):
            if chance.random() < 0.5:
                start(folder, *command_line, kill_at=chance.randrange(1, 120), entry=cogitate_itself).wait()
            else:
                command = start(folder, *command_line, entry=cogitate_itself)
                time.sleep(chance.uniform(0.5, 8))
                command.process.kill()
                assert command.wait() in (0, -signal.SIGKILL)
        code, command = finish(folder, *command_line, entry=cogitate_itself)
        assert code == 0, command.stderr
        assert outcome(folder / "run") == expected

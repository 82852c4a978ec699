"""The command line as a user meets it, over the toy graph."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.recipe.cli_process import finish, start
from tests.recipe.kill_harness import outcome
from tests.recipe.toy_recipe import TOML, run_toy, toy_config


@pytest.fixture
def run_command(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "toy.toml"
    path.write_text(TOML)
    return "run", str(path), "--out", str(tmp_path / "run")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run_toy(folder / "run", toy_config(folder))
    return outcome(folder / "run")


def refused(folder: Path, *arguments: str) -> str:
    code, command = finish(folder, *arguments)
    assert code == 2, command.stderr
    assert command.stdout == ""
    assert len(command.stderr.splitlines()) == 1, command.stderr
    return command.stderr.strip()


def goes_on(folder: Path, run_command: tuple[str, ...]) -> str:
    """Give the same command again; returns what it said."""
    code, command = finish(folder, *run_command)
    assert code == 0, command.stderr
    return command.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_stage_write_its_checkpoint_and_the_same_command_goes_on(
    tmp_path: Path, run_command: tuple[str, ...], uninterrupted: dict[str, str], number: signal.Signals, code: int
) -> None:
    command = start(tmp_path, *run_command, step_seconds=0.2)
    command.wait_for("toy: 1/6")
    os.kill(command.pid, number)
    assert command.wait() == code
    lines = command.stderr.splitlines()
    assert lines[-2] == "stopping at the next checkpoint; once more to stop at once"
    assert lines[-1].startswith("stopped at step ")
    assert lines[-1].endswith(" of toy; the same command goes on from there")
    status = finish(tmp_path, "status", str(tmp_path / "run"))[1].stdout.splitlines()
    assert "nothing is running in it" in status[0]
    assert status[1].split()[0::2] == ["toy", "stopped", lines[-1].split()[3], "done"]
    assert "toy: stage 1 of 4, 6 steps, going on from step " in goes_on(tmp_path, run_command)
    assert outcome(tmp_path / "run") == uninterrupted


def test_a_second_interrupt_ends_the_process_at_once(tmp_path: Path, run_command: tuple[str, ...]) -> None:
    command = start(tmp_path, *run_command, step_seconds=100)
    command.wait_for("toy: 1/6")
    os.kill(command.pid, signal.SIGINT)
    command.wait_for("stopping at the next checkpoint")
    began = time.monotonic()
    os.kill(command.pid, signal.SIGINT)
    assert command.wait() == 130
    assert time.monotonic() - began < 60  # the step would take a hundred seconds


def test_a_second_run_in_the_same_directory_is_told_the_pid_of_the_first(tmp_path: Path, run_command: tuple[str, ...]) -> None:
    command = start(tmp_path, *run_command, step_seconds=20)
    command.wait_for("toy: 1/6")
    assert refused(tmp_path, *run_command) == (
        f"error: {tmp_path / 'run'}: in use by process {command.pid}; wait for it or stop it"
    )
    status = finish(tmp_path, "status", str(tmp_path / "run"))[1].stdout
    assert f"process {command.pid} is working in it" in status
    assert "running" in status
    command.process.kill()
    command.wait()


@pytest.mark.parametrize("file_bytes", [300, 1200, 3000])  # too small for the settings, for weights, for the checkpoint
def test_a_full_disk_is_one_line_and_damages_nothing(
    tmp_path: Path, run_command: tuple[str, ...], uninterrupted: dict[str, str], file_bytes: int
) -> None:
    code, command = finish(tmp_path, *run_command, file_bytes=file_bytes)
    assert code == 2, command.stderr
    assert "Traceback" not in command.stderr
    last = command.stderr.splitlines()[-1]
    assert last.startswith("error: the disk is full (")
    assert last.endswith("free some space; the same command goes on from the last checkpoint")
    goes_on(tmp_path, run_command)
    assert outcome(tmp_path / "run") == uninterrupted


@pytest.mark.parametrize("gone", ["run", "run/unfinished/toy/out"])
def test_a_directory_that_vanishes_in_a_run_is_one_line(tmp_path: Path, run_command: tuple[str, ...], gone: str) -> None:
    command = start(tmp_path, *run_command, step_seconds=0.3)
    command.wait_for("toy: 1/6")
    shutil.rmtree(tmp_path / gone)
    assert command.wait() == 2, command.stderr
    assert "Traceback" not in command.stderr
    last = command.stderr.splitlines()[-1]
    assert last.startswith(f"error: {tmp_path / 'run'}/")
    assert "No such file or directory: was it moved or deleted?" in last


def test_a_run_killed_at_random_times_ends_with_the_bytes_of_an_uninterrupted_one(
    tmp_path: Path, run_command: tuple[str, ...], uninterrupted: dict[str, str]
) -> None:
    chance = random.Random(7)
    for _ in range(3):
        command = start(tmp_path, *run_command, step_seconds=0.05)
        time.sleep(chance.uniform(0.3, 1.5))
        command.process.kill()
        command.wait()
    goes_on(tmp_path, run_command)
    assert outcome(tmp_path / "run") == uninterrupted


def test_a_run_killed_between_a_temporary_file_and_its_name_ends_the_same(
    tmp_path: Path, run_command: tuple[str, ...], uninterrupted: dict[str, str]
) -> None:
    for change in (20, 40):
        assert start(tmp_path, *run_command, kill_at=change).wait() == -signal.SIGKILL
    goes_on(tmp_path, run_command)
    assert outcome(tmp_path / "run") == uninterrupted


def test_a_finished_run_prints_where_its_results_and_report_are(tmp_path: Path, run_command: tuple[str, ...]) -> None:
    code, command = finish(tmp_path, *run_command)
    assert code == 0, command.stderr
    out = tmp_path / "run"
    lines = command.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["toy", "pass@1"], ["toy_second", "pass@1"]]
    assert lines[2:] == [f"results: {out / 'results.json'}", f"report:  {out / 'report.html'}"]
    assert (out / "report.html").is_file()


def test_a_dry_run_shows_settings_stages_and_what_is_cached_and_makes_nothing(
    tmp_path: Path, run_command: tuple[str, ...]
) -> None:
    code, command = finish(tmp_path, *run_command, "base.steps=3", "--dry-run")
    assert code == 0, command.stderr
    lines = command.stdout.splitlines()
    assert [line.split() for line in lines if line.startswith("base.steps =")] == [
        ["base.steps", "=", "3", "#", "command", "line"]
    ]
    assert [line.split()[0] for line in command.stdout.splitlines()[-4:]] == [
        "toy", "evaluate.toy", "toy_second", "evaluate.toy_second",
    ]  # fmt: skip
    assert not (tmp_path / "run").exists()
    finish(tmp_path, *run_command, "--until", "toy")
    stages = finish(tmp_path, *run_command, "--dry-run")[1].stdout.splitlines()[-4:]
    assert [line.split()[2] for line in stages] == ["cached:", "cached:", "to", "to"]


def test_mistakes_are_one_line_and_exit_code_2(tmp_path: Path, run_command: tuple[str, ...]) -> None:
    out = str(tmp_path / "run")
    assert refused(tmp_path, *run_command, "base.stepz=3") == "error: unknown key base.stepz; did you mean base.steps?"
    assert refused(tmp_path, *run_command, "--until", "toi").endswith("did you mean toy?")
    assert refused(tmp_path, "status", out).startswith(f"error: {out}: no such directory; give a run")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    assert "not a TOML file" in refused(tmp_path, "run", str(tmp_path / "bad.toml"), "--out", out)
    assert not Path(out).exists()


def test_help_waits_for_no_room_and_no_library_but_typer() -> None:
    code = """
import sys
from cogitate.cli import main
sys.argv = ["cogitate", "--help"]
try:
    main()
finally:
    rooms = {name.split(".")[1] for name in sys.modules if name.startswith("cogitate.")} - {"cli", "errors", "runtime"}
    print([*rooms, *(name for name in ("torch", "numpy", "pydantic", "rich") if name in sys.modules)], file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == "[]\n"


def test_commands_without_tensors_do_not_wait_for_torch() -> None:
    code = """
import sys
from cogitate import cli
import cogitate.recipe.runner, cogitate.apps.overview
print([name for name in ("torch", "numpy", "matplotlib", "rich.progress") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_describe_counts_a_model_from_its_config_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, '
        '"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": false}'
    )
    code, command = finish(tmp_path, "describe", str(tmp_path / "config.json"))
    assert code == 0, command.stderr
    total = next(line for line in command.stdout.splitlines() if line.startswith("total "))
    assert total.split()[1:3] == ["2.26", "k"]  # 2 x 100 x 8 + 4 x 8 x 8 + 3 x 8 x 16 + 3 norms of 8
    assert "not there" in refused(tmp_path, "describe", str(tmp_path / "nothing"))


def test_import_names_a_file_that_cannot_be_read_and_never_writes_over_anything(tmp_path: Path) -> None:
    assert "x.gguf" in refused(tmp_path, "import", str(tmp_path / "x.gguf"), "--out", str(tmp_path / "model"))
    assert "exists already" in refused(tmp_path, "import", "x.gguf", "--out", str(tmp_path))

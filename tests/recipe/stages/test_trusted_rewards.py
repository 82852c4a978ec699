"""A run whose reward may use the network: killed, resumed and repeated from what was answered."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogitate.recipe.run_directory.failed_start import ANSWERS
from cogitate.recipe.run_directory.trusted import TRUSTED
from tests.recipe.cli_process import cogitate_itself, finish, start
from tests.recipe.stages.vowel_recipe import command_line, refused, write_recipe
from tests.rewards.workers.test_answers import Server

REWARD = """
import urllib.request

def share(completion, problem):
    with urllib.request.urlopen("URL", data=completion.encode(), timeout=60) as reply:
        letters = sum(character in "aeiou" for character in completion)
        return min(1.0, letters / 8 + int(reply.read()) % 10 / 100)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_a_run_with_a_trusted_reward_goes_on_after_a_kill_and_is_repeated_from_its_answers_alone(
    tmp_path: Path, server: Server
) -> None:
    folder = write_recipe(tmp_path)
    (folder / "reward.py").write_text(REWARD.replace("URL", server.url))
    killed, repeated = folder / "killed", folder / "repeated"
    arguments = (*command_line(folder, killed), "--until", "r1_zero", "--retrain", "base")
    command = start(folder / "1", *arguments, "--trust-rewards", entry=cogitate_itself)
    command.wait_for("r1_zero: 1/5")
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    assert f"{killed} was made with --trust-rewards" in refused(folder / "2", *arguments)
    # A kill loses what is asked and not yet kept. What is kept is never asked again.
    kept_before, asked_before = kept(killed), len(server.asked)
    assert 0 < kept_before <= asked_before
    code, command = finish(folder / "3", *arguments, "--trust-rewards", entry=cogitate_itself)
    assert code == 0, command.stderr
    manifest = json.loads((killed / "r1_zero" / "manifest.json").read_text())
    assert ANSWERS in manifest[TRUSTED]
    assert TRUSTED not in json.loads((killed / "base" / "manifest.json").read_text())
    assert 0 < kept(killed) - kept_before == len(server.asked) - asked_before

    server.close()
    shutil.copytree(killed, repeated, ignore=shutil.ignore_patterns("r1_zero", "evaluate.r1_zero"))
    again = (*command_line(folder, repeated), "--until", "r1_zero", "--retrain", "base", "--trust-rewards")
    code, command = finish(folder / "4", *again, entry=cogitate_itself)
    assert code == 0, command.stderr
    files = json.loads((repeated / "r1_zero" / "manifest.json").read_text())["files"]
    assert files["model.safetensors"] == manifest["files"]["model.safetensors"]


def kept(run: Path) -> int:
    """How many answers stand whole in the file of the run."""
    return (run / ANSWERS).read_bytes().count(b"\n")


def test_trust_without_a_reward_of_ones_own_is_refused(tmp_path: Path) -> None:
    folder = write_recipe(tmp_path)
    line = refused(
        folder / "1", "run", str(folder / "micro.toml"), "--retrain", "base", "--out", str(folder / "out"), "--trust-rewards"
    )
    assert "--trust-rewards changes nothing" in line
    assert not (folder / "out").exists()

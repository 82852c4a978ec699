"""The command line in processes of its own, forked from a server that has imported torch already."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from cogitate import cli
from tests.recipe import toy_recipe
from tests.recipe.kill_harness import arm

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["torch._dynamo", "safetensors.torch", "cogitate.cli", "cogitate.apps.report.report"])


@dataclass
class Command:
    """One process: its standard streams go to files."""

    process: BaseProcess
    stdout_file: Path
    stderr_file: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def stdout(self) -> str:
        return self.stdout_file.read_text()

    @property
    def stderr(self) -> str:
        return self.stderr_file.read_text()

    def wait(self) -> int:
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def wait_for(self, text: str) -> None:
        """Return once this stands on standard error."""
        deadline = time.monotonic() + 60
        while text not in self.stderr:
            assert self.process.is_alive(), self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.01)


def start(
    folder: Path,
    *arguments: str,
    step_seconds: float = 0.0,
    file_bytes: int | None = None,
    kill_at: int | None = None,
    entry: Callable[..., None] = toy_recipe.main,
) -> Command:
    """Start `cogitate ARGUMENTS`.

    Args:
        folder: where the output goes.
        step_seconds: how long a step of a toy stage sleeps.
        file_bytes: no file may get larger.
        kill_at: SIGKILL at this change on disk below `folder`/run.
        entry: toy_recipe.main, or cogitate_itself for real recipes.
    """
    folder.mkdir(exist_ok=True)
    name = f"{len(list(folder.glob('*.out')))}"
    command = Command(processes.Process(), folder / f"{name}.out", folder / f"{name}.err")
    inner = (arguments, command.stdout_file, command.stderr_file, step_seconds, file_bytes, kill_at, entry)
    command.process = processes.Process(target=run_inside, args=inner)
    command.stdout_file.touch()
    command.stderr_file.touch()
    command.process.start()
    return command


def finish(
    folder: Path, *arguments: str, file_bytes: int | None = None, entry: Callable[..., None] = toy_recipe.main
) -> tuple[int, Command]:
    """Run to the end; returns the exit code too."""
    command = start(folder, *arguments, file_bytes=file_bytes, entry=entry)
    return command.wait(), command


def cogitate_itself(*arguments: str) -> None:
    """The command line as it is installed."""
    sys.argv = ["cogitate", *arguments]
    cli.main()


def run_inside(
    arguments: tuple[str, ...],
    stdout: Path,
    stderr: Path,
    step_seconds: float,
    file_bytes: int | None,
    kill_at: int | None,
    entry: Callable[..., None],
) -> None:
    for path, number in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ["TOY_STEP_SECONDS"] = str(step_seconds)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    if kill_at is not None:
        arm(stdout.parent / "run", kill_at)
    entry(*arguments)

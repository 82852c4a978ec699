"""Who takes part in a workload of `make bench-peers`, and the process in which a side runs."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.isa_limits import limits
from benchmarks.peers import setup
from benchmarks.places import CHECKOUT

RUNNERS = "benchmarks.peers.runners"
ANSWER_SECONDS = 3600.0
OWN = "ours"  # the family of our sides; a side is FAMILY or FAMILY:VARIANT
LINES_SHOWN = 15  # of the log of a runner that failed


class RunnerError(Exception):
    """A runner ended, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Side:
    """One who takes part.

    Attributes:
        environment: a peer's, or "ours".
        runner: a module of benchmarks.peers.runners.
        settings: what the runner is started with.
        cases: those it can do; empty: all.
        model: makes the model's path once the environment is there; None: `settings` says it.
    """

    name: str
    environment: str
    runner: str
    settings: dict[str, Any]
    cases: tuple[str, ...] = ()
    model: Callable[[], Path] | None = None

    def does(self, case: str) -> bool:
        return not self.cases or case in self.cases


class Runner:
    """A side's process, which has loaded when this has been made.

    Args:
        isa: the class of processors that it is limited to; None: the machine's own.

    Attributes:
        facts: versions and the like.
    """

    def __init__(self, side: Side, log: Path, threads: int, isa: str | None = None):
        self.side, self._log = side, log
        python = Path(sys.executable) if side.environment == OWN else setup.python_of(side.environment)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
        environment |= {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        environment |= limits(isa) if isa else {}
        log.parent.mkdir(parents=True, exist_ok=True)
        settings = {**side.settings, "threads": threads}
        if side.model is not None:
            settings["model"] = str(side.model())
        command = [str(python), "-m", f"{RUNNERS}.{side.runner}", json.dumps(settings)]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=setup.ROOT
            )
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        try:
            self.facts = self._read()
        except RunnerError:
            self.close()
            raise

    def run(self, number: int, case: dict[str, Any]) -> dict[str, float]:
        """One round."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"round": number, "case": case}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._failure("ended") from error
        return self._read()

    def close(self) -> None:
        """End the process: by the end of its input, by force where that does not help."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        self._process.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\n" not in self._buffer:
            if not self._selector.select(deadline - time.monotonic()):
                raise self._failure(f"gave no answer within {ANSWER_SECONDS:g} s")
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                raise self._failure("ended")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _failure(self, what: str) -> RunnerError:
        lines = self._log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
        return RunnerError("\n".join([f"{self.side.name} {what}; the end of {self._log}:", *lines]))

"""The trainers of one learner: as many processes of this machine as ranks. All of them get each command; they live and die
together, since none can go on without the others."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cogitate import errors
from cogitate.cluster.deaths import LAST_LINES, Watched, ending_of
from cogitate.cluster.trainers.frames import Frame, read_frame
from cogitate.cluster.trainers.process import SETTINGS
from cogitate.config import Config
from cogitate.config.section import Section
from cogitate.runtime import python_path

MODULE = "cogitate.cluster.trainers.process"
SECONDS_TO_FOLLOW = 5.0  # of a rank after another one has ended: whoever falls first is named
SECONDS_TO_END = 10.0
SHARE_TO_WARN = 0.25  # of a limit: from then on it is said that one waits


@dataclass(frozen=True, slots=True)
class Fall:
    """Why a rank has ended.

    Attributes:
        resident: bytes of the process in memory when it was last looked at.
        last_lines: of its log.
    """

    rank: int
    pid: int
    cause: str
    resident: int | None
    last_lines: tuple[str, ...]


class LostTrainerError(RuntimeError):
    """A trainer has ended, and with it all of them."""

    def __init__(self, fall: Fall):
        super().__init__(f"trainer {fall.rank} (process {fall.pid}): {fall.cause}")
        self.fall = fall


class Team:
    """Start the processes; `close` ends them.

    Args:
        logs: a directory for what each writes to standard error: trainer-RANK.log, of its last start alone.
        say: takes a line that a person should read.
    """

    def __init__(self, config: Config, logs: Path, say: Callable[[str], None]):
        self.settings, self._logs, self._say = config.cluster, logs, say
        self._meeting = TemporaryDirectory(prefix="cogitate-trainers-")
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._processes = [self._start(config, rank) for rank in range(self.settings.trainers)]
        self._watched = [Watched(process.pid) for process in self._processes]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def tell(self, frame: Frame) -> Any:
        """Have all ranks do something; returns the answer of the first, when all have answered.

        Raises:
            CogitateError: the learner refuses, as on the laptop.
            LostTrainerError: a process has ended or says nothing; all others are ended, too.
        """
        try:
            self._send(frame.to_bytes())
            answers = [answer.said for answer in self._answers(frame.said["command"])]
        except LostTrainerError:
            self.close()
            raise
        refused = next((said for said in answers if "refused" in said), None)
        if refused is not None:
            raise getattr(errors, refused["refused"])(refused["words"])
        return answers[0]["answer"]

    def close(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.kill()
            process.wait(SECONDS_TO_END)
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):  # it was ended before it had read all
                    stream.close()
        for watched in self._watched:
            watched.close()
        self._meeting.cleanup()

    def _start(self, config: Config, rank: int) -> subprocess.Popen[bytes]:
        with self._log(rank).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": str(self.settings.trainer_cpus)},
                start_new_session=True,  # Ctrl-C is for the driver, which then has a checkpoint written
            )  # fmt: skip
        runtime = config.runtime.model_copy(update={"device": "cpu", "threads": self.settings.trainer_cpus})
        said = {
            "parent": os.getpid(), "rank": rank, "count": self.settings.trainers,
            "meeting": str(Path(self._meeting.name) / "meeting"), "seconds_limit": self.settings.update_limit,
            "config": {"runtime": said_of_settings(runtime)},
        }  # fmt: skip
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead, which the first command finds
            process.stdin.write(Frame(said).to_bytes())
            process.stdin.flush()
        return process

    def _send(self, content: bytes) -> None:
        for rank, process in enumerate(self._processes):
            assert process.stdin is not None
            try:
                process.stdin.write(content)
                process.stdin.flush()
            except BrokenPipeError as error:
                raise LostTrainerError(self._fall_of(rank)) from error

    def _answers(self, command: str) -> list[Frame]:
        """Of all ranks, in their order."""
        answers: dict[int, Frame] = {}
        began, named, limit = time.monotonic(), False, self.settings.update_limit
        with selectors.DefaultSelector() as selector:
            for rank, process in enumerate(self._processes):
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ, rank)
            while len(answers) < len(self._processes):
                for watched in self._watched:
                    watched.look()
                for key, _ in selector.select(1.0):
                    rank, stream = key.data, self._processes[key.data].stdout
                    assert stream is not None
                    frame = read_frame(stream)
                    if frame is None:
                        raise LostTrainerError(self._fall_of(self._first_fallen(rank)))
                    answers[rank] = frame
                    selector.unregister(stream)
                waited = time.monotonic() - began
                if waited > SHARE_TO_WARN * limit and not named:
                    named = True
                    self._say(f"trainers have not answered for {waited:.0f} s; they start again after {limit:g} s")
                if waited > limit:
                    silent = next(rank for rank in range(len(self._processes)) if rank not in answers)
                    raise LostTrainerError(self._fall_of(silent, f"has not answered {command!r} for {limit:g} s"))
        return [answers[rank] for rank in range(len(self._processes))]

    def _first_fallen(self, rank: int) -> int:
        """Who has been killed, rather than who ended since another one had: that one says an exit status."""
        until = time.monotonic() + SECONDS_TO_FOLLOW
        while time.monotonic() < until:
            ended = [other for other, process in enumerate(self._processes) if process.poll() is not None]
            killed = [other for other in ended if (self._processes[other].returncode or 0) < 0]
            if killed:  # gloo may abort a process whose peer has gone
                return min(killed, key=lambda other: self._processes[other].returncode == -signal.SIGABRT)
            if len(ended) == len(self._processes):
                break
            time.sleep(0.05)
        return rank

    def _fall_of(self, rank: int, cause: str = "") -> Fall:
        process = self._processes[rank]
        if not cause:
            process.wait(SECONDS_TO_END)
            status = process.returncode
            cause = ending_of(-status if status < 0 else status << 8)
        return Fall(rank, process.pid, cause, self._watched[rank].resident, last_lines_of(self._log(rank)))

    def _log(self, rank: int) -> Path:
        return self._logs / f"trainer-{rank}.log"


def last_lines_of(log: Path) -> tuple[str, ...]:
    with log.open(encoding="utf-8", errors="replace") as handle:
        return tuple(deque((line.rstrip() for line in handle if line.strip()), maxlen=LAST_LINES))


def said_of_settings(settings: Section) -> dict[str, Any]:
    """Settings as a trainer reads them: of a class of our own where a stage of the user's has derived another one from it."""
    ours = next(each for each in type(settings).__mro__ if issubclass(each, Section) and each.__module__.startswith(SETTINGS))
    values = settings.model_dump(mode="json", include=set(ours.model_fields))
    return {"class": f"{ours.__module__}:{ours.__qualname__}", "values": values}

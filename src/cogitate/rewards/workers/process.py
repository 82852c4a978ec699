"""The pool's end of a worker: starting it, the frames that go to and fro, its processor time, its end."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cogitate.rewards.workers.worker import LENGTH
from cogitate.runtime import python_path

KILLED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT)  # exit codes


class WorkerProcess:
    """A running worker. It leads a session of its own, so that an interruption from the terminal is for the parent alone.

    Args:
        settings: what the worker is told first, see worker.py.
    """

    def __init__(self, settings: dict[str, Any]):
        environment = {**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cogitate.rewards.workers.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            close_fds=True,
            start_new_session=True,
            env=environment,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self.replies = self._process.stdin, self._process.stdout
        os.set_blocking(self.replies.fileno(), False)
        self._received = bytearray()
        self.send(pickle.dumps(settings))

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, body: bytes) -> None:
        """Send one frame. A dead worker is not noticed here but when its output closes."""
        with contextlib.suppress(BrokenPipeError):
            frame = memoryview(LENGTH.pack(len(body)) + body)
            while frame:
                frame = frame[self._requests.write(frame) :]

    def read(self) -> list[dict[str, Any]] | None:
        """The frames that have arrived; None where the output has closed. To be called when `replies` is readable."""
        chunk = os.read(self.replies.fileno(), 1 << 16)
        if not chunk:
            return None
        self._received += chunk
        frames = []
        while len(self._received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                break
            frames.append(json.loads(self._received[LENGTH.size : end]))
            del self._received[:end]
        return frames

    def cpu_seconds(self) -> float:
        """Processor time used so far; the wall clock where the system does not tell."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_bytes()
        except OSError:
            return time.monotonic()
        user, system = stat.rsplit(b")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def end(self, *, patience: float = 0.0) -> int:
        """Kill it with all it has started; its exit code.

        Args:
            patience: seconds for one whose output has closed to end by itself, so that its exit code is its own.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            if patience:
                self._process.wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        self.replies.close()
        return self._process.wait()

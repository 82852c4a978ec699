"""How each server is started, and what it costs the machine while it runs."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.places import CHECKOUT
from benchmarks.serving.client import get

STARTING_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Server:
    """
    Attributes:
        name: in tables.
        command: with PORT and STREAMS, which are replaced.
        environment: beside what is there.
        missing: why it cannot be started here; "" where it can.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""


def ours(model: Path, dtype: str = "float32") -> Server:
    options = ("--port", "PORT", "--streams", "STREAMS", "--cache-gb", "6", "--dtype", dtype)
    return Server("cogitate", (sys.executable, "-m", "cogitate", "serve", f"bench={model}", *options))


def vllm(model: Path, python: Path | None, dtype: str) -> Server:
    if python is None or not python.exists():
        return Server("vllm", (), missing="name an environment that has it: --vllm PYTHON")
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": "6",  # GiB, as ours has
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
    }
    limits = ("--max-num-seqs", "STREAMS", "--max-model-len", "2048", "--dtype", dtype)
    program = (str(python), "-m", "vllm.entrypoints.openai.api_server")
    return Server(
        "vllm", (*program, "--model", str(model), "--served-model-name", "bench", "--port", "PORT", *limits), environment
    )


def llama_cpp(gguf: Path | None, program: Path | None) -> Server:
    if program is None or not program.exists():
        return Server("llama.cpp", (), missing="name its server: --llama-server PROGRAM")
    if gguf is None or not gguf.exists():
        return Server("llama.cpp", (), missing="name the model's file: --gguf FILE, which `cogitate export` writes")
    options = ("--alias", "bench", "--parallel", "STREAMS", "--ctx-size", "65536", "--threads", str(os.cpu_count() or 1))
    return Server("llama.cpp", (str(program), "-m", str(gguf), "--host", "127.0.0.1", "--port", "PORT", *options))


@dataclass(slots=True)
class Running:
    """A server's process and those that it has started."""

    port: int
    process: psutil.Process

    def memory(self) -> int:
        """Resident bytes."""
        return sum(int(each.memory_info().rss) for each in self._tree())

    def seconds(self) -> float:
        """Of processor time so far."""
        times = [each.cpu_times() for each in self._tree()]
        total: float = sum(each.user + each.system for each in times)
        return total

    def main_thread_seconds(self) -> float:
        """The part of the first process' main thread. In our server: HTTP, JSON and streams; all other threads compute."""
        main = next(thread for thread in self.process.threads() if thread.id == self.process.pid)
        seconds: float = main.user_time + main.system_time
        return seconds

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def started(server: Server, streams: int) -> Iterator[Running]:
    """Raises RuntimeError: it ended, or was not ready in time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = {"PORT": str(port), "STREAMS": str(streams)}
    log = CHECKOUT / "runs" / f"serving-{server.name}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [names.get(part, part) for part in server.command],
            stdout=output,
            stderr=output,
            env={**os.environ, **server.environment},
        )
        try:
            end = time.monotonic() + STARTING_SECONDS
            while asyncio.run(get(port, "/health")) != 200:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{server.name} does not answer: {log} says why")
                time.sleep(0.2)
            yield Running(port, psutil.Process(process.pid))
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

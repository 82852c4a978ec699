"""What a generator's process does: our engine, or vLLM, asked in short turns. It knows nothing of Ray.

A turn brings new units of work and returns what has finished meanwhile. Between turns the engine stands still, so that a
process has one thread of control and the driver decides what it works on.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from cogitate import __version__
from cogitate.backend import GenerationRequest
from cogitate.cluster.vllm.engine import VLLMEngine
from cogitate.cluster.vllm.environment import check_environment
from cogitate.cluster.weights import Bytes, StaleWeightsError, Stamp, digest_of, write_model
from cogitate.config import ClusterConfig, Config
from cogitate.engine.generator import Engine
from cogitate.kernels import native_library
from cogitate.kernels.isa import isa
from cogitate.model.files.checkpoint_files import MTP
from cogitate.recipe.local_backend import LocalBackend
from cogitate.runtime import resident_bytes
from cogitate.types import Completion

SHORTEST_TURN, LONGEST_TURN = 0.05, 2.0  # seconds: what has finished by then is returned, and something, or nothing


@dataclass(frozen=True, slots=True)
class Facts:
    """About the process and its machine."""

    pid: int
    host: str
    machine: str  # its kernel and its numbers of processes: containers of one machine differ, since they see others
    processor: str
    kernels: str  # the class of instructions that the engine's kernels are compiled for here; "" without kernels
    versions: tuple[tuple[str, str], ...]  # of what decides bits


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn returns.

    Attributes:
        stamp: of the weights that sampled.
        resident: bytes of the process in memory; None where the system does not say.
    """

    stamp: Stamp
    completions: tuple[Completion, ...]
    resident: int | None


def facts_here() -> Facts:
    return Facts(
        pid=os.getpid(),
        host=platform.node(),
        machine=machine_here(),
        processor=processor_name(),
        kernels=isa() if native_library() is not None else "",
        versions=(("cogitate", __version__), ("torch", torch.__version__), ("python", platform.python_version())),
    )


def machine_here() -> str:
    """Equal where a process can look at another by its number."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


class GeneratorWorker:
    """Engines of a process, each with a name: one for each generator of the driver.

    Args:
        config: with the device and threads of this process.
        scratch: where weights are on their way; None: the system's place. Whoever names one clears it.
        vllm: the settings of the cluster where vLLM generates; None: our engine does.
    """

    def __init__(self, config: Config, scratch: Path | None = None, vllm: ClusterConfig | None = None):
        self._config, self._scratch, self._vllm = config, scratch, vllm
        self._backend: LocalBackend | None = None
        self._engines: dict[str, Engine | VLLMEngine] = {}
        self._stamps: dict[str, Stamp] = {}

    def facts(self) -> Facts:
        """Raises ConfigError where vLLM should generate and is not there."""
        if self._vllm is not None:
            check_environment(self._vllm.vllm_python)
        return facts_here()

    def take_turn(
        self, name: str, stamp: Stamp, units: Sequence[GenerationRequest], files: Sequence[str] = (), *contents: Bytes
    ) -> Turn:
        """Work on `units` and what is under way, until something has finished or the turn is over.

        Args:
            stamp: of the weights to sample from.
            files: names of the files of the model directory, whose `contents` follow, where the weights are new here.

        Raises:
            StaleWeightsError: other weights are here, or came, than the stamp says.
        """
        if files:
            self._load(name, stamp, dict(zip(files, contents, strict=True)))
        if self._stamps.get(name) != stamp:
            raise StaleWeightsError(f"asked to sample from weights of {stamp}, but has {self._stamps.get(name, 'none')}")
        engine = self._engines[name]
        for unit in units:
            engine.submit(unit)
        began, finished = time.monotonic(), list[Completion]()
        while engine.pending():
            finished += engine.poll()
            if time.monotonic() - began > (SHORTEST_TURN if finished else LONGEST_TURN):
                break
        return Turn(stamp, tuple(finished), resident_bytes())

    def partial(self, name: str, unit: str, start: int) -> dict[int, list[int]]:
        return self._engines[name].partial(unit, start=start)

    def abort(self, name: str, units: Sequence[str]) -> list[Completion]:
        return self._engines[name].abort(units)

    def free_weights(self, name: str) -> None:
        """Let go of the weights until the next turn, which brings others."""
        if name in self._engines:
            self._stamps.pop(name, None)
            self._engines[name].free_weights()

    def drop(self, name: str) -> None:
        """Forget an engine."""
        self._engines.pop(name, None)
        self._stamps.pop(name, None)

    def _load(self, name: str, stamp: Stamp, files: dict[str, Bytes]) -> None:
        if (digest := digest_of(files)) != stamp.digest:
            raise StaleWeightsError(f"was sent other weights than those of {stamp}: {digest[:12]}")
        with TemporaryDirectory(prefix="cogitate-weights-", dir=self._scratch) as directory:
            unread = (MTP,) if self._vllm is not None else ()  # vLLM would take it for weights of the model
            write_model({name: content for name, content in files.items() if name not in unread}, Path(directory))
            if name in self._engines:
                self._engines[name].load_weights(Path(directory), stamp.version)
            elif self._vllm is not None:
                self._engines[name] = VLLMEngine(Path(directory), stamp.version, self._config.runtime, self._vllm)
            else:
                self._backend = self._backend or LocalBackend(self._config)
                self._engines[name] = self._backend.generator(Path(directory))
                self._engines[name].version = stamp.version
        self._stamps[name] = stamp

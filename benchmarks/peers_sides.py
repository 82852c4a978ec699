"""The workloads of `make bench-peers`, who takes part in each, and the processes they run in."""

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

import peers_setup as setup

RUNNERS = Path(__file__).parent / "peers"
ANSWER_SECONDS = 3600.0
CONTEXT = 1024
GROUP = 8
OWN = "ours"  # the family of our sides; a side is FAMILY or FAMILY:VARIANT
TRL_TYPES = ("float32", "mixed", "bfloat16")  # mixed: float32 weights, products in bfloat16
LINES_SHOWN = 15  # of the log of a runner that failed


class RunnerError(Exception):
    """A runner ended, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Side:
    """One who takes part.

    Attributes:
        environment: a peer's, or "ours".
        script: under benchmarks/peers.
        settings: what the runner is started with.
        cases: those it can do; empty: all.
        model: makes the model's path once the environment is there; None: `settings` says it.
    """

    name: str
    environment: str
    script: str
    settings: dict[str, Any]
    cases: tuple[str, ...] = ()
    model: Callable[[], Path] | None = None

    def does(self, case: str) -> bool:
        return not self.cases or case in self.cases


@dataclass(frozen=True, slots=True)
class Workload:
    """Attributes: cases: name -> what a runner is told with each request; unit: of what is counted per second."""

    name: str
    title: str
    unit: str
    cases: dict[str, dict[str, Any]]
    sides: tuple[Side, ...]


class Runner:
    """A side's process, which has loaded when this has been made.

    Attributes:
        facts: versions and the like.
    """

    def __init__(self, side: Side, log: Path, threads: int):
        self.side, self._log = side, log
        python = Path(sys.executable) if side.environment == OWN else setup.python_of(side.environment)
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        environment |= {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        log.parent.mkdir(parents=True, exist_ok=True)
        settings = {**side.settings, "threads": threads}
        if side.model is not None:
            settings["model"] = str(side.model())
        command = [str(python), str(RUNNERS / side.script), json.dumps(settings)]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=setup.ROOT
            )
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self.facts = self._read()

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


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the workloads are.

    Attributes:
        tiny, smollm2: prompts, completions of each and new tokens of a GRPO step.
        natural: the most new tokens of a completion that ends by itself.
        sequences, new_tokens: of generation.
        sft: rows of a step and their tokens.
        verdicts: mathematical answers and programs.
    """

    tiny: tuple[int, int, int]
    natural: int
    smollm2: tuple[int, int, int]
    sequences: tuple[int, ...]
    new_tokens: int
    sft: tuple[int, int]
    verdicts: tuple[int, int]


FULL = Scale((32, 8, 128), 192, (4, 8, 64), (1, 8, 32, 64), 128, (4, 1024), (400, 200))
QUICK = Scale((2, 8, 12), 16, (1, 8, 6), (1, 8), 8, (2, 256), (20, 10))


def grpo_tiny(scale: Scale) -> Workload:
    model = setup.tiny(trained=False)
    sides = grpo_sides(model, scale.tiny, forced=True, micro=64, own=("float32", "bfloat16"))
    return Workload("grpo_tiny", "GRPO step, 1.4 M parameters, forced length", "generated tokens", {"step": {}}, sides)


def grpo_natural(scale: Scale) -> Workload:
    model = setup.tiny(trained=True)
    shape = (*scale.tiny[:2], scale.natural)
    sides = grpo_sides(model, shape, forced=False, micro=64, own=("float32", "bfloat16"))
    title = "GRPO step, 1.4 M parameters, trained, natural length"
    return Workload("grpo_natural", title, "generated tokens", {"step": {}}, sides)


def grpo_smollm2(scale: Scale) -> Workload:
    sides = grpo_sides(setup.smollm2(), scale.smollm2, forced=True, micro=8, own=("bfloat16",))
    return Workload("grpo_smollm2", "GRPO step, SmolLM2-135M, forced length", "generated tokens", {"step": {}}, sides)


def grpo_sides(
    model: Path, shape: tuple[int, int, int], *, forced: bool, micro: int, own: tuple[str, ...]
) -> tuple[Side, ...]:
    """Ours, and TRL's in all its types.

    Args:
        micro: sequences of a forward and backward pass of TRL, as many as suit it.
    """
    settings = {
        "work": "grpo",
        "model": str(model),
        "prompts": str(setup.prompts_for(model)),
        "prompt_count": shape[0],
        "group": shape[1],
        "new_tokens": shape[2],
        "forced": forced,
        "kl_beta": 0.001,
        "learning_rate": 1e-6,
        "reward": "coin",
        "seed": 0,
    }
    return (
        *(Side(f"{OWN}:{each}", OWN, "run_ours.py", {**settings, "dtype": each, "context": CONTEXT}) for each in own),
        *(
            Side(f"trl:{each}", "trl", "run_trl.py", {**settings, "dtype": each, "micro": micro})
            for each in TRL_TYPES
        ),
    )


def generation(scale: Scale) -> Workload:
    model = setup.smollm2()
    settings = {
        "work": "generation",
        "model": str(model),
        "prompts": str(setup.prompts_for(model)),
        "dtype": "bfloat16",
        "context": CONTEXT,
        "most": max(scale.sequences),
    }
    sides = (
        Side(OWN, OWN, "run_ours.py", settings),
        Side("transformers", "trl", "run_transformers.py", settings),
        Side("vllm", "vllm", "run_vllm.py", settings),
        Side("llamacpp_f16", "llamacpp", "run_llamacpp.py", settings, ("1",), setup.smollm2_f16),
        Side("llamacpp_q4", "llamacpp", "run_llamacpp.py", settings, ("1",), setup.smollm2_q4),
    )
    cases = {str(n): {"sequences": n, "new_tokens": scale.new_tokens, "group": GROUP} for n in scale.sequences}
    return Workload("generation", "Generation, SmolLM2-135M, sequences at a time", "generated tokens", cases, sides)


def sft(scale: Scale) -> Workload:
    model = setup.smollm2()
    rows, row_tokens = scale.sft
    settings = {
        "work": "sft",
        "model": str(model),
        "documents": str(setup.sft_documents(model, row_tokens)),
        "rows": rows,
        "row_tokens": row_tokens,
        "learning_rate": 1e-5,
        "seed": 0,
    }
    sides = (
        Side(f"{OWN}:bfloat16", OWN, "run_ours.py", {**settings, "dtype": "bfloat16", "micro": rows}),
        *(Side(f"trl:{each}", "trl", "run_trl.py", {**settings, "dtype": each, "micro": 1}) for each in TRL_TYPES),
    )
    return Workload("sft", "SFT step, SmolLM2-135M, packed", "trained tokens", {"step": {}}, sides)


def verdicts(scale: Scale) -> Workload:
    settings = {"verdicts": str(setup.verdict_rows())}
    sides = (
        Side(OWN, OWN, "run_verdicts.py", {**settings, "work": "ours"}),
        Side("math-verify", OWN, "run_verdicts.py", {**settings, "work": "math-verify"}, ("math",)),
        Side("python", OWN, "run_verdicts.py", {**settings, "work": "python"}, ("code",)),
    )
    cases = {kind: {"kind": kind, "count": count} for kind, count in zip(("math", "code"), scale.verdicts, strict=True)}
    return Workload("verdicts", "Verdicts", "verdicts", cases, sides)


WORKLOADS: dict[str, Callable[[Scale], Workload]] = {
    "generation": generation,
    "grpo_smollm2": grpo_smollm2,
    "grpo_tiny": grpo_tiny,
    "grpo_natural": grpo_natural,
    "sft": sft,
    "verdicts": verdicts,
}

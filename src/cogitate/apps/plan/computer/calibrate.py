"""`cogitate plan --calibrate`: a few short steps on this computer, and the factors that make the formulas agree with them.

Speeds of matrix products and of memory are measured first; then training steps and rollouts of small models of two families, at
several sizes, so that what grows with tokens and what comes with every step can be told apart.
"""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch

from cogitate.apps.plan.computer.machine import this_cpu
from cogitate.apps.plan.factors import write_factors
from cogitate.backend import GenerationRequest
from cogitate.config import SupervisedConfig
from cogitate.costs.factors import PRIORS, Factors, Prior
from cogitate.costs.fitting import Observation, fit_factors
from cogitate.costs.generation import Sampling, generation_seconds
from cogitate.costs.hardware import GIB, Cluster, Gpu
from cogitate.costs.layout import Layout
from cogitate.costs.lengths import Lengths
from cogitate.costs.memory import FLOAT32_ADAMW, FLOAT32_MUON, Training, generation_memory, training_memory
from cogitate.costs.shape import Shape
from cogitate.costs.training import training_seconds
from cogitate.engine.generator import Engine
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.transformer import Transformer
from cogitate.runtime import peak_resident_bytes, reset_peak_memory, resident_bytes
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.types import PackedRows, SamplingParams

Optimiser = Literal["adamw", "muon"]
ALONE = Layout(1, sharding="none")

# On a processor everything but the operations themselves is open.
OWN = {
    "matrix_efficiency": (0.6, 0.6), "work_passes": (2.0, 1.0), "expert_call_us": (40.0, 1.2), "fused_seconds": (0.02, 1.5),
    "step_seconds": (0.02, 1.2), "decode_bandwidth": (0.5, 0.8), "decode_layer_us": (200.0, 1.2), "flash2_later": (0.2, 1.0),
    "rl_slowdown": (1.0, 0.2), "transfer_gb_s": (1.0, 0.7),  # the learner of RL has the same passes as that of fine-tuning
    "inner_bytes": (8.0, 0.8), "width_bytes": (40.0, 0.8), "routed_bytes": (16.0, 0.8),
}  # fmt: skip
PRIORS_OF_CPUS = {**PRIORS, **{name: Prior(*own, PRIORS[name].meaning) for name, own in OWN.items()}}

SMALL_LLAMA = ModelConfig(
    model_type="llama", vocab_size=1536, hidden_size=160, intermediate_size=480, num_hidden_layers=4, num_attention_heads=5,
    num_key_value_heads=1, max_position_embeddings=512,
)  # fmt: skip
WIDER_LLAMA = SMALL_LLAMA.model_copy(update={"hidden_size": 480, "intermediate_size": 1280, "num_attention_heads": 15})
STEPS: tuple[tuple[ModelConfig, int, int, Optimiser], ...] = (
    (TINY, 4, 256, "adamw"), (TINY, 16, 256, "adamw"), (TINY, 16, 256, "muon"), (SMALL_LLAMA, 4, 256, "adamw"),
    (SMALL_LLAMA, 16, 256, "adamw"), (WIDER_LLAMA, 4, 256, "adamw"), (WIDER_LLAMA, 4, 256, "muon"),
)  # fmt: skip
ROLLOUTS = ((TINY, 8, 48), (TINY, 128, 48), (SMALL_LLAMA, 64, 48), (WIDER_LLAMA, 32, 48))
PROMPT = 48


@dataclass(frozen=True, slots=True)
class Step:
    """A training step that was timed.

    Attributes:
        peak: bytes of this process at its fullest; None where the system does not say.
    """

    shape: Shape
    rows: int
    row_tokens: int
    optimiser: str
    seconds: float
    peak: int | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """Completions that were timed: `batch` of `tokens` each, of one prompt."""

    shape: Shape
    batch: int
    tokens: int
    seconds: float
    peak: int | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """All that a calibration measures.

    Attributes:
        peak: operations a second of matrix products, by type.
        resident: bytes of this process with nothing but what a run imports.
    """

    peak: Mapping[str, float]
    bandwidth: float
    resident: float
    steps: Sequence[Step]
    rollouts: Sequence[Rollout]


def measure(
    say: Callable[[str], None],
    *,
    rounds: int = 3,
    share: float = 1.0,
    steps: Sequence[tuple[ModelConfig, int, int, Optimiser]] = STEPS,
    rollouts: Sequence[tuple[ModelConfig, int, int]] = ROLLOUTS,
) -> Timings:
    """Time all of it.

    Args:
        share: of the matrices' side and the copied memory.
        steps: model, rows, tokens of a row and optimiser; rollouts: model, completions and tokens of each.
    """
    import_what_a_run_imports()
    resident = float(resident_bytes() or 0.4 * GIB)
    peak = {dtype: matrix_speed(int(1536 * share), rounds, getattr(torch, dtype)) for dtype in ("float32", "bfloat16")}
    bandwidth = memory_speed(int(6e7 * share), rounds)
    speeds = ", ".join(f"{speed / 1e9:,.0f} G operations a second in {dtype}" for dtype, speed in peak.items())
    say(f"matrix products: {speeds}; memory {bandwidth / 1e9:,.1f} GB a second")
    timed_steps, timed_rollouts = list[Step](), list[Rollout]()
    for config, rows, tokens, optimiser in steps:
        timed_steps.append(time_step(config, rows, tokens, optimiser, rounds))
        say(f"training step of {rows * tokens:,} tokens, {optimiser}: {timed_steps[-1].seconds:.3f} s")
    for config, batch, tokens in rollouts:
        timed_rollouts.append(time_rollout(config, batch, tokens, rounds))
        say(f"{batch} completions of {tokens} tokens: {timed_rollouts[-1].seconds:.3f} s")
    return Timings(peak, bandwidth, resident, timed_steps, timed_rollouts)


def fit_timings(timings: Timings) -> Factors:
    """The factors of this computer."""
    cluster = Cluster(this_cpu(timings.peak["float32"], timings.bandwidth), 1)
    observations = [step_observation(step, cluster, f"step {number}") for number, step in enumerate(timings.steps)]
    observations += [rollout_observation(one, cluster, f"rollout {number}") for number, one in enumerate(timings.rollouts)]
    observations += memory_observations(timings.steps, timings.rollouts)
    observations.append(Observation("process", "memory", lambda f: f["fixed_gib"] * GIB, timings.resident))
    return fit_factors(observations, PRIORS_OF_CPUS)


def step_observation(step: Step, cluster: Cluster, name: str) -> Observation:
    work = work_of(step)
    return Observation(name, "step", lambda f: training_seconds(step.shape, work, ALONE, cluster, f).total, step.seconds)


def work_of(step: Step) -> Training:
    """As apps/plan/stage_cost.py has it of a stage."""
    muon = step.optimiser == "muon"
    return Training(
        step.rows * step.row_tokens, step.row_tokens, activations="keep", mtp=True, muon=muon, number_bytes=4.0,
        precision=FLOAT32_MUON if muon else FLOAT32_ADAMW,
    )  # fmt: skip


def memory_observations(steps: Sequence[Step], rollouts: Sequence[Rollout]) -> Iterator[Observation]:
    """Peaks of this process, where they could be measured."""
    for number, step in enumerate(steps):
        if step.peak is not None:
            yield Observation(f"peak of step {number}", "memory", partial(step_memory, step), float(step.peak))
    for number, rollout in enumerate(rollouts):
        if rollout.peak is not None:
            yield Observation(f"peak of rollout {number}", "memory", partial(rollout_memory, rollout), float(rollout.peak))


def step_memory(step: Step, factors: Factors) -> float:
    return training_memory(step.shape, work_of(step), ALONE, factors).total


def rollout_memory(rollout: Rollout, factors: Factors) -> float:
    tokens = PROMPT + rollout.tokens
    return generation_memory(
        rollout.shape, rollout.batch, tokens, ALONE, factors, weight_bytes=4, number_bytes=4, engine_bytes=0.0
    ).total


def rollout_observation(rollout: Rollout, cluster: Cluster, name: str) -> Observation:
    lengths = Lengths(rollout.tokens, rollout.tokens)
    sampling = Sampling(rollout.batch, 1, PROMPT, lengths, most_running=rollout.batch, weight_bytes=4, cache_number_bytes=4)

    def seconds(factors: Factors) -> float:
        return sum(generation_seconds(rollout.shape, sampling, 1, cluster, factors).values())

    return Observation(name, "rl", seconds, rollout.seconds)


def write_calibration(timings: Timings, factors: Factors, path: Path) -> Gpu:
    """Factors and the machine's speeds as a file that `cogitate plan` reads."""
    gpu = this_cpu(timings.peak["float32"], timings.bandwidth)
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"name": gpu.name, "peak": dict(timings.peak), "bandwidth": timings.bandwidth}
    measured = {
        "resident_bytes": timings.resident,
        "steps": [
            {"tokens": one.rows * one.row_tokens, "optimiser": one.optimiser, "seconds": one.seconds, "peak_bytes": one.peak}
            for one in timings.steps
        ],
        "rollouts": [
            {"completions": one.batch, "tokens": one.tokens, "seconds": one.seconds, "peak_bytes": one.peak}
            for one in timings.rollouts
        ],
    }
    write_factors(factors, path, "cogitate plan --calibrate", {"machine": machine, "measured": measured})
    return gpu


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of some rounds, after one that warms up."""
    return min(timed(work, rounds))


def usual(work: Callable[[], object], rounds: int) -> float:
    """The median: a stage takes what most of its steps take."""
    return median(timed(work, rounds))


def timed(work: Callable[[], object], rounds: int) -> list[float]:
    work()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return found


def matrix_speed(size: int, rounds: int, dtype: torch.dtype) -> float:
    """Operations a second of a square product."""
    left, right = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    return 2.0 * size**3 / fastest(lambda: left @ right, rounds)


def memory_speed(numbers: int, rounds: int) -> float:
    """Bytes a second, read and written, of copying."""
    source, target = torch.ones(numbers), torch.empty(numbers)
    return 8.0 * numbers / fastest(lambda: target.copy_(source), rounds)


def time_step(config: ModelConfig, rows: int, row_tokens: int, optimiser: Optimiser, rounds: int) -> Step:
    torch.manual_seed(0)
    can_measure = begin_peak()
    learner = SupervisedLearner(Transformer(config), SupervisedConfig(micro_rows=rows, optimiser=optimiser))
    tokens = np.random.default_rng(0).integers(3, config.vocab_size, (rows, row_tokens))
    whole = np.zeros_like(tokens)
    positions = np.broadcast_to(np.arange(row_tokens), tokens.shape).copy()
    batch = PackedRows(tokens, np.ones_like(tokens, dtype=bool), whole, positions, 0.0)
    seconds = usual(lambda: learner.update(batch, 1e-4), rounds)
    peak = peak_resident_bytes() if can_measure else None
    return Step(Shape.from_config(config.to_dict()), rows, row_tokens, optimiser, seconds, peak)


def time_rollout(config: ModelConfig, batch: int, tokens: int, rounds: int) -> Rollout:
    torch.manual_seed(0)
    can_measure = begin_peak()
    engine = Engine(Transformer(config), end_id=[], max_batch=batch)
    prompt = tuple(range(3, 3 + PROMPT))

    def draw() -> None:
        params = SamplingParams(max_new_tokens=tokens)
        engine.submit(GenerationRequest("calibration", prompt, params, tuple(range(batch))))
        while engine.pending():
            engine.poll()

    seconds = usual(draw, rounds)
    peak = peak_resident_bytes() if can_measure else None
    return Rollout(Shape.from_config(config.to_dict()), batch, tokens, seconds, peak)


def begin_peak() -> bool:
    """Forget what was there before, and begin to measure the peak of this process anew; returns whether that can be."""
    gc.collect()
    return reset_peak_memory()


def import_what_a_run_imports() -> None:
    """So that this process is as large as that of a run."""
    for stage in ("pretrain", "fine_tune", "rl_zero", "reward_models", "evaluate"):
        importlib.import_module(f"cogitate.recipe.stages.{stage}")
    importlib.import_module("cogitate.recipe.local_backend")

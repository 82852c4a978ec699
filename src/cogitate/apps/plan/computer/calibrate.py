"""`cogitate plan --calibrate`: a few short steps on this computer, and the factors that make the formulas agree with them.

Speeds of matrix products and of memory are measured first; then training steps and rollouts of small models of two families, at
several sizes, so that what grows with tokens and what comes with every step can be told apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from cogitate.costs.memory import FLOAT32_ADAMW, Training
from cogitate.costs.shape import Shape
from cogitate.costs.training import training_seconds
from cogitate.engine.generator import Engine
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.transformer import Transformer
from cogitate.runtime import resident_bytes
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.types import PackedRows, SamplingParams

# On a processor everything but the operations themselves is open.
OWN = {
    "matrix_efficiency": (0.6, 0.6), "work_passes": (2.0, 1.0), "expert_call_us": (40.0, 1.2), "fused_seconds": (0.02, 1.5),
    "step_seconds": (0.02, 1.2), "decode_bandwidth": (0.5, 0.8), "decode_layer_us": (200.0, 1.2), "flash2_later": (0.2, 1.0),
    "rl_slowdown": (1.2, 0.3), "transfer_gb_s": (1.0, 0.7),
}  # fmt: skip
PRIORS_OF_CPUS = {**PRIORS, **{name: Prior(*own, PRIORS[name].meaning) for name, own in OWN.items()}}

SMALL_LLAMA = ModelConfig(
    model_type="llama", vocab_size=1536, hidden_size=160, intermediate_size=480, num_hidden_layers=4, num_attention_heads=5,
    num_key_value_heads=1, max_position_embeddings=512,
)  # fmt: skip
WIDER_LLAMA = SMALL_LLAMA.model_copy(update={"hidden_size": 480, "intermediate_size": 1280, "num_attention_heads": 15})
STEPS = ((TINY, 4, 256), (TINY, 16, 256), (SMALL_LLAMA, 4, 256), (SMALL_LLAMA, 16, 256), (WIDER_LLAMA, 4, 256))
ROLLOUTS = ((TINY, 8, 48), (TINY, 128, 48), (SMALL_LLAMA, 64, 48), (WIDER_LLAMA, 32, 48))
PROMPT = 48


@dataclass(frozen=True, slots=True)
class Step:
    """A training step that was timed."""

    shape: Shape
    rows: int
    row_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rollout:
    """Completions that were timed: `batch` of `tokens` each, of one prompt."""

    shape: Shape
    batch: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Timings:
    """All that a calibration measures.

    Attributes:
        peak: operations a second of matrix products, by type.
        resident: bytes of this process with nothing but its imports.
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
    steps: Sequence[tuple[ModelConfig, int, int]] = STEPS,
    rollouts: Sequence[tuple[ModelConfig, int, int]] = ROLLOUTS,
) -> Timings:
    """Time all of it.

    Args:
        share: of the matrices' side and the copied memory.
        steps: model, rows and tokens of a row; rollouts: model, completions and tokens of each.
    """
    resident = float(resident_bytes() or 0.4 * GIB)
    peak = {dtype: matrix_speed(int(1536 * share), rounds, getattr(torch, dtype)) for dtype in ("float32", "bfloat16")}
    bandwidth = memory_speed(int(6e7 * share), rounds)
    speeds = ", ".join(f"{speed / 1e9:,.0f} G operations a second in {dtype}" for dtype, speed in peak.items())
    say(f"matrix products: {speeds}; memory {bandwidth / 1e9:,.1f} GB a second")
    timed_steps, timed_rollouts = [], []
    for config, rows, tokens in steps:
        timed_steps.append(time_step(config, rows, tokens, rounds))
        say(f"training step of {rows * tokens:,} tokens: {timed_steps[-1].seconds:.3f} s")
    for config, batch, tokens in rollouts:
        timed_rollouts.append(time_rollout(config, batch, tokens, rounds))
        say(f"{batch} completions of {tokens} tokens: {timed_rollouts[-1].seconds:.3f} s")
    return Timings(peak, bandwidth, resident, timed_steps, timed_rollouts)


def fit_timings(timings: Timings) -> Factors:
    """The factors of this computer."""
    cluster = Cluster(this_cpu(timings.peak["float32"], timings.bandwidth), 1)
    observations = [step_observation(step, cluster, f"step {number}") for number, step in enumerate(timings.steps)]
    observations += [rollout_observation(one, cluster, f"rollout {number}") for number, one in enumerate(timings.rollouts)]
    observations.append(Observation("process", "memory", lambda f: f["fixed_gib"] * GIB, timings.resident))
    return fit_factors(observations, PRIORS_OF_CPUS)


def step_observation(step: Step, cluster: Cluster, name: str) -> Observation:
    work = Training(step.rows * step.row_tokens, step.row_tokens, activations="keep", precision=FLOAT32_ADAMW)
    return Observation(name, "step", lambda f: training_seconds(step.shape, work, Layout(1), cluster, f).total, step.seconds)


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
    extra = {"machine": {"name": gpu.name, "peak": dict(timings.peak), "bandwidth": timings.bandwidth}}
    write_factors(factors, path, "cogitate plan --calibrate", extra)
    return gpu


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of some rounds, after one that warms up."""
    work()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def matrix_speed(size: int, rounds: int, dtype: torch.dtype) -> float:
    """Operations a second of a square product."""
    left, right = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    return 2.0 * size**3 / fastest(lambda: left @ right, rounds)


def memory_speed(numbers: int, rounds: int) -> float:
    """Bytes a second, read and written, of copying."""
    source, target = torch.ones(numbers), torch.empty(numbers)
    return 8.0 * numbers / fastest(lambda: target.copy_(source), rounds)


def time_step(config: ModelConfig, rows: int, row_tokens: int, rounds: int) -> Step:
    torch.manual_seed(0)
    learner = SupervisedLearner(Transformer(config), SupervisedConfig(micro_rows=rows))
    tokens = np.random.default_rng(0).integers(3, config.vocab_size, (rows, row_tokens))
    whole = np.zeros_like(tokens)
    positions = np.broadcast_to(np.arange(row_tokens), tokens.shape).copy()
    batch = PackedRows(tokens, np.ones_like(tokens, dtype=bool), whole, positions, 0.0)
    seconds = fastest(lambda: learner.update(batch, 1e-4), rounds)
    return Step(Shape.from_config(config.to_dict()), rows, row_tokens, seconds)


def time_rollout(config: ModelConfig, batch: int, tokens: int, rounds: int) -> Rollout:
    torch.manual_seed(0)
    engine = Engine(Transformer(config), end_id=[], max_batch=batch)
    prompt = tuple(range(3, 3 + PROMPT))

    def draw() -> None:
        params = SamplingParams(max_new_tokens=tokens)
        engine.submit(GenerationRequest("calibration", prompt, params, tuple(range(batch))))
        while engine.pending():
            engine.poll()

    return Rollout(Shape.from_config(config.to_dict()), batch, tokens, fastest(draw, rounds))

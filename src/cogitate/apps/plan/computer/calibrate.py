"""`cogitate plan --calibrate`: the factors that make the formulas agree with what was timed on this computer, for each type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from cogitate.apps.plan.computer.machine import this_cpu
from cogitate.apps.plan.computer.rehearsal import Rehearsal
from cogitate.apps.plan.computer.timing import LONGEST_TIMES, PROMPT, Sampled, Step, Timings, Update
from cogitate.apps.plan.factors import factors_json, write_factors
from cogitate.apps.plan.stage_cost import memories_of, seconds_of
from cogitate.apps.plan.work import StageWork
from cogitate.config import RuntimeConfig
from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import PRIORS, Factors, Prior
from cogitate.costs.fitting import Observation, fit_factors
from cogitate.costs.generation import Sampling, generation_seconds, our_engine_memory
from cogitate.costs.hardware import GIB, Cluster, Gpu
from cogitate.costs.layout import Layout
from cogitate.costs.lengths import Lengths
from cogitate.costs.memory import (
    FLOAT32_ADAMW,
    FLOAT32_MUON,
    OUR_BFLOAT16_ADAMW,
    OUR_BFLOAT16_MUON,
    Memory,
    Precision,
    Training,
    training_memory,
)
from cogitate.costs.rl_step import LEAST_MICRO_TOKENS, RLStep, our_activations, rl_seconds
from cogitate.costs.training import training_seconds

ALONE = Layout(1, sharding="none")
BYTES = {"float32": 4.0, "bfloat16": 2.0}  # of a number
PRECISIONS: dict[tuple[str, str], Precision] = {
    ("float32", "adamw"): FLOAT32_ADAMW, ("float32", "muon"): FLOAT32_MUON,
    ("bfloat16", "adamw"): OUR_BFLOAT16_ADAMW, ("bfloat16", "muon"): OUR_BFLOAT16_MUON,
}  # fmt: skip

# On a processor everything but the operations themselves is open.
OWN = {
    "matrix_efficiency": (0.6, 0.6), "work_passes": (2.0, 1.0), "expert_call_us": (40.0, 1.2), "fused_seconds": (0.02, 1.5),
    "step_seconds": (0.02, 1.2), "decode_bandwidth": (0.5, 0.8), "decode_layer_us": (200.0, 1.2), "flash2_later": (0.2, 1.0),
    "rl_slowdown": (1.0, 0.3),  # the learner of RL has the same passes as that of fine-tuning
    "transfer_gb_s": (0.4, 0.7), "rl_rest": (1.02, 0.03),  # weights go through files; graders work while completions are drawn
    "inner_bytes": (8.0, 0.8), "width_bytes": (40.0, 0.8), "routed_bytes": (16.0, 0.8),
}  # fmt: skip
PRIORS_OF_CPUS = {**PRIORS, **{name: Prior(*own, PRIORS[name].meaning) for name, own in OWN.items()}}


# Of stages and processes, whatever type their weights have: measured in the type of the recipe in small.
OF_ANY_TYPE = (
    "stage_seconds", "prompt_ms", "completion_ms", "verdict_ms", "measured_us", "token_us", "stage_growth_mib", "holes",
    "preference_slowdown", "rl_slowdown",
)  # fmt: skip


def fit_timings(
    timings: Timings, dtype: str = "float32", rehearsal: Rehearsal | None = None, known: Factors | None = None
) -> Factors:
    """The factors of this computer for work in a type.

    Args:
        rehearsal: of work in this type; known: else the factors of the type that one was made in.
    """
    cluster = Cluster(this_cpu(timings.peak[dtype], timings.bandwidth), 1)
    steps = [step for step in timings.steps if step.dtype == dtype]
    rollouts = [one for one in timings.rollouts if one.dtype == dtype]
    updates = [one for one in timings.updates if one.dtype == dtype]
    observations = [step_observation(step, cluster, f"step {number}") for number, step in enumerate(steps)]
    observations += [rollout_observation(one, cluster, f"rollout {number}") for number, one in enumerate(rollouts)]
    observations += [update_observation(one, cluster, f"update {number}") for number, one in enumerate(updates)]
    observations += memory_observations(steps, rollouts, updates)
    if timings.measured is not None:
        observations.append(Observation("texts of puzzles", "step", lambda f: f["measured_us"] * 1e-6, timings.measured))
    if rehearsal is not None:
        observations += stage_observations(rehearsal, cluster)
    else:
        observations.append(Observation("process", "memory", lambda f: f["fixed_gib"] * GIB, timings.resident))
    of_stages = {} if known is None else {n: Prior(known[n], 0.1, PRIORS[n].meaning) for n in OF_ANY_TYPE}
    return fit_factors(observations, {**PRIORS_OF_CPUS, **of_stages})


def step_observation(step: Step, cluster: Cluster, name: str) -> Observation:
    work = work_of(step)
    return Observation(name, "step", lambda f: training_seconds(step.shape, work, ALONE, cluster, f).total, step.seconds)


def work_of(step: Step) -> Training:
    """As apps/plan/stage_cost.py has it of a stage."""
    return Training(
        step.rows * step.row_tokens, step.row_tokens, activations="keep", logits="ours", mtp=True,
        muon=step.optimiser == "muon", number_bytes=BYTES[step.dtype], precision=PRECISIONS[step.dtype, step.optimiser],
    )  # fmt: skip


def rollout_observation(rollout: Sampled, cluster: Cluster, name: str) -> Observation:
    sampling = sampling_of(rollout.batch, 1, rollout.tokens, rollout.dtype)

    def seconds(factors: Factors) -> float:
        return sum(generation_seconds(rollout.shape, sampling, 1, cluster, factors).values())

    return Observation(name, "rl", seconds, rollout.seconds)


def update_observation(update: Update, cluster: Cluster, name: str) -> Observation:
    size, count = BYTES[update.dtype], update.groups * update.size
    lengths = Lengths(update.tokens, LONGEST_TIMES * update.tokens)
    sampling = Sampling(count, update.groups, PROMPT, lengths, count, size, size)
    step = RLStep(
        sampling, 1, ALONE, scorings=1, shares_prompts=True, activations=our_activations(update.shape, BYTES[update.dtype])
    )

    def seconds(factors: Factors) -> float:
        phases = rl_seconds(update.shape, step, cluster, factors).phases
        return phases["update"] + phases["log-probabilities"]

    return Observation(name, "rl", seconds, update.seconds)


def sampling_of(completions: int, prompts: int, tokens: int, dtype: str) -> Sampling:
    """Completions that are all equally long."""
    size = BYTES[dtype]
    return Sampling(completions, prompts, PROMPT, Lengths(tokens, tokens), completions, size, size)


def memory_observations(
    steps: Sequence[Step], rollouts: Sequence[Sampled], updates: Sequence[Update] = ()
) -> Iterator[Observation]:
    """Peaks of this process, where they could be measured, beside what it had before: a run's process has another size."""
    for number, step in enumerate(steps):
        if step.peak is not None:
            yield Observation(f"peak of step {number}", "memory", partial(step_memory, step), float(step.peak))
    for number, rollout in enumerate(rollouts):
        if rollout.peak is not None:
            yield Observation(f"peak of rollout {number}", "memory", partial(rollout_memory, rollout), float(rollout.peak))
    for number, update in enumerate(updates):
        for count, peak in update.peaks.items():
            name = f"peak of update {number} after {count}"
            yield Observation(name, "memory", partial(update_memory, update, count), float(peak))


def stage_observations(rehearsal: Rehearsal, cluster: Cluster) -> Iterator[Observation]:
    """Whole stages."""
    runtime = rehearsal.config.runtime
    for each in rehearsal.stages:
        seconds, memory = (
            partial(stage_seconds, each.work, cluster, runtime),
            partial(stage_memory, each.work, cluster, runtime),
        )
        yield Observation(f"{each.work.stage.name} in small", "stage", seconds, each.seconds)
        if each.peak is not None:
            yield Observation(f"peak of {each.work.stage.name} in small", "memory", memory, float(each.peak))


def stage_seconds(work: StageWork, cluster: Cluster, runtime: RuntimeConfig, factors: Factors) -> float:
    return seconds_of(work, ALONE, cluster, factors, runtime)[0]


def stage_memory(work: StageWork, cluster: Cluster, runtime: RuntimeConfig, factors: Factors) -> float:
    return max(memory.total for memory in memories_of(work, ALONE, cluster, factors, runtime).values())


def of_this_process(memory: Memory, one: Step | Sampled | Update) -> float:
    """The same in a process that is as large as this one was before it."""
    return Memory({**memory.terms, "process": float(one.base or 0)}, memory.alternatives).total


def step_memory(step: Step, factors: Factors) -> float:
    return of_this_process(training_memory(step.shape, work_of(step), ALONE, factors), step)


def update_memory(update: Update, count: int, factors: Factors) -> float:
    """Of the policy, in passes of LEAST_MICRO_TOKENS, and its reference, after so many updates."""
    shape, size = update.shape, BYTES[update.dtype]
    tokens = update.groups * (PROMPT + update.size * update.tokens)
    work = Training(
        min(float(tokens), LEAST_MICRO_TOKENS), PROMPT + update.tokens, activations=our_activations(shape, size),
        logits="ours", number_bytes=size, precision=PRECISIONS[update.dtype, "adamw"],
        predicted=1 - update.groups * PROMPT / tokens, packed=True, uneven=True, updates=float(count),
    )  # fmt: skip
    reference = size * count_parameters(shape).total_with_mtp
    return of_this_process(training_memory(shape, work, ALONE, factors), update) + reference


def rollout_memory(rollout: Sampled, factors: Factors) -> float:
    sampling = sampling_of(rollout.batch, 1, rollout.tokens, rollout.dtype)
    return of_this_process(our_engine_memory(rollout.shape, sampling, rollout.batch, factors), rollout)


def write_calibration(
    timings: Timings, factors: Factors, path: Path, others: Mapping[str, Factors] | None = None,
    rehearsal: Rehearsal | None = None,
) -> Gpu:  # fmt: skip
    """Factors and the machine's speeds as a file that `cogitate plan` reads.

    Args:
        factors: for work in float32; others: for work in other types.
    """
    gpu = this_cpu(timings.peak["float32"], timings.bandwidth)
    machine = {"name": gpu.name, "peak": dict(timings.peak), "bandwidth": timings.bandwidth}
    measured: dict[str, Any] = {"resident_bytes": timings.resident, "measured_seconds_per_token": timings.measured}
    for name in ("steps", "rollouts", "updates"):
        measured[name] = [facts(one) for one in getattr(timings, name)]
    if rehearsal is not None:
        measured["stages"] = {each.work.stage.name: {"seconds": each.seconds, "peak": each.peak} for each in rehearsal.stages}
    extra = {
        "machine": machine,
        "measured": measured,
        "types": {name: factors_json(own) for name, own in (others or {}).items()},
    }
    write_factors(factors, path, "cogitate plan --calibrate", extra)
    return gpu


def facts(one: Step | Sampled | Update) -> dict[str, Any]:
    """What was timed, without the model's sizes but with its parameters."""
    found = {key: value for key, value in asdict(one).items() if key != "shape"}
    return {"parameters": count_parameters(one.shape).total_with_mtp, **found}

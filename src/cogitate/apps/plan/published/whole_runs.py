"""Whole runs: training on so many tokens, so many steps of RL, and the stages of R1 as its paper describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.published.rl_rows import USUAL_PROMPT, rl_step_of
from cogitate.apps.plan.published.row import UNKNOWN_MODEL, Guesses, Row, gpu_of_row, number, shape_of_row, whole
from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Factors, prior_factors
from cogitate.costs.generation import Sampling, generation_seconds, smallest_tensor
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import LARGE, Layout, usual_layout
from cogitate.costs.lengths import UNKNOWN_LENGTH, Lengths
from cogitate.costs.memory import MEGATRON, Training, training_memory
from cogitate.costs.rl_step import RLStep, rl_seconds
from cogitate.costs.shape import Shape
from cogitate.costs.training import training_seconds
from cogitate.errors import DataError

PRETRAINING_SEQUENCE = 4096.0
UNKNOWN_LAYOUT = 0.2  # deviation of the logarithm of hours
MICRO_BATCHES = 64  # of a step of pretraining, on each process
LARGE_ENOUGH_FOR_PIPELINES = 3e10  # parameters
# R1-Zero's limit is 32,768 and then 65,536 tokens; the mean grows from some hundred to over ten thousand (R1, figure 3).
R1_MEAN, R1_LIMIT = 8000.0, 32768.0
# Its engine has FP8 weights and drafts by the MTP block, 1.8 tokens a step (arXiv:2412.19437, section 5.4.3).
R1_WEIGHT_BYTES, R1_TOKENS_PER_STEP = 1.0, 1.8
R1_STEPS, R1_SEQUENCES = {"r1-zero": 10_400.0, "r1": 3_400.0}, 512.0  # R1: two stages of 1,700 steps
R1_DATA_PROMPTS, R1_DATA_SAMPLES = 600_000.0, 4.0  # rows kept are known, completions of each prompt are not
R1_STEPS_OF_ROLLOUTS = 16  # 8,192 completions are drawn at a time and learnt from in 16 steps of 512 (R1, supplement)


def run_row(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """A whole run: pretraining or fine-tuning on so many tokens, or so many steps of RL. Its figure is GPU hours."""
    (shape, note), gpu = shape_of_row(row), gpu_of_row(row, hardware)
    guesses = Guesses()
    if note:
        guesses.add(note, UNKNOWN_MODEL)
    hours = row.get("gpu_hours")
    stage = str(row.get("stage") or "").lower()
    # Rows of the R1 report name its stages; what is known of these runs from the paper need not be in the row.
    of_r1 = "r1" in stage or ("sft data" in stage and "r1" in str(row.get("source")).lower())
    hours = number(row, "gpu_hours") if hours is not None else number(row, "hours") * whole(row, "gpus")
    if row.get("tokens") is not None:
        figure = tokens_run(row, shape, Cluster(gpu, whole(row, "gpus", 2048 if hours > 1e5 else 64)), guesses)
    elif of_r1 and not (row.get("steps") is not None and row.get("max_new_tokens") is not None):
        figure = r1_run(row, stage, shape, Cluster(gpu, whole(row, "gpus", 512)), guesses)
    elif row.get("steps") is not None:
        figure = rl_run(row, shape, Cluster(gpu, whole(row, "gpus", 64)), guesses)
    else:
        raise DataError("neither tokens nor steps: how much work the run was is not said")
    return Row(
        name, "whole run", {"whole_run": figure}, {"whole_run": hours}, further=guesses.deviation, notes=tuple(guesses.notes)
    )


def r1_run(row: Mapping[str, Any], stage: str, shape: Shape, cluster: Cluster, guesses: Guesses) -> Callable[[Factors], float]:
    """GPU hours of a stage of the R1 paper, or of all of them."""
    if "distil" in stage:
        raise DataError(f"stage = {row['stage']!r}: how many tokens it learnt from is not said; add tokens")
    if "data" in stage:
        return r1_data_run(shape, cluster, guesses)
    guesses.add(f"lengths of the R1 paper: {R1_MEAN:.0f} tokens on average, {R1_LIMIT:.0f} at most", UNKNOWN_LENGTH)
    if any(word in stage for word in ("total", "all", "whole")):
        data = r1_data_run(shape, cluster, guesses)
        runs = [r1_rl_run(shape, cluster, steps) for steps in R1_STEPS.values()]
        return lambda factors: data(factors) + sum(run(factors) for run in runs)
    return r1_rl_run(shape, cluster, number(row, "steps", R1_STEPS["r1-zero" if "zero" in stage else "r1"]))


def rl_run(row: Mapping[str, Any], shape: Shape, cluster: Cluster, guesses: Guesses) -> Callable[[Factors], float]:
    """GPU hours of so many steps of RL."""
    step, steps = rl_step_of(row, shape, cluster, guesses), number(row, "steps")
    return lambda factors: steps * cluster.count * rl_seconds(shape, step, cluster, factors).total / 3600


def of_r1_engine(step: RLStep, shape: Shape, cluster: Cluster) -> RLStep:
    """The same step with the generation of R1's authors."""
    sampling = replace(step.sampling, weight_bytes=R1_WEIGHT_BYTES, tokens_per_step=R1_TOKENS_PER_STEP)
    return replace(step, sampling=sampling, tensor=smallest_tensor(shape, cluster.gpu, weight_bytes=R1_WEIGHT_BYTES))


def r1_data_run(shape: Shape, cluster: Cluster, guesses: Guesses) -> Callable[[Factors], float]:
    """GPU hours of drawing R1's SFT data."""
    drawn = f"{R1_DATA_SAMPLES:.0f} completions of {R1_MEAN:.0f} tokens for each of {R1_DATA_PROMPTS:.0f} prompts"
    guesses.add(drawn, UNKNOWN_LENGTH)
    sampling = Sampling(
        R1_DATA_SAMPLES * R1_DATA_PROMPTS, R1_DATA_PROMPTS, USUAL_PROMPT, Lengths(R1_MEAN, R1_LIMIT),
        weight_bytes=R1_WEIGHT_BYTES, tokens_per_step=R1_TOKENS_PER_STEP,
    )  # fmt: skip
    tensor = smallest_tensor(shape, cluster.gpu, weight_bytes=R1_WEIGHT_BYTES)

    def hours(factors: Factors) -> float:
        seconds = factors["rl_rest"] * sum(generation_seconds(shape, sampling, tensor, cluster, factors).values())
        return seconds * cluster.count / 3600

    return hours


def r1_rl_run(shape: Shape, cluster: Cluster, steps: float) -> Callable[[Factors], float]:
    """GPU hours of so many steps of R1's RL with its lengths, engine and batches."""
    row = {"max_new_tokens": R1_LIMIT, "mean_new_tokens": R1_MEAN, "sequences_per_step": R1_STEPS_OF_ROLLOUTS * R1_SEQUENCES}
    step = of_r1_engine(rl_step_of(row, shape, cluster, Guesses()), shape, cluster)
    batches = steps / R1_STEPS_OF_ROLLOUTS
    return lambda factors: batches * cluster.count * rl_seconds(shape, step, cluster, factors).total / 3600


def tokens_run(row: Mapping[str, Any], shape: Shape, cluster: Cluster, guesses: Guesses) -> Callable[[Factors], float]:
    """GPU hours of training on so many tokens, activations kept, experts and pipeline as large models are trained."""
    tokens, sequence = number(row, "tokens"), number(row, "seq_len", PRETRAINING_SEQUENCE)
    work = Training(
        tokens=sequence, sequence=sequence, micro_batches=MICRO_BATCHES, activations="keep", logits="plain", mtp=True
    )
    layouts = layouts_that_fit(shape, work, cluster)
    guesses.add("how the GPUs were divided, and what was lost beside the steps, is a guess", UNKNOWN_LAYOUT)
    if row.get("seq_len") is None:
        guesses.add(f"sequences of {sequence:.0f} tokens", 0.05)

    def hours(layout: Layout, factors: Factors) -> float:
        seconds = training_seconds(shape, work, layout, cluster, factors, grouped=True).total
        return tokens / (sequence * MICRO_BATCHES * layout.data) * seconds * cluster.count / 3600

    return lambda factors: min(hours(layout, factors) for layout in layouts)


def layouts_that_fit(shape: Shape, work: Training, cluster: Cluster) -> list[Layout]:
    """Ways to train that people choose from: all states divided, AdamW's alone, and with pipelines; those that the memory
    holds, or the last where it holds none."""
    count, large = cluster.count, count_parameters(shape).total > LARGE_ENOUGH_FOR_PIPELINES
    found = [Layout(count), Layout(count, sharding="optimiser")]
    if large:
        found.append(usual_layout(shape, LARGE, count))
    kept, factors = replace(work, precision=MEGATRON), prior_factors()
    fitting = [layout for layout in found if training_memory(shape, kept, layout, factors).total <= cluster.gpu.memory]
    return fitting or found[-1:]

"""Steps of RL: rollouts, log-probabilities, an update."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.published.divided import layout_of_row
from cogitate.apps.plan.published.row import (
    MEMORY_OF_UNKNOWN_MODEL,
    PUBLISHED_AS,
    UNKNOWN_MODEL,
    Guesses,
    Row,
    by_throughput,
    fits_of,
    given,
    gpu_of_row,
    nothing_published,
    number,
    shape_of_row,
    whole,
)
from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Factors
from cogitate.costs.generation import Sampling, smallest_tensor
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import usual_layout
from cogitate.costs.lengths import UNKNOWN_LENGTH, Lengths, usual_mean
from cogitate.costs.memory import MEGATRON, Memory, Training, training_memory
from cogitate.costs.rl_step import RLStep, rl_seconds
from cogitate.costs.shape import Shape
from cogitate.errors import DataError

USUAL_PROMPT = 105.0
USUAL_LIMIT = 2048.0  # of a completion, in rows that say whether a model fits and nothing of lengths
USUAL_SEQUENCES = 4096.0  # of a step of RL, where a row does not say: recipes have 512 to 8,192 and more
COLOCATED, APART = ("on-policy", "colocated", "synchronous"), ("off", "async")  # words of a row's policy
ENGINE_SHARE = 0.65  # of the memory, that serving engines fill with weights and cache beside a trainer


def rl_row(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """A step of RL: rollouts of a step, log-probabilities, an update."""
    (shape, note), gpu = shape_of_row(row), gpu_of_row(row, hardware)
    cluster, guesses = Cluster(gpu, whole(row, "gpus")), Guesses()
    if note:
        guesses.add(note, UNKNOWN_MODEL)
    step = rl_step_of(row, shape, cluster, guesses)
    published, fits = given(row, PUBLISHED_AS), fits_of(row)
    if row.get("sequences_per_step") is not None and row.get("mean_new_tokens") is not None:
        tokens = step.sampling.sequences * (step.sampling.prompt_tokens + step.sampling.lengths.mean) / cluster.count
        guesses.notes.extend(by_throughput(row, published, "tokens_per_second_per_gpu", tokens))
    memory = partial(rl_memory, shape, step, cluster, offloaded=bool(row.get("host_memory_gb")))
    return Row(
        name,
        "RL step",
        {
            "step_time": lambda factors: rl_seconds(shape, step, cluster, factors).total,
            "memory": lambda factors: memory(factors).total,
        },
        published,
        fits=fits,
        capacity=gpu.memory,
        further=guesses.deviation,
        further_memory=MEMORY_OF_UNKNOWN_MODEL if note else 0.0,
        notes=(*guesses.notes, *nothing_published(published, fits)),
        memory=memory,
    )


def rl_step_of(row: Mapping[str, Any], shape: Shape, cluster: Cluster, guesses: Guesses) -> RLStep:
    """The work of an RL row; what it leaves open is guessed, and noted."""
    lengths_given = row.get("max_new_tokens") is not None or row.get("mean_new_tokens") is not None
    if not lengths_given and (row.get("step_seconds") is not None or row.get("fits") is None):
        raise DataError("neither max_new_tokens nor mean_new_tokens: how long completions are decides a step of RL")
    limit = number(row, "max_new_tokens", 4 * number(row, "mean_new_tokens", 1) if lengths_given else USUAL_LIMIT)
    if not lengths_given:
        guesses.add(f"lengths not given: completions of {limit:.0f} tokens at most")
    elif row.get("max_new_tokens") is None:
        guesses.add(f"limit of a completion not given: four times the mean, {limit:.0f} tokens", 0.3)
    if row.get("mean_new_tokens") is None:
        guesses.add(f"mean length not given: {usual_mean(limit):.0f} tokens", UNKNOWN_LENGTH)
    if row.get("sequences_per_step") is None:
        guesses.add(f"completions of a step not given: {USUAL_SEQUENCES:.0f}", 0.6)
    sequences = number(row, "sequences_per_step", USUAL_SEQUENCES)
    mean = number(row, "mean_new_tokens", usual_mean(limit))
    if mean > limit:
        guesses.add(f"mean_new_tokens = {mean:.0f} is above max_new_tokens: taken as that")
    lengths = Lengths(min(mean, limit), limit)
    policy = str(row.get("policy") or "on-policy")
    colocated = any(word in policy.lower().replace("_", "-") for word in COLOCATED)
    if not colocated and not any(word in policy.lower() for word in APART):
        guesses.add(f"policy = {policy!r}: half of the GPUs generate beside the others, which train")
    tensor = whole(row, "generation_tp", smallest_tensor(shape, cluster.gpu))
    layout = layout_of_row(row, "", shape, cluster.count) or usual_layout(shape, count_parameters(shape).total, cluster.count)
    scorings = 1 if row.get("old_logprob_seconds") and not row.get("ref_logprob_seconds") else 2
    prompts = number(row, "prompts_per_step", max(1.0, sequences / 16))
    sampling = Sampling(
        sequences, prompts, number(row, "mean_prompt_tokens", USUAL_PROMPT), lengths, waits="async" not in policy.lower()
    )
    return RLStep(
        sampling,
        min(tensor, cluster.count),
        layout,
        scorings=scorings,
        colocated=colocated,
        lora_rank=whole(row, "lora_rank", 0, least=0),
    )


def rl_memory(shape: Shape, step: RLStep, cluster: Cluster, factors: Factors, *, offloaded: bool) -> Memory:
    """The fuller of the two phases: an engine that fills its share of the memory, and training with what is not offloaded."""
    tokens = step.sampling.lengths.limit + step.sampling.prompt_tokens
    work = Training(tokens=tokens, sequence=tokens, lora_rank=step.lora_rank, precision=MEGATRON)
    terms = training_memory(shape, work, step.layout, factors).by_term()
    kept = Memory({name: size for name, size in terms.items() if not (offloaded and name == "optimiser states")})
    engine = Memory({"serving engine": ENGINE_SHARE * cluster.gpu.memory})
    return kept if kept.total > engine.total else engine

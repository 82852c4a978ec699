"""Seconds of one step of RL, by phase: generation, log-probabilities, update, transfer of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Factors
from cogitate.costs.generation import Sampling, generation_seconds
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import Layout
from cogitate.costs.memory import Activations, Training
from cogitate.costs.shape import Shape
from cogitate.costs.training import scoring_seconds, training_seconds

LEAST_MICRO_TOKENS = 4096.0  # packed tokens of a micro-batch, or one completion where that is longer
ACTIVATION_BYTES = float(1 << 29)  # that a pass of our learner keeps at most; of a larger model it recomputes


@dataclass(frozen=True, slots=True)
class RLStep:
    """One step of RL.

    Attributes:
        tensor: accelerators of one replica of generation.
        layout: of training.
        scorings: passes of log-probabilities over the rollouts: the policy's own and a reference's.
        colocated: generation and training take turns on all accelerators; else each has half of them and they run beside
            each other, the rollouts one step old.
        updated_share: share of the tokens that is trained on; dead groups are left out.
        shares_prompts: a prompt is read once for all its completions in training, too, as this project does.
        prefix: tokens that all prompts begin with, where training reads them once in each pass.
        activations: what training does with them; frameworks of RL recompute.
    """

    sampling: Sampling
    tensor: int
    layout: Layout
    scorings: float = 2
    colocated: bool = True
    lora_rank: int = 0
    updated_share: float = 1.0
    shares_prompts: bool = False
    prefix: float = 0.0
    activations: Activations = "recompute"


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds by phase, and of the whole step."""

    phases: Mapping[str, float]
    total: float

    @property
    def binding(self) -> str:
        return max(self.phases, key=lambda name: self.phases[name])


def our_activations(shape: Shape, number_bytes: float) -> Activations:
    """What our learner of RL does with them on a processor (train/learners/policy.py, fit_pass)."""
    kept = number_bytes * shape.layers * (8 * shape.width + 3 * shape.inner)
    return "recompute" if LEAST_MICRO_TOKENS * kept > ACTIVATION_BYTES else "keep"


def rl_seconds(shape: Shape, step: RLStep, cluster: Cluster, factors: Factors) -> Phases:
    """One step: rollouts, then one pass of learning over them."""
    part = cluster if step.colocated else replace(cluster, count=max(1, cluster.count // 2))
    layout = step.layout if step.colocated else replace(step.layout, processes=part.count)
    sampling = step.sampling
    generate = sum(generation_seconds(shape, sampling, step.tensor, part, factors).values())
    prompts = sampling.prompts if step.shares_prompts else sampling.sequences
    tokens = prompts * (sampling.prompt_tokens - step.prefix) + sampling.sequences * sampling.lengths.mean
    micro = max(LEAST_MICRO_TOKENS, min(sampling.lengths.limit + sampling.prompt_tokens, tokens / layout.data))
    typical, predicted = sampling.prompt_tokens + sampling.lengths.mean, 1.0
    if step.shares_prompts:  # so that most tokens see a whole prompt, and logits are made for completions alone
        completions = sampling.sequences * sampling.lengths.mean
        typical, predicted = 2 * mean_context(sampling, prompts, step.prefix), completions / tokens
    batches = max(1.0, tokens / layout.data / micro)
    tokens += batches * step.prefix
    work = Training(
        tokens=tokens / layout.data / batches, sequence=typical, micro_batches=batches, lora_rank=step.lora_rank,
        activations=step.activations, predicted=predicted, packed=step.shares_prompts, uneven=step.shares_prompts,
    )  # fmt: skip
    bubble = 1 + (layout.pipeline - 1) / batches
    slower = factors["rl_slowdown"] * bubble
    grouped = None if cluster.gpu.generation == "cpu" else True  # frameworks of RL call experts together whatever the GPU
    scored = slower * step.scorings * scoring_seconds(shape, work, layout, part, factors, grouped=grouped).total
    learned = replace(work, tokens=work.tokens * step.updated_share)
    updated = slower * training_seconds(shape, learned, layout, part, factors, grouped=grouped).total
    transfer = 2.0 * count_parameters(shape).total / (factors["transfer_gb_s"] * 1e9)
    phases = {"generation": generate, "log-probabilities": scored, "update": updated, "transfer": transfer}
    worked = generate + scored + updated if step.colocated else max(generate, scored + updated)
    return Phases(phases, factors["rl_rest"] * (worked + transfer))


def mean_context(sampling: Sampling, prompts: float, prefix: float) -> float:
    """Earlier tokens that a token of a row sees on average, where each prompt is read once, without what all begin with."""
    prompt, mean = sampling.prompt_tokens, sampling.lengths.mean
    own, completions = prompts * (prompt - prefix), sampling.sequences * mean
    return (own * (prefix + (prompt - prefix) / 2) + completions * (prompt + mean / 2)) / (own + completions)

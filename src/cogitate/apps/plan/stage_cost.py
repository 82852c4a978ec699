"""What one stage's work needs and takes on given hardware: the layout that does it fastest, memory by phase, seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cogitate.apps.plan.sampled_memory import left_by_sampling, ours, sampled_memory
from cogitate.apps.plan.work import StageWork, Work
from cogitate.config import RuntimeConfig
from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Z_OF_INTERVAL, Estimate, Factors, estimate
from cogitate.costs.generation import Sampling, generation_seconds, smallest_tensor
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import LARGE, Layout, check_layout, usual_layout
from cogitate.costs.memory import (
    BFLOAT16_ADAMW,
    BFLOAT16_MUON,
    FLOAT32_ADAMW,
    FLOAT32_MUON,
    OUR_BFLOAT16_ADAMW,
    OUR_BFLOAT16_MUON,
    Activations,
    Memory,
    Precision,
    Training,
    cache_bytes,
    scoring_memory,
    states_at_rest,
    training_memory,
    transfer_memory,
)
from cogitate.costs.moving import moving_memory, moving_seconds
from cogitate.costs.rl_step import RLStep, our_activations, rl_seconds
from cogitate.costs.shape import Shape
from cogitate.costs.training import scoring_seconds, training_seconds
from cogitate.errors import ConfigError

LARGE_ENOUGH_FOR_PIPELINES = 3e10
LARGE_ENOUGH_TO_RECOMPUTE = 1e9  # parameters; RL of large models recomputes always
UNKNOWN_PACE = 0.3  # deviation of the logarithm of a time that a setting wants: lengths change while a stage learns


@dataclass(frozen=True, slots=True)
class StageCost:
    """A stage on given hardware.

    Attributes:
        seconds: of the whole stage; None where nothing is to be done.
        memory: bytes of the fullest process in the fullest phase.
        capacity: bytes of one process.
        phase: the fullest phase; term: its largest term; binding: what the time goes into.
        layout: of training, or of generation where nothing is trained.
    """

    work: StageWork
    cluster: Cluster
    seconds: Estimate | None
    memory: Estimate | None
    phase: str = ""
    term: str = ""
    binding: str = ""
    layout: Layout | None = None

    @property
    def name(self) -> str:
        return self.work.stage.name

    @property
    def fits(self) -> str:
        """yes, no, perhaps where the interval holds the capacity, or unknown of a stage that is not planned."""
        if self.memory is None:
            return "unknown" if self.work.not_planned else "yes"
        capacity = self.cluster.gpu.memory
        return "yes" if self.memory.high <= capacity else "no" if self.memory.low > capacity else "perhaps"

    @property
    def gpu_hours(self) -> Estimate | None:
        return None if self.seconds is None else self.seconds.times(self.cluster.count / 3600)

    @property
    def dollars(self) -> Estimate | None:
        return None if self.gpu_hours is None else self.gpu_hours.times(self.cluster.gpu.price)


def cost_of(
    work: StageWork, cluster: Cluster, factors: Factors, runtime: RuntimeConfig, wanted: Layout | None = None
) -> StageCost:
    """A stage's cost in the layout that is wanted, or in the fastest that fits.

    Raises:
        ConfigError: the wanted layout cannot be.
    """
    if not work.works:
        return StageCost(work, cluster, None, None)
    if wanted is not None:
        check_layout(wanted, largest_shape(work))
    layout = wanted or best_layout(work, cluster, factors, runtime)[2]
    memories = memories_of(work, layout, cluster, factors, runtime)
    phase = max(memories, key=lambda name: memories[name].total)
    of_steps = "rl" if any(each.sampling for each in work.works) else "step"
    group = "stage" if "stage" in factors.residuals else of_steps
    return StageCost(
        work,
        cluster,
        whole_time(
            work, estimate(lambda f: seconds_of(work, layout, cluster, f, runtime)[0], factors, group, further=work.further)
        ),
        estimate(lambda f: memories_of(work, layout, cluster, f, runtime)[phase].total, factors, "memory"),
        phase,
        memories[phase].largest,
        seconds_of(work, layout, cluster, factors, runtime)[1],
        layout,
    )


def whole_time(work: StageWork, found: Estimate) -> Estimate:
    """A stage's time: what a setting says, where one does, else what was found."""
    wide = math.exp(Z_OF_INTERVAL * UNKNOWN_PACE)
    return Estimate(work.seconds, work.seconds / wide, work.seconds * wide) if work.seconds else found


def largest_shape(work: StageWork) -> Shape:
    return max((each.shape for each in work.works), key=lambda shape: count_parameters(shape).total)


def best_layout(work: StageWork, cluster: Cluster, factors: Factors, runtime: RuntimeConfig) -> tuple[float, float, Layout]:
    """Bytes that are missing, seconds, and the layout: the fastest that fits; where none does, the one that lacks least."""
    found: list[tuple[float, float, int, Layout]] = []
    for layout in layouts(largest_shape(work), cluster):
        needed = max(memory.total for memory in memories_of(work, layout, cluster, factors, runtime).values())
        missing = max(0.0, needed - cluster.gpu.memory)
        found.append((missing, seconds_of(work, layout, cluster, factors, runtime)[0], len(found), layout))
    missing, seconds, _, layout = min(found, key=lambda row: row[:3])
    return missing, seconds, layout


def layouts(shape: Shape, cluster: Cluster) -> Iterator[Layout]:
    """Layouts worth trying."""
    count = cluster.count
    if cluster.gpu.generation == "cpu":  # one process, which gathers no weights
        yield Layout(count, sharding="none")
        return
    tried = [Layout(count)]
    if count_parameters(shape).total > LARGE_ENOUGH_FOR_PIPELINES:
        tried.append(usual_layout(shape, LARGE, count))
    tried += [Layout(count, tensor=n) for n in (2, 4, 8) if count % n == 0 and n <= cluster.gpu.node]
    tried += [Layout(count, experts=n) for n in (8, 64) if shape.experts and count % n == 0]
    for layout in dict.fromkeys(tried):
        try:
            check_layout(layout, shape)
        except ConfigError:
            continue
        yield layout


def memories_of(
    work: StageWork, layout: Layout, cluster: Cluster, factors: Factors, runtime: RuntimeConfig
) -> dict[str, Memory]:
    """Memory by phase: generation, training and the transfer of weights take turns; what only scores rests beside all, and
    weights and optimiser states of training beside the others."""
    found: dict[str, Memory] = {}
    for each in work.works:
        weight = 2.0 if runtime.dtype == "bfloat16" else 4.0
        parameters = count_parameters(each.shape).total_with_mtp
        if each.models_moved:  # in the memory of the processor, which is a plan's where there is nothing else
            here = cluster.gpu.generation == "cpu"
            held, averaged = (each.models_held, each.averaged) if here else (0.0, False)
            moved = moving_memory(each.shape, held, factors, weight_bytes=weight, averaged=averaged)
            found["files"] = larger(found.get("files"), moved)
            continue
        beside = {"models that score": weight * parameters * each.other_models / layout.processes} if each.other_models else {}
        if each.only_scores:
            tensor = generation_tensor(each, cluster, weight)
            replica = Layout(tensor, tensor=tensor)
            scored = scoring_memory(each.shape, each.micro_tokens, replica, factors, weight_bytes=weight)
            found["scoring"] = larger(found.get("scoring"), Memory({**scored.terms, **beside}))
            continue
        if each.sampling is not None:
            tensor = generation_tensor(each, cluster, weight)
            replica = Layout(tensor, tensor=tensor)
            sampled = sampled_memory(each, cluster, replica, factors, weight)
            terms = {**sampled.terms, **beside}
            if runtime.prefix_cache:
                read = cache_bytes(each.shape, each.sampling.prompts * each.sampling.prompt_tokens, number_bytes=weight)
                terms["prefixes"] = min(read, runtime.prefix_cache * 2.0**20)
            if each.step_tokens:  # what trains does not go away while completions are drawn
                learnt = training_memory(each.shape, training_of(each, layout, cluster, runtime), layout, factors)
                terms["states of training"] = states_at_rest(learnt)
                moved = transfer_memory(each.shape, learnt, replica, factors, weight_bytes=weight)
                found["transfer"] = larger(found.get("transfer"), Memory({**moved.terms, **beside}))
            found["generation"] = larger(found.get("generation"), Memory(terms))
        if each.step_tokens:
            learnt = training_memory(each.shape, training_of(each, layout, cluster, runtime), layout, factors)
            critics = {
                "critic": each.critics * precision_of(each, cluster, runtime).optimiser * 1.5 * parameters / layout.processes
            }
            more = {**beside, **(critics if each.critics else {})}
            if ours(cluster) and each.sampling is not None:
                more |= left_by_sampling(each, weight)
            found["training"] = larger(found.get("training"), Memory({**learnt.terms, **more}, learnt.alternatives))
    if not ours(cluster):
        return found
    # Each further stage finds more of what it needs in the process already.
    by = factors["stage_growth_mib"] * 2.0**20 * math.log(1 + work.earlier)
    return {phase: grown(memory, by) for phase, memory in found.items()}


def grown(memory: Memory, by: float) -> Memory:
    """The same of a process that has become larger."""
    return Memory({**memory.terms, "process": memory.terms["process"] + by}, memory.alternatives)


def larger(first: Memory | None, second: Memory) -> Memory:
    return second if first is None or second.total > first.total else first


def seconds_of(
    work: StageWork, layout: Layout, cluster: Cluster, factors: Factors, runtime: RuntimeConfig
) -> tuple[float, str]:
    """Seconds of the whole stage, and what most of them go into."""
    parts: dict[str, float] = {}
    total = factors["stage_seconds"] if ours(cluster) and not any(each.models_moved for each in work.works) else 0.0
    for each in work.works:
        seconds, named = seconds_of_step(each, layout, cluster, factors, runtime)
        total += each.steps * seconds
        for name, value in named.items():
            parts[name] = parts.get(name, 0.0) + each.steps * value
    return total, max(parts, key=lambda name: parts[name])


def seconds_of_step(
    work: Work, layout: Layout, cluster: Cluster, factors: Factors, runtime: RuntimeConfig
) -> tuple[float, Mapping[str, float]]:
    """Seconds of one step or round, and of its parts."""
    weight = 2.0 if runtime.dtype == "bfloat16" else 4.0
    if work.models_moved:
        seconds = moving_seconds(work.shape, work.models_moved, weight_bytes=weight)
        return seconds, {"files": seconds}
    if work.sampling is None:
        training = training_of(work, layout, cluster, runtime)
        slower = factors["preference_slowdown"] if ours(cluster) and work.uneven else 1.0
        scored = slower * work.scorings * scoring_seconds(work.shape, training, layout, cluster, factors).total
        if work.only_scores:
            return scored, {"scoring": scored}
        learnt = training_seconds(work.shape, training, layout, cluster, factors)
        return slower * learnt.total + scored, {learnt.binding: slower * learnt.total, "scoring": scored}
    sampling, tensor = (
        replace(work.sampling, weight_bytes=weight, cache_number_bytes=weight),
        generation_tensor(work, cluster, weight),
    )
    graded = 0.0
    if ours(cluster):  # beside the engine, on its processors
        of_completion = factors["completion_ms"] + work.graded * factors["verdict_ms"]
        graded = 1e-3 * (of_completion * sampling.sequences + factors["prompt_ms"] * sampling.prompts)
        graded += 1e-6 * factors["measured_us"] * work.measured * sampling.sequences * sampling.lengths.mean
    if not work.step_tokens:
        rounds = max(1, math.ceil(sampling.sequences / work.at_a_time)) if ours(cluster) else 1
        each = replace(sampling, sequences=sampling.sequences / rounds, prompts=sampling.prompts / rounds)
        found = generation_seconds(work.shape, each, tensor, cluster, factors)
        named = {name: factors["rl_rest"] * rounds * value for name, value in found.items()}
        named["grading"] = graded
        return sum(named.values()), named
    own = 0 if ours(cluster) and work.single_update else 1
    step = RLStep(
        sampling, tensor, layout, scorings=own + work.scorings, lora_rank=runtime.lora_rank,
        updated_share=work.updated_share + work.critics, shares_prompts=ours(cluster),
        activations=activations_of(work, cluster, runtime) if ours(cluster) else "recompute",
        prefix=work.prefix if ours(cluster) else 0.0,
    )  # fmt: skip
    phases = rl_seconds(work.shape, step, cluster, factors)
    return phases.total + graded, {**phases.phases, "grading": graded}


def generation_tensor(work: Work, cluster: Cluster, weight: float) -> int:
    """Accelerators of a replica: as few as hold the weights, at most all."""
    wanted = smallest_tensor(work.shape, cluster.gpu, weight_bytes=weight)
    return min(wanted, cluster.count)


def training_of(work: Work, layout: Layout, cluster: Cluster, runtime: RuntimeConfig) -> Training:
    """A step's work on one process."""
    share = work.step_tokens / layout.data
    micro = min(share, max(work.micro_tokens, work.sequence) if work.sampling is None else max(work.sequence, 4096.0))
    if work.sampling is not None and cluster.gpu.generation == "cpu":
        micro = min(micro, max(work.sequence, tokens_of_update(work, work.sampling)))
    return Training(
        tokens=micro,
        sequence=work.sequence,
        predicted=work.predicted,
        packed=work.packed,
        uneven=work.uneven and work.sampling is not None and ours(cluster),
        updates=work.steps,
        micro_batches=max(1.0, share / micro),
        lora_rank=runtime.lora_rank,
        ours=True,
        mtp=work.mtp,
        muon=work.muon,
        activations=activations_of(work, cluster, runtime),
        logits="ours" if cluster.gpu.generation == "cpu" else "fused",
        precision=precision_of(work, cluster, runtime),
        number_bytes=2.0 if runtime.dtype == "bfloat16" else 4.0,
    )


def tokens_of_update(work: Work, sampling: Sampling) -> float:
    """Of the largest optimiser step of our learner of RL, which reads each prompt once and no dead group."""
    tokens = sampling.prompts * (sampling.prompt_tokens - work.prefix) + sampling.sequences * sampling.lengths.mean
    return work.most_updated_share * tokens * work.micro_tokens / work.step_tokens


def activations_of(work: Work, cluster: Cluster, runtime: RuntimeConfig) -> Activations:
    """Recomputed where the user wants it, and of large models."""
    if work.sampling is not None and cluster.gpu.generation == "cpu" and not runtime.gradient_checkpointing:
        return our_activations(work.shape, 2.0 if runtime.dtype == "bfloat16" else 4.0)
    large = count_parameters(work.shape).total > LARGE_ENOUGH_TO_RECOMPUTE
    return "recompute" if runtime.gradient_checkpointing or large else "keep"


def precision_of(work: Work, cluster: Cluster, runtime: RuntimeConfig) -> Precision:
    if runtime.dtype == "bfloat16" and cluster.gpu.generation == "cpu":
        return OUR_BFLOAT16_MUON if work.muon else OUR_BFLOAT16_ADAMW
    if runtime.dtype == "bfloat16":
        return BFLOAT16_MUON if work.muon else BFLOAT16_ADAMW
    return FLOAT32_MUON if work.muon else FLOAT32_ADAMW

"""Seconds of a training step, by term: operations, bytes through memory, bytes between processes, calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cogitate.costs.counts import attention_operations, count_parameters, lora_parameters, matrix_operations, mtp_operations
from cogitate.costs.factors import Factors
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import Layout
from cogitate.costs.memory import Training
from cogitate.costs.muon import muon_operations
from cogitate.costs.shape import Shape

# Bytes that one layer's forward pass moves for each token, by inner number, number of its width, and routed copy of that.
INNER_BYTES, WIDTH_BYTES, ROUTED_BYTES = 8, 40, 16
LOGIT_BYTES = 16  # for each word of the vocabulary
FULL_MICRO_BATCH = 16384  # tokens from which making logits in pieces takes its whole time
ATTENTION_BLOCK = 32  # queries that meet keys together in our attention on a processor (kernels/causal_attention.cpp)
BACKWARD_OF_ATTENTION = 2.5  # over its forward pass: five products for two
KERNELS = ("flash_attention_2", "flash_attention_3", "flash_attention_4")
RUNS_ON = {"flash_attention_3": ("hopper",), "flash_attention_4": ("hopper", "blackwell")}  # generations that it is written for


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds by term. Terms of `hidden` run beside the others and count only as far as they take longer."""

    terms: Mapping[str, float]
    hidden: Mapping[str, float]

    @property
    def total(self) -> float:
        worked = sum(self.terms.values())
        return worked + max(0.0, sum(self.hidden.values()) - worked)

    @property
    def binding(self) -> str:
        """The name of the term that decides."""
        worked = sum(self.terms.values())
        everything = self.hidden if sum(self.hidden.values()) > worked else self.terms
        return max(everything, key=lambda name: everything[name])


def can_run(kernel: str, generation: str) -> bool:
    """Whether a kernel is written for a generation; others than these run everywhere."""
    return generation in RUNS_ON.get(kernel, (generation,))


def best_kernel(generation: str) -> str:
    return "flash_attention_3" if generation == "hopper" else "flash_attention_2"


def has_grouped_experts(generation: str) -> bool:
    """Whether all experts of a layer are one call: the grouped products of PyTorch 2.9 are for Hopper; CPUs loop as well."""
    return generation == "hopper"


def training_seconds(
    shape: Shape,
    work: Training,
    layout: Layout,
    cluster: Cluster,
    factors: Factors,
    *,
    kernel: str = "",
    grouped: bool | None = None,
) -> Seconds:
    """One optimiser step: forward, recomputation where there is any, backward, and what travels.

    Args:
        kernel: of attention; the best that the generation has where none is named.
        grouped: whether experts are one call; by the generation where nothing is said.
    """
    again = 0 if work.activations == "keep" else 1
    back = 1 if work.lora_rank else 2
    terms = pass_seconds(
        shape, work, layout, cluster, factors, kernel=kernel, grouped=grouped,
        matrix_passes=1 + again + back, attention_passes=1 + again + BACKWARD_OF_ATTENTION,
    )  # fmt: skip
    terms["start"] = factors["step_seconds"]
    if work.muon:
        speed = cluster.gpu.peak * factors["matrix_efficiency"]
        terms["orthogonalising"] = muon_operations(shape) / layout.processes / speed  # each process has its share of matrices
    if work.logits != "plain":
        terms["pieces of logits"] = work.micro_batches * min(1.0, work.tokens / FULL_MICRO_BATCH) * factors["fused_seconds"]
    return Seconds(terms, {"gathering weights": gather_seconds(shape, work, layout, cluster, factors, passes=2)})


def scoring_seconds(
    shape: Shape, work: Training, layout: Layout, cluster: Cluster, factors: Factors, *, grouped: bool | None = None
) -> Seconds:
    """Log-probabilities of given tokens: forward alone."""
    terms = pass_seconds(shape, work, layout, cluster, factors, matrix_passes=1, attention_passes=1, grouped=grouped)
    return Seconds(terms, {"gathering weights": gather_seconds(shape, work, layout, cluster, factors, passes=1)})


def pass_seconds(
    shape: Shape, work: Training, layout: Layout, cluster: Cluster, factors: Factors, *,
    matrix_passes: float, attention_passes: float, kernel: str = "", grouped: bool | None = None,
) -> dict[str, float]:  # fmt: skip
    """Terms of passes over all micro-batches of a process."""
    gpu = cluster.gpu
    kernel = kernel or best_kernel(gpu.generation)
    grouped = has_grouped_experts(gpu.generation) if grouped is None else grouped
    tokens = work.tokens * work.micro_batches / (layout.context * layout.tensor * layout.pipeline)
    slower = factors["lora_slowdown"] if work.lora_rank else 1.0
    reached = factors["blackwell_share"] if gpu.generation == "blackwell" else 1.0
    heads = 1 + shape.mtp_blocks * work.mtp
    products = matrix_operations(shape) + (mtp_operations(shape) if work.mtp else 0.0)
    products -= (1 - work.predicted) * heads * 2.0 * shape.vocabulary * shape.width
    layers = shape.layers + (shape.mtp_blocks if work.mtp else 0)
    matrix = tokens * products * matrix_passes / (gpu.peak * reached * factors["matrix_efficiency"])
    scores = tokens * attention_operations(shape, context_read(work, gpu.generation)) * attention_passes * layers / shape.layers
    moved = layers * moved_bytes(shape) + LOGIT_BYTES * shape.vocabulary * heads * work.predicted
    terms = {
        "matrix products": slower * matrix,
        "attention": scores / (gpu.peak * reached * flash_efficiency(kernel, gpu.generation, factors)),
        "memory traffic": slower * tokens * moved * factors["work_passes"] * (matrix_passes / 4) / (gpu.bandwidth * reached),
    }
    if shape.experts and not grouped:
        sparse = layers - shape.dense_layers
        calls = work.micro_batches * sparse / layout.pipeline * shape.experts / layout.experts * 3 * matrix_passes
        terms["calls of experts"] = calls * factors["expert_call_us"] * 1e-6
    return terms


def context_read(work: Training, generation: str) -> float:
    """Keys that a query meets on average; by our kernel whole blocks, of all texts that its own block has queries of."""
    beside = 1.5 if work.packed else 0.5
    return work.sequence / 2 + (beside * ATTENTION_BLOCK if generation == "cpu" else 0.0)


def moved_bytes(shape: Shape) -> float:
    """Bytes that one layer's forward pass writes for each token."""
    routed = ROUTED_BYTES * shape.experts_per_token * shape.width
    return INNER_BYTES * shape.active_inner + WIDTH_BYTES * shape.width + routed


def flash_efficiency(kernel: str, generation: str, factors: Factors) -> float:
    if kernel in RUNS_ON:  # written for the generation that it runs on
        return factors["flash3"]
    return factors["flash2"] if generation in ("ampere", "ada") else factors["flash2_later"]


def gather_seconds(shape: Shape, work: Training, layout: Layout, cluster: Cluster, factors: Factors, *, passes: int) -> float:
    """FSDP2 gathers 16-bit weights for each pass of each micro-batch and divides gradients once; else gradients alone go."""
    shards = layout.data * layout.context
    if shards == 1:
        return 0.0
    counts = count_parameters(shape)
    gathered = counts.total_with_mtp - counts.routed * (1 - 1 / layout.experts)
    trained = lora_parameters(shape, work.lora_rank, ours=work.ours) if work.lora_rank else counts.total_with_mtp
    sent = 2.0 * gathered * passes * work.micro_batches if layout.sharding == "full" else 0.0
    sent += 4.0 * trained * (passes - 1)
    return sent * (1 - 1 / shards) / (layout.tensor * layout.pipeline) / (cluster.link * factors["link_efficiency"])

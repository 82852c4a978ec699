"""Peak memory of one process: of training (states, activations, logits), of generation (weights, cache), and between the two.

Formulas follow what frameworks allocate: states as in ZeRO (arXiv:1910.02054), recomputed activations as in arXiv:2205.05198.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cogitate.costs.counts import cache_numbers, count_parameters, layer_parameters, lora_parameters
from cogitate.costs.factors import Factors
from cogitate.costs.hardware import GIB
from cogitate.costs.layout import Layout
from cogitate.costs.shape import Shape

Activations = Literal["recompute", "offload", "keep"]
Logits = Literal["plain", "fused", "ours"]

# Of the bytes that a layer's backward pass works on, those that are there since the forward pass where nothing is recomputed.
# A SwiGLU keeps four tensors of the inner width (gate, up, the activated gate, the product) and works with three gradients of
# that width, which live for one layer alone. No published row tests it: all of them recompute.
KEPT_OF_LAYER = 4 / 7
ENGINE_BYTES = 0.5 * GIB  # of a serving engine whatever it does: graphs of decoding, buffers of messages
# Of our head on a processor (model/head.py): float32 logits that are kept; bytes of scratch memory for those that are not;
# vocabularies from which pieces are as large as that.
KEPT_LOGITS, SCRATCH_BYTES, LARGE_VOCABULARY, ROWS_IN_CACHE = 1 << 26, 1 << 29, 8192, 512
TRANSFER_BUCKET = 512.0 * 2**20  # bytes of weights that go to the engine at a time: verl's update_weights_bucket_megabytes


@dataclass(frozen=True, slots=True)
class Precision:
    """Bytes of one parameter: weights as they rest, gradients, optimiser states of trained ones, and masters."""

    weights: float
    gradients: float
    optimiser: float
    frozen: float  # of weights that LoRA does not train


FLOAT32_ADAMW = Precision(weights=4, gradients=4, optimiser=8, frozen=4)
BFLOAT16_ADAMW = Precision(weights=2, gradients=2, optimiser=12, frozen=2)  # masters in float32 beside the two moments
BFLOAT16_MUON = Precision(weights=2, gradients=2, optimiser=8, frozen=2)  # masters and one momentum
# Of our learners: 16 bits that a weight lacks of its master, and moments in bfloat16 (train/optimisers/adamw.py).
OUR_BFLOAT16_ADAMW = Precision(weights=2, gradients=2, optimiser=6, frozen=2)
OUR_BFLOAT16_MUON = Precision(weights=2, gradients=2, optimiser=4, frozen=2)
FLOAT32_MUON = Precision(weights=4, gradients=4, optimiser=4, frozen=4)
MEGATRON = Precision(weights=2, gradients=4, optimiser=12, frozen=2)  # gradients are summed in float32


@dataclass(frozen=True, slots=True)
class Training:
    """One pass of training as a process sees it.

    Attributes:
        tokens: of one micro-batch on one process, before context parallelism divides them.
        sequence: tokens that see each other, at most.
        micro_batches: of one step, on each process.
        lora_rank: 0: all weights are trained.
        compiled: layers are compiled, so that what lies between their products is not written to memory.
        ours: adapters as this project gives them, see counts.lora_parameters.
        mtp: whether MTP blocks are trained; muon: whether Muon is the optimiser.
        number_bytes: of an activation.
        predicted: share of the tokens that logits are made for; of prompts and of reward models there are none.
        packed: several texts stand in a row; uneven: and tensors of no two passes have the same sizes, in a process whose
            memory keeps holes. updates: that it makes in all.
    """

    tokens: float
    sequence: float
    micro_batches: float = 1.0
    predicted: float = 1.0
    packed: bool = False
    uneven: bool = False
    updates: float = math.inf
    lora_rank: int = 0
    ours: bool = False
    mtp: bool = False
    muon: bool = False
    compiled: bool = False
    activations: Activations = "recompute"
    logits: Logits = "fused"
    precision: Precision = FLOAT32_ADAMW
    number_bytes: float = 2.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by term; terms of `alternatives` are not there at the same time, the largest counts."""

    terms: Mapping[str, float]
    alternatives: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.terms.values()) + max(self.alternatives.values(), default=0.0)

    @property
    def largest(self) -> str:
        """The name of the largest term."""
        everything = self.by_term()
        return max(everything, key=lambda name: everything[name])

    def by_term(self) -> dict[str, float]:
        """Every term that counts, largest first."""
        peak = max(self.alternatives, key=lambda name: self.alternatives[name], default="")
        counted = {**self.terms, **({peak: self.alternatives[peak]} if peak else {})}
        return dict(sorted(counted.items(), key=lambda item: -item[1]))


def training_memory(shape: Shape, work: Training, layout: Layout, factors: Factors) -> Memory:
    """The peak of a training step on the fullest process."""
    precision, tokens = work.precision, work.tokens / layout.context / layout.tensor
    wide = work.number_bytes / 2  # factors are of 16-bit numbers
    held = parameters_of_process(shape, layout)
    adapters = lora_parameters(shape, work.lora_rank, ours=work.ours) / (layout.tensor * layout.pipeline)
    trained = adapters if work.lora_rank else held
    shards = layout.data * layout.context
    of_all = count_parameters(shape).total_with_mtp / layout.processes  # where every process has an equal share
    rests = of_all if layout.sharding == "full" else held
    trained_rests, trained_divided = (adapters / shards, adapters / shards) if work.lora_rank else (of_all, of_all)
    if layout.sharding != "full":
        trained_rests = trained
    if layout.sharding == "none":
        trained_divided = trained
    frozen = precision.frozen * rests if work.lora_rank else 0.0
    states = factors["states"]
    terms = {
        "weights": states * (frozen + precision.weights * trained_rests),
        "gradients": states * precision.gradients * trained_rests,
        "optimiser states": states * precision.optimiser * trained_divided,
        "activations saved": wide * saved_activations(shape, work, layout, factors, tokens),
        "process": factors["fixed_gib"] * GIB,
    }
    if layout.sharding == "full":
        terms["weights gathered"] = gathered_weights(shape, layout, factors)
    work_of_layer = wide * layer_work(shape, factors) * tokens * (factors["compiled_share"] if work.compiled else 1.0)
    logits = factors["logit_bytes"] * shape.vocabulary * tokens if work.logits == "plain" else 0.0
    if work.logits == "ours":
        logits = our_logits(shape, work.predicted * tokens, work.number_bytes)
    if work.uneven:
        terms["holes"] = holes_left(work, factors) * (terms["activations saved"] + max(work_of_layer, logits))
    return Memory(terms, {"activations of a layer": work_of_layer, "logits": logits})


def holes_left(work: Training, factors: Factors) -> float:
    """Holes in a process's memory, over the activations of a pass: what one update has freed the next one's tensors do not fit.

    The first update finds none, and the process grows with each of the others, but less and less, since all passes are about as
    large. That this goes as 1 - 1/sqrt(n) was chosen after looking at runs of 2 to 240 updates.
    """
    return factors["holes"] * (1 - 1 / math.sqrt(max(1.0, work.updates)))


def our_logits(shape: Shape, tokens: float, number_bytes: float) -> float:
    """Bytes of logits in our head's backward pass: all of them, or a piece, with the gradient of its weights in float32 where
    there are several."""
    numbers = tokens * shape.vocabulary
    if number_bytes == 4 and numbers <= KEPT_LOGITS:
        return number_bytes * numbers
    piece = SCRATCH_BYTES if shape.vocabulary >= LARGE_VOCABULARY else number_bytes * ROWS_IN_CACHE * shape.vocabulary
    of_weights = 4.0 * shape.vocabulary * shape.width if number_bytes * numbers > piece else 0.0
    return min(float(piece), number_bytes * numbers) + of_weights


def saved_activations(shape: Shape, work: Training, layout: Layout, factors: Factors, tokens: float) -> float:
    """What the backward pass finds: layers' inputs, or everything, of all micro-batches in flight in a pipeline; in 16 bits."""
    layers = (shape.layers + (shape.mtp_blocks if work.mtp else 0)) / layout.pipeline
    in_flight = min(layout.pipeline, work.micro_batches)
    if work.activations == "offload":
        return 0.0
    if work.activations == "recompute":
        return factors["saved"] * layers * in_flight * tokens * shape.width * 2
    return KEPT_OF_LAYER * layer_work(shape, factors) * layers * in_flight * tokens


def layer_work(shape: Shape, factors: Factors) -> float:
    """Bytes of one layer for each token while its backward pass recomputes it."""
    routed = shape.experts_per_token * shape.width * factors["routed_bytes"]
    return factors["inner_bytes"] * shape.active_inner + factors["width_bytes"] * shape.width + routed


def gathered_weights(shape: Shape, layout: Layout, factors: Factors) -> float:
    """16-bit weights that a process of FSDP2 holds whole: some layers, and embedding and head with a copy in flight."""
    layer = layer_parameters(shape)
    if layout.experts > 1:
        routed = shape.experts * 3 * shape.width * shape.expert_inner
        layer -= routed - routed // layout.experts
    return (factors["layers_held"] * layer + 2 * shape.vocabulary * shape.width) * 2.0 / layout.tensor


def generation_memory(
    shape: Shape, sequences: float, tokens: float, layout: Layout, factors: Factors, *,
    weight_bytes: float = 2.0, number_bytes: float = 2.0, engine_bytes: float = ENGINE_BYTES,
) -> Memory:  # fmt: skip
    """The peak of generation on one process of one replica; of our own engine see generation.our_engine_memory.

    Args:
        sequences: decoded at the same time by the replica; tokens: of each, at its longest.
        layout: of one replica; its processes divide weights and grouped caches. A latent cache is whole on each of them.
        weight_bytes: of a parameter; number_bytes: of a number of the cache; engine_bytes: of the engine itself.
    """
    held = parameters_of_process(shape, layout)
    cache = number_bytes * cache_numbers(shape) / layout.pipeline * sequences * tokens
    cache /= layout.data if shape.is_latent else min(layout.tensor, shape.kv_heads) * layout.data
    logits = 4.0 * shape.vocabulary * sequences / layout.tensor
    rest = {"cache": cache, "logits": logits, "process": factors["fixed_gib"] * GIB + engine_bytes}
    return Memory({"weights": weight_bytes * held, **rest})


def scoring_memory(shape: Shape, tokens: float, layout: Layout, factors: Factors, *, weight_bytes: float = 2.0) -> Memory:
    """The peak of a forward pass over so many tokens, of which nothing is kept."""
    worked = KEPT_OF_LAYER * layer_work(shape, factors) * tokens / layout.tensor
    return Memory(
        {
            "weights": weight_bytes * parameters_of_process(shape, layout),
            "activations of a layer": weight_bytes / 2 * worked,
            "process": factors["fixed_gib"] * GIB,
        }
    )


def states_at_rest(training: Memory) -> float:
    """What stays of training while it does not train: weights and optimiser states, which nothing here offloads."""
    return training.terms["weights"] + training.terms["optimiser states"]


def transfer_memory(shape: Shape, training: Memory, replica: Layout, factors: Factors, *, weight_bytes: float = 2.0) -> Memory:
    """While weights go from training to generation: the states at rest, the engine's weights, and what travels: a bucket, and
    the largest matrix, which is put together whole before it is divided.

    Args:
        training: of a training step on this process.
        replica: the layout of one engine.
    """
    whole = weight_bytes * count_parameters(shape).total_with_mtp
    buffers = min(TRANSFER_BUCKET, whole) + weight_bytes * shape.vocabulary * shape.width
    return Memory(
        {
            "states of training": states_at_rest(training),
            "weights": weight_bytes * parameters_of_process(shape, replica),
            "transfer buffers": buffers,
            "process": factors["fixed_gib"] * GIB,
        }
    )


def cache_bytes(shape: Shape, tokens: float, *, number_bytes: float = 2.0) -> float:
    """Of one sequence of so many tokens, whole."""
    return number_bytes * cache_numbers(shape) * tokens


def parameters_of_process(shape: Shape, layout: Layout) -> float:
    """Parameters that tensor, pipeline and expert parallelism leave to one process, MTP blocks included."""
    counts = count_parameters(shape)
    others = counts.total_with_mtp - counts.routed
    return others / (layout.tensor * layout.pipeline) + counts.routed / (max(layout.tensor, layout.experts) * layout.pipeline)

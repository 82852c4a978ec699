"""Seconds of generation: prefill, then decoding steps whose batch shrinks as completions end, down to the last straggler.

And what our engine has in memory meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cogitate.costs.counts import (
    attention_operations,
    cache_numbers,
    count_parameters,
    experts_touched,
    latent_decode_operations,
    matrix_operations,
)
from cogitate.costs.factors import Factors
from cogitate.costs.hardware import GIB, Cluster, Gpu
from cogitate.costs.lengths import Lengths
from cogitate.costs.memory import Memory, cache_bytes
from cogitate.costs.shape import Shape

PIECES = 24  # of the time until the last completion ends; each is decoded at one batch
# Of our engine: prompt tokens that go through its layers together (engine/decode.py), tokens of a block of its cache, and bytes
# of a drawn token whose number and log-probability are Python's.
READ_TOGETHER, BLOCK, DRAWN_BYTES = 512, 16, 68.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """What has to be generated.

    Attributes:
        sequences: completions in all; prompts: different prompts among them, each read once.
        most_running: completions that one replica decodes at the same time, at most.
        weight_bytes, cache_number_bytes: of a parameter and of a number of the cache.
        tokens_per_step: above 1 where drafts are accepted.
        prefix: tokens that all prompts begin with, where these are read once.
        waits: for the longest completion; else the next ones begin whenever some end, as where generation never stops.
    """

    sequences: float
    prompts: float
    prompt_tokens: float
    lengths: Lengths
    most_running: float = 256.0
    weight_bytes: float = 2.0
    cache_number_bytes: float = 2.0
    tokens_per_step: float = 1.0
    prefix: float = 0.0
    waits: bool = True


def generation_seconds(shape: Shape, sampling: Sampling, tensor: int, cluster: Cluster, factors: Factors) -> dict[str, float]:
    """Seconds by term, with replicas of `tensor` accelerators each."""
    replicas = max(1, cluster.count // tensor)
    share = sampling.sequences / replicas
    prefill = sampling.prompts / replicas * (sampling.prompt_tokens - sampling.prefix) + sampling.prefix
    ops = prefill * (matrix_operations(shape) + attention_operations(shape, sampling.prompt_tokens / 2))
    running = min(share, sampling.most_running)
    rounds = max(1.0, share / running)
    # Rows that become free are filled again: all but the last fill runs at a full batch.
    full_steps = (rounds - 1 if sampling.waits else rounds) * sampling.lengths.mean
    own = sampling.lengths.mean_position() if cluster.gpu.generation == "cpu" else sampling.lengths.mean / 2
    context = sampling.prompt_tokens + own
    bulk = full_steps * decode_step(shape, sampling, running, context, tensor, cluster.gpu, factors)
    drain = drain_seconds(shape, sampling, running, replicas, tensor, cluster.gpu, factors) if sampling.waits else 0.0
    return {"prefill": ops / (tensor * cluster.gpu.peak * factors["matrix_efficiency"]), "decoding": bulk + drain}


def drain_seconds(
    shape: Shape, sampling: Sampling, running: float, replicas: int, tensor: int, gpu: Gpu, factors: Factors
) -> float:
    """From a full batch to the end of the longest completion of any replica."""
    longest = max(1.0, sampling.lengths.longest(running * replicas))
    total, step = 0.0, longest / PIECES
    for piece in range(PIECES):
        at = (piece + 0.5) * step
        alive = max(1.0, running * sampling.lengths.share_longer(at))
        total += step * decode_step(shape, sampling, alive, sampling.prompt_tokens + at, tensor, gpu, factors)
    return total


def decode_step(
    shape: Shape, sampling: Sampling, batch: float, context: float, tensor: int, gpu: Gpu, factors: Factors
) -> float:
    """Seconds of one token for each of `batch` sequences of `context` tokens."""
    touched = weights_touched(shape, batch) * sampling.weight_bytes / tensor
    divided = 1 if shape.is_latent else min(tensor, shape.kv_heads)
    cache = batch * context * cache_numbers(shape) * sampling.cache_number_bytes / divided
    ours, bandwidth = gpu.generation == "cpu", gpu.bandwidth * factors["decode_bandwidth"]
    read = (touched + (0.0 if ours else cache)) / bandwidth
    attended = 0.0 if ours else latent_decode_operations(shape, context)
    ops = batch * (matrix_operations(shape) + attended) / tensor
    computed = ops / (gpu.peak * factors["matrix_efficiency"])
    fixed = shape.layers * (factors["decode_layer_us"] + 2 * message_us(tensor, gpu, factors)) * 1e-6
    if ours:  # draws and attends row by row: what a row has cached is read for itself, and no product hides that
        fixed += batch * factors["token_us"] * 1e-6 + cache / bandwidth
    return (max(read, computed) + fixed) / sampling.tokens_per_step


def weights_touched(shape: Shape, batch: float) -> float:
    """Parameters that a decoding step reads."""
    counts = count_parameters(shape)
    always = counts.total - counts.routed - (0 if shape.tied else counts.embedding)
    if not shape.experts:
        return float(always)
    return always + counts.routed * experts_touched(shape, batch) / shape.experts


def message_us(tensor: int, gpu: Gpu, factors: Factors) -> float:
    """A sum over tensor-parallel processes."""
    if tensor == 1:
        return 0.0
    across = 4.0 if tensor > gpu.node else 1.0
    return factors["message_us"] * across * math.log2(tensor) / 3  # three: eight processes of a node


def smallest_tensor(shape: Shape, gpu: Gpu, *, weight_bytes: float = 2.0, share: float = 0.6) -> int:
    """The smallest power of two whose processes hold the weights in this share of their memory."""
    needed = count_parameters(shape).total * weight_bytes / (share * gpu.memory)
    return 1 << max(0, math.ceil(math.log2(max(needed, 1.0))))


def our_engine_memory(shape: Shape, sampling: Sampling, at_a_time: float, factors: Factors) -> Memory:
    """The peak of generation by our engine on a processor.

    Its matrices are laid out beside the model that they are read from, the head beside the embedding; malloc keeps what that
    model frees. Nothing is written before the last of the completions that are drawn together.

    Args:
        at_a_time: completions that are drawn together.
    """
    counts, together = count_parameters(shape), min(sampling.sequences, at_a_time)
    laid_out = counts.total - (0 if shape.tied else counts.embedding)
    return Memory(
        {
            "weights": sampling.weight_bytes * (counts.total_with_mtp + laid_out),
            "cache": our_cache_bytes(shape, sampling, at_a_time),
            "engine": engine_at_rest(shape, min(together, sampling.most_running)),
            "completions": DRAWN_BYTES * together * sampling.lengths.mean,
            "process": factors["fixed_gib"] * GIB,
        }
    )


def engine_at_rest(shape: Shape, running: float) -> float:
    """Bytes that our engine has while it draws nothing, too: numbers between its layers, and logits."""
    inner = max(shape.inner if shape.dense_layers else 0, shape.shared_experts * shape.expert_inner)
    numbers = 8 * shape.width + 3 * inner + shape.experts_per_token * (3 * shape.expert_inner + shape.width)
    return 4.0 * ((running + READ_TOGETHER) * numbers + running * shape.vocabulary)


def our_cache_bytes(shape: Shape, sampling: Sampling, at_a_time: float) -> float:
    """Of our cache at its fullest: prompts, each once for all its completions, and what is drawn. While completions are short
    there are many, of long ones few are left; a place that becomes free is taken by the next."""
    together = min(sampling.sequences, at_a_time)
    running = min(together, sampling.most_running)
    prompts = running * sampling.prompts / sampling.sequences * sampling.prompt_tokens
    lengths = [(piece + 1) / PIECES * sampling.lengths.limit for piece in range(PIECES)]
    own = max(
        (length + BLOCK / 2) * min(running, together * sampling.lengths.share_longer(length * (1 - 1e-6))) for length in lengths
    )
    return cache_bytes(shape, prompts + own, number_bytes=sampling.cache_number_bytes)

"""Seconds of generation: prefill, then decoding steps whose batch shrinks as completions end, down to the last straggler."""

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
from cogitate.costs.hardware import Cluster, Gpu
from cogitate.costs.lengths import Lengths
from cogitate.costs.shape import Shape

PIECES = 24  # of the time until the last completion ends; each is decoded at one batch


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
    context = sampling.prompt_tokens + sampling.lengths.mean / 2
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
    read = (touched + cache) / (gpu.bandwidth * factors["decode_bandwidth"])
    ops = batch * (matrix_operations(shape) + latent_decode_operations(shape, context)) / tensor
    computed = ops / (gpu.peak * factors["matrix_efficiency"])
    fixed = shape.layers * (factors["decode_layer_us"] + 2 * message_us(tensor, gpu, factors)) * 1e-6
    if gpu.generation == "cpu":  # which draws and attends row by row
        fixed += batch * factors["token_us"] * 1e-6
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

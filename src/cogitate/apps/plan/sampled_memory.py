"""Memory of drawing completions, by replicas of a serving engine or by our own engine, which is also there while RL learns."""

from __future__ import annotations

from dataclasses import replace

from cogitate.apps.plan.work import Work
from cogitate.costs.factors import Factors
from cogitate.costs.generation import engine_at_rest, our_cache_bytes, our_engine_memory
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import Layout
from cogitate.costs.memory import ENGINE_BYTES, Memory, generation_memory


def ours(cluster: Cluster) -> bool:
    """Whether this project does the work itself, on a processor; on accelerators it would be another framework."""
    return cluster.gpu.generation == "cpu"


def sampled_memory(work: Work, cluster: Cluster, replica: Layout, factors: Factors, weight: float) -> Memory:
    """While completions are drawn, by replicas of this layout."""
    assert work.sampling is not None
    sampling = replace(work.sampling, weight_bytes=weight, cache_number_bytes=weight)
    if ours(cluster):
        return our_engine_memory(work.shape, sampling, work.at_a_time, factors)
    running = min(sampling.most_running, sampling.sequences / max(1, cluster.count // replica.tensor))
    tokens = sampling.prompt_tokens + sampling.lengths.mean
    return generation_memory(
        work.shape, max(1.0, running), tokens, replica, factors, weight_bytes=weight, number_bytes=weight,
        engine_bytes=ENGINE_BYTES,
    )  # fmt: skip


def left_by_sampling(work: Work, weight: float) -> dict[str, float]:
    """What our engine has beside an update, and its cache: it finds no place in what the update before has freed, which malloc
    keeps."""
    assert work.sampling is not None
    sampling = replace(work.sampling, cache_number_bytes=weight)
    running = min(sampling.sequences, sampling.most_running)
    cache = our_cache_bytes(work.shape, sampling, work.at_a_time) if work.steps > 1 else 0.0
    return {"engine": engine_at_rest(work.shape, running), "cache": cache}

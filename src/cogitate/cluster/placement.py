"""What each process gets: its resources, its settings, and whether a cluster has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.config import ClusterConfig, Config
from cogitate.errors import ConfigError


def resources_of(settings: ClusterConfig) -> dict[str, Any]:
    """What Ray reserves for a generator, and where: over all nodes in turn. The driver restarts it, not Ray."""
    reserved = {"num_cpus": settings.generator_cpus, "num_gpus": settings.generator_gpus}
    return {**reserved, "max_restarts": 0, "scheduling_strategy": "SPREAD"}


def config_of_worker(config: Config) -> Config:
    """The settings that a generator's process computes by: its own device and threads, and no cluster."""
    device = "cuda" if config.cluster.generator_gpus else "cpu"
    runtime = config.runtime.model_copy(update={"device": device, "threads": config.cluster.generator_cpus, "backend": "local"})
    return config.model_copy(update={"runtime": runtime, "cluster": ClusterConfig()})


def check_devices(settings: ClusterConfig, device: str) -> None:
    """Refuse generators on another kind of device than the learner's, since bits would differ.

    Args:
        device: the kind of the learner's, cpu or cuda.
    """
    if device == "cuda" and not settings.generator_gpus:
        raise ConfigError(
            "the learner computes on a GPU and generators would not: set cluster.generator_gpus or runtime.device=cpu"
        )
    if device == "cpu" and settings.generator_gpus:
        raise ConfigError("cluster.generator_gpus has no effect with runtime.device=cpu: leave one of them out")


def check_resources(settings: ClusterConfig, total: Mapping[str, float], free: Mapping[str, float]) -> None:
    """Refuse a cluster that cannot hold the generators, instead of waiting for it to grow.

    Args:
        total, free: Ray's resources, by name.
    """
    for name, each in (("CPU", settings.generator_cpus), ("GPU", settings.generator_gpus)):
        wanted, there = settings.generators * each, total.get(name, 0.0)
        needs = f"{settings.generators} generators with {each:g} {name} each need {wanted:g}"
        if wanted > there:
            raise ConfigError(f"{needs}, and the cluster has {there:g}: lower cluster.generators or add nodes")
        if wanted > free.get(name, 0.0):
            raise ConfigError(
                f"{needs}, and {free.get(name, 0.0):g} of {there:g} are free: others work there; wait or ask for less"
            )

"""What each process gets: its resources, its settings, and whether a cluster has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cogitate.config import ClusterConfig, Config, RLConfig
from cogitate.errors import ConfigError
from cogitate.kernels import native_library


def resources_of(settings: ClusterConfig) -> dict[str, Any]:
    """What Ray reserves for a generator, and where: over all nodes in turn. The driver restarts it, not Ray."""
    return {"num_cpus": settings.generator_cpus, "max_restarts": 0, "scheduling_strategy": "SPREAD"}


def config_of_worker(config: Config) -> Config:
    """The settings that a generator's process computes by: its own threads, and no cluster."""
    runtime = config.runtime.model_copy(update={"device": "cpu", "threads": config.cluster.generator_cpus, "backend": "local"})
    return config.model_copy(update={"runtime": runtime, "cluster": ClusterConfig()})


def check_engine(config: Config, device: str) -> None:
    """Refuse what vLLM's log-probabilities cannot be learnt from, and what has no effect beside it.

    Args:
        device: the kind of the driver's, cpu or cuda.

    Raises:
        ConfigError: a policy learns from completions that are drawn from a nucleus, whose log-probabilities vLLM gives, where
            the learner computes those of all tokens; or a setting of our engine, or the device of trainers, has no effect.
    """
    if config.cluster.trainers and device != "cpu":
        raise ConfigError(
            f"cluster.trainers compute on processors alone, and the device is {device}: set runtime.device=cpu, "
            "or cluster.trainers=0"
        )
    for name in ("speculative", "prefix_cache"):
        if getattr(config.runtime, name):
            raise ConfigError(f"runtime.{name} is of our engine: leave it out, or set cluster.engine=own")
    for name in type(config).model_fields:
        section = getattr(config, name)
        if isinstance(section, RLConfig) and section.top_p < 1:
            raise ConfigError(
                f"{name}.top_p={section.top_p:g}: vLLM's log-probabilities would be those of the nucleus alone; "
                "set it to 1, or cluster.engine=own"
            )


def check_devices(device: str) -> None:
    """Refuse what has no bits of its own for each completion: without the compiled kernels, log-probabilities depend on which
    completions are decoded together, which is a matter of time on a cluster.

    Args:
        device: the kind of the learner's, cpu or cuda.
    """
    if device != "cpu":
        raise ConfigError(
            f"runtime.backend=ray computes on processors alone, and the device is {device}: there, results would depend on "
            "which completions are decoded together; set runtime.device=cpu or runtime.backend=local"
        )
    if native_library() is None:
        raise ConfigError(
            "runtime.backend=ray needs the compiled kernels, which are not there: results would depend on which completions "
            "are decoded together; install a C compiler, or set runtime.backend=local"
        )


def check_resources(settings: ClusterConfig, total: Sequence[Mapping[str, float]], free: Sequence[Mapping[str, float]]) -> None:
    """Refuse a cluster that cannot hold the generators, instead of waiting for it to grow.

    Args:
        total, free: Ray's resources of each node that lives, by name.
    """
    each = settings.generator_cpus
    wanted, there, unused = settings.generators * each, cpus(total), cpus(free)
    needs = f"{settings.generators} generators with {each} CPU each need {wanted}"
    if wanted > there:
        raise ConfigError(f"{needs}, and the cluster has {there:g}: lower cluster.generators or add nodes")
    if settings.generators > (fits := room(total, each)):
        raise ConfigError(
            f"{needs}, and each has all of them on one node, where {fits} fit: "
            "lower cluster.generators or cluster.generator_cpus"
        )
    if wanted > unused:
        raise ConfigError(f"{needs}, and {unused:g} of {there:g} are free: others work there; wait or ask for less")
    if settings.generators > (fits := room(free, each)):
        raise ConfigError(
            f"{needs}, and where others work, {fits} such generators fit on the nodes' free CPUs: wait or ask for less"
        )


def cpus(nodes: Sequence[Mapping[str, float]]) -> float:
    return sum(node.get("CPU", 0.0) for node in nodes)


def room(nodes: Sequence[Mapping[str, float]], each: int) -> int:
    """How many processes with so many CPUs fit: one has all of its CPUs on one node."""
    return sum(int(node.get("CPU", 0.0) // each) for node in nodes)

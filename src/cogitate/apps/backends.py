"""Which backend a run works on: one machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cogitate.backend import Backend
from cogitate.config import Config

CLUSTER = "cluster"  # in a run directory: logs of a cluster, and the record of deaths there


def check_backend(config: Config) -> None:
    """Refuse at once what the machine lacks for a backend. Raises ConfigError."""
    if config.runtime.backend == "ray":
        from cogitate.cluster.library import check_library

        check_library()
        if config.cluster.engine == "vllm":
            from cogitate.cluster.vllm.environment import check_environment

            check_environment(config.cluster.vllm_python)


def make_backend(config: Config, out: Path, *, say: Callable[[str], None], answers: Path | None = None) -> Backend:
    """The backend of runtime.backend.

    Args:
        out: the run directory.
        say: takes a line that a person should read.
        answers: as of LocalBackend.

    Raises:
        ConfigError: the machine, or the cluster, cannot do what the settings say.
    """
    check_backend(config)
    if config.runtime.backend == "ray":
        from cogitate.cluster.backend import RayBackend

        return RayBackend(config, out / CLUSTER, answers, say)
    from cogitate.recipe.local_backend import LocalBackend

    return LocalBackend(config, answers)

"""The cluster's side of the seam: generators are processes of Ray, learners may be in several of ours, the rest is local."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ray

from cogitate.cluster.generator import ClusterGenerator
from cogitate.cluster.placement import check_devices, check_resources
from cogitate.cluster.pool import GeneratorPool
from cogitate.cluster.session import Session
from cogitate.cluster.trainers.backend import WithTrainers
from cogitate.config import Config


class RayBackend(WithTrainers):
    """Implements backend.Backend. The processes start at once, beside what the driver does first.

    Args:
        directory: for logs and the record of deaths.
        answers: as of OneProcess.
        say: takes a line that a person should read.
    """

    def __init__(self, config: Config, directory: Path, answers: Path | None = None, say: Callable[[str], None] = print):
        super().__init__(config, directory, answers, say)
        check_devices(self.device.type)
        self._session = Session(config.cluster, directory, say)
        try:
            total, free = (
                list(each.values())
                for each in (ray._private.state.total_resources_per_node(), ray._private.state.available_resources_per_node())
            )
            check_resources(config.cluster, total, free)
            self._pool = GeneratorPool(
                config,
                logs=self._session.logs,
                directory=directory,
                say=say,
                check_alive=self._session.check_alive,
                scratch=self._session.scratch,
            )
        except BaseException:
            self._session.close()
            raise

    def generator(self, model: Path) -> ClusterGenerator:
        return ClusterGenerator(self._pool, model, max_batch=self.config.runtime.max_batch)

    def close(self) -> None:
        try:
            super().close()
        finally:
            try:
                self._pool.close()
            finally:
                self._session.close()

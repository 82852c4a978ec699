"""The cluster's side of the seam: generators are processes of Ray, learners may be in several of ours, the rest is local."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import ray

from cogitate.backend import Grader
from cogitate.cluster.generator import ClusterGenerator
from cogitate.cluster.grading.grader import ClusterGrader
from cogitate.cluster.placement import check_devices, check_engine, check_resources
from cogitate.cluster.pool import GeneratorPool
from cogitate.cluster.session import Session
from cogitate.cluster.trainers.backend import WithTrainers
from cogitate.cluster.vllm.environment import check_environment
from cogitate.config import Config
from cogitate.errors import ConfigError


class RayBackend(WithTrainers):
    """Implements backend.Backend. The processes start at once, beside what the driver does first.

    Args:
        directory: for logs and the record of deaths.
        answers: as of OneProcess.
        say: takes a line that a person should read.
    """

    def __init__(self, config: Config, directory: Path, answers: Path | None = None, say: Callable[[str], None] = print):
        super().__init__(config, directory, answers, say)
        self._vllm = ""
        if config.cluster.engine == "vllm":
            check_engine(config, self.device.type)
            self._vllm = check_environment(config.cluster.vllm_python)
            say(
                f"vLLM {self._vllm} generates: completions depend in their last bits on which are decoded together, so that no "
                "two runs are equal to the bit, nor one that was killed and the undisturbed one"
            )
        else:
            check_devices(self.device.type)
        self._session = Session(config.cluster, directory, say)
        self._on_nodes: ClusterGrader | None = None
        try:
            further = self._further_nodes()
            if config.cluster.graders and not further:
                raise ConfigError("cluster.graders: the cluster has no node but this machine's: leave it out, or add nodes")
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
        except BaseException:  # Ctrl-C, too: nobody else has the session yet, and our Ray would stay
            self._session.close()
            raise

    @property
    def device_name(self) -> str:
        return f"{super().device_name}, completions by vLLM {self._vllm}" if self._vllm else super().device_name

    def generator(self, model: Path) -> ClusterGenerator:
        return ClusterGenerator(self._pool, model, max_batch=self.config.runtime.max_batch)

    def grader(self) -> Grader:
        local, settings = super().grader(), self.config.cluster
        if not settings.graders:
            return local
        if self._on_nodes is None:
            self._on_nodes = ClusterGrader(
                self.config, local, self._further_nodes(), logs=self._session.logs, directory=self._directory, say=self._say,
                check_alive=self._session.check_alive,
            )  # fmt: skip
        return self._on_nodes

    def _further_nodes(self) -> list[tuple[str, str]]:
        """(id, address) of each node that lives, without the driver's."""
        here = ray.get_runtime_context().get_node_id()
        nodes = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
        return sorted((node["NodeID"], node["NodeManagerAddress"]) for node in nodes)

    def close(self) -> None:
        with ExitStack() as stack:  # from its end, each whatever the others do
            stack.callback(self._session.close)
            stack.callback(self._pool.close)
            stack.callback(super().close)
            if self._on_nodes is not None:
                stack.callback(self._on_nodes.close)

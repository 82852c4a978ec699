"""What a cluster must have, and what a generator's process computes by."""

import pytest

from cogitate.cluster import placement
from cogitate.cluster.placement import check_devices, check_resources, config_of_worker
from cogitate.config import ClusterConfig, Config, RuntimeConfig
from cogitate.errors import ConfigError


def test_resources_that_a_cluster_lacks_or_has_given_away_are_named() -> None:
    three = ClusterConfig(generators=3, generator_cpus=2)
    six, four = [{"CPU": 4.0}, {"CPU": 2.0}], [{"CPU": 4.0}]
    check_resources(three, six, six)
    with pytest.raises(ConfigError, match="3 generators with 2 CPU each need 6, and the cluster has 4: lower"):
        check_resources(three, four, four)
    with pytest.raises(ConfigError, match="3 generators with 2 CPU each need 6, and 1 of 8 are free"):
        check_resources(three, [{"CPU": 8.0}], [{"CPU": 1.0}])


def test_cpus_of_several_nodes_are_not_those_of_one() -> None:
    two, halves = ClusterConfig(generators=2, generator_cpus=4), [{"CPU": 2.0}] * 4
    with pytest.raises(ConfigError, match="each has all of them on one node, where 0 fit"):
        check_resources(two, halves, halves)
    with pytest.raises(ConfigError, match="1 such generators fit on the nodes' free CPUs"):
        check_resources(two, [{"CPU": 8.0}] * 2, [{"CPU": 6.0}, {"CPU": 3.0}, {}])


def test_what_computes_a_completion_otherwise_beside_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_devices("cpu")
    with pytest.raises(ConfigError, match=r"the device is cuda: .* set runtime\.device=cpu"):
        check_devices("cuda")
    monkeypatch.setattr(placement, "native_library", lambda: None)
    with pytest.raises(ConfigError, match="needs the compiled kernels"):
        check_devices("cpu")


def test_a_worker_has_its_own_threads_and_no_cluster() -> None:
    runtime, cluster = RuntimeConfig(backend="ray", max_batch=7), ClusterConfig(generators=2, generator_cpus=3)
    of_worker = config_of_worker(Config(runtime=runtime, cluster=cluster))
    assert of_worker.runtime == RuntimeConfig(device="cpu", threads=3, max_batch=7)
    assert of_worker.cluster == ClusterConfig()

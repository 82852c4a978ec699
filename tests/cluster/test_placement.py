"""What a cluster must have, and what a generator's process computes by."""

import pytest

from cogitate.cluster.placement import check_devices, check_resources, config_of_worker
from cogitate.config import ClusterConfig, Config, RuntimeConfig
from cogitate.errors import ConfigError


def test_resources_that_a_cluster_lacks_or_has_given_away_are_named() -> None:
    three = ClusterConfig(generators=3, generator_cpus=2)
    check_resources(three, {"CPU": 6.0}, {"CPU": 6.0})
    with pytest.raises(ConfigError, match="3 generators with 2 CPU each need 6, and the cluster has 4: lower"):
        check_resources(three, {"CPU": 4.0}, {"CPU": 4.0})
    with pytest.raises(ConfigError, match="3 generators with 2 CPU each need 6, and 1 of 8 are free"):
        check_resources(three, {"CPU": 8.0}, {"CPU": 1.0})
    with pytest.raises(ConfigError, match=r"1 generators with 0\.5 GPU each need 0\.5, and the cluster has 0"):
        check_resources(ClusterConfig(generator_gpus=0.5), {"CPU": 8.0}, {"CPU": 8.0})


def test_generators_compute_on_the_learners_kind_of_device() -> None:
    check_devices(ClusterConfig(), "cpu")
    check_devices(ClusterConfig(generator_gpus=1), "cuda")
    with pytest.raises(ConfigError, match=r"set cluster\.generator_gpus"):
        check_devices(ClusterConfig(), "cuda")
    with pytest.raises(ConfigError, match=r"cluster\.generator_gpus has no effect"):
        check_devices(ClusterConfig(generator_gpus=1), "cpu")


def test_a_worker_has_its_own_threads_and_no_cluster() -> None:
    runtime, cluster = RuntimeConfig(backend="ray", max_batch=7), ClusterConfig(generators=2, generator_cpus=3)
    of_worker = config_of_worker(Config(runtime=runtime, cluster=cluster))
    assert of_worker.runtime == RuntimeConfig(device="cpu", threads=3, max_batch=7)
    assert of_worker.cluster == ClusterConfig()

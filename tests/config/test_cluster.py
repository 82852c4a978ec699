"""Settings of a cluster."""

import pytest

from cogitate.config import ClusterConfig, Config, RuntimeConfig
from cogitate.errors import ConfigError
from cogitate.recipe.settings import load_recipe


def test_a_cluster_changes_no_artifact_id() -> None:
    there = Config(runtime=RuntimeConfig(backend="ray"), cluster=ClusterConfig(generators=3, generator_cpus=2))
    assert there.identity() == {**Config().identity(), "cluster": {}}
    assert there.runtime.identity() == RuntimeConfig().identity()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (["cluster.generators=2"], r'cluster = .*: has no effect with runtime\.backend = "local": set runtime\.backend=ray'),
        (["runtime.backend=ray", "cluster.address=ray"], r"cluster\.address = \"ray\": must be HOST:PORT of a running Ray"),
        (["runtime.backend=ray", "cluster.token_file=t"], "token_file is for a Ray at an address"),
        (["runtime.backend=ray", "cluster.address=a:1", "cluster.object_store=99"], "object_store is of our own Ray"),
        (
            ["runtime.backend=ray", "cluster.engine=vllm"],
            "engine vllm needs vllm_python, the Python of an environment that has vLLM",
        ),
    ],
)
def test_what_cannot_be_or_has_no_effect_is_refused(settings: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load_recipe("tiny", settings)

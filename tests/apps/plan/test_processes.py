"""The processes of a run on a cluster."""

from cogitate.apps.plan.processes import memory_by_process, process_lines
from cogitate.recipe.settings import load_recipe

ON_RAY = "runtime.backend=ray"


def test_a_run_without_a_cluster_has_none() -> None:
    assert process_lines(load_recipe("tiny"), ["r1_zero"]) == []


def test_each_kind_of_process_has_its_resources_and_its_memory() -> None:
    own = process_lines(load_recipe("tiny", [ON_RAY, "cluster.generators=3", "cluster.object_store=99"]), ["r1_zero"])
    assert [row[0] for row in own] == ["driver", "3 generators", "Ray"]
    assert own[1][1:3] == ["this machine", "1 CPU each"]
    assert own[1][3].endswith(" GiB in r1_zero each")
    assert own[2][3] == "99 MiB of shared memory at most"
    elsewhere = process_lines(load_recipe("tiny", [ON_RAY, "cluster.address=head:6379"]), ["r1_zero"])
    assert [row[1] for row in elsewhere] == ["this machine", "a node of head:6379"]


def test_what_trains_is_the_drivers_and_what_is_not_made_needs_nothing() -> None:
    config = load_recipe("tiny", [ON_RAY])
    driver, generator = memory_by_process(config, ["r1_zero", "evaluate.base"])
    assert driver is not None
    assert generator is not None
    assert driver[1] == "r1_zero"
    assert memory_by_process(config, ["evaluate.base"])[0] is None
    assert memory_by_process(config, []) == (None, None)

"""The processes of a run on a cluster."""

from dataclasses import replace

import pytest

from cogitate.apps.plan.computer.machine import this_cpu, unmeasured
from cogitate.apps.plan.factors import read_factors
from cogitate.apps.plan.processes import memory_by_process, memory_of_trainer, process_lines, refuse_too_many
from cogitate.costs.hardware import GIB, Cluster
from cogitate.errors import ConfigError
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


def test_processes_that_do_not_fit_this_computer_together_are_refused() -> None:
    machine = replace(unmeasured(read_factors(), "float32"), cluster=Cluster(replace(this_cpu(), memory=4.0 * GIB), 1))
    refuse_too_many(load_recipe("tiny", [ON_RAY, "cluster.generators=2"]), only="r1_zero", machine=machine)
    many = [ON_RAY, "cluster.generators=40"]
    with pytest.raises(ConfigError, match=r"40 generators do not fit this computer: .* and there are 4\.0 GiB: lower"):
        refuse_too_many(load_recipe("tiny", many), only="r1_zero", machine=machine)
    elsewhere = load_recipe("tiny", [*many, "cluster.address=head:6379"])
    refuse_too_many(elsewhere, only="r1_zero", machine=machine)


def test_trainers_have_the_memory_of_training_in_place_of_the_driver_and_each_its_part_of_the_states() -> None:
    together = load_recipe("tiny", [ON_RAY, "cluster.trainers=2", "cluster.trainer_cpus=3"])
    rows = process_lines(together, ["r1_zero"])
    assert [row[0] for row in rows] == ["driver", "1 generators", "2 trainers", "Ray"]
    assert rows[0][2:] == [f"{together.rewards.workers} grading processes beside it", "memory unknown"]
    assert rows[2][1:3] == ["this machine", "3 CPU each"]
    one, two = (memory_of_trainer(load_recipe("tiny", [ON_RAY, f"cluster.trainers={n}"]), ["r1_zero"]) for n in (1, 2))
    assert one is not None
    assert two is not None
    assert two[0] < one[0]
    assert memory_of_trainer(load_recipe("tiny", [ON_RAY]), ["r1_zero"]) is None

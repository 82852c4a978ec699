import random
from collections.abc import Callable, Iterable
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest

from cogitate.config import Config
from tests.recipe.cli_process import processes
from tests.recipe.kill_harness import arm, outcome
from tests.recipe.toy_recipe import run_toy, toy_config


def run_and_count(out: Path, config: Config, event_number: int, counted: SimpleQueue[int]) -> None:
    changes = arm(out, event_number)
    run_toy(out, config)
    counted.put(len(changes))


def run_killed_at(out: Path, config: Config, event_number: int) -> int | None:
    """Run until the n-th change on disk; returns None if killed there, else how many changes the finished run made."""
    counted: SimpleQueue[int] = processes.SimpleQueue()
    process = processes.Process(target=run_and_count, args=(out, config, event_number, counted))
    process.start()
    process.join()
    assert process.exitcode in (0, -9), process.exitcode
    return None if process.exitcode == -9 else counted.get()


def check_kill_points(tmp_path: Path, choose: Callable[[int], Iterable[int]]) -> None:
    config = toy_config(tmp_path, "base.steps=4")
    changes = run_killed_at(tmp_path / "whole", config, 10**9)
    assert changes is not None
    expected = outcome(tmp_path / "whole")
    assert "toy_second/model.safetensors" in expected
    for first in choose(changes):
        out = tmp_path / f"killed-{first}"
        assert run_killed_at(out, config, first) is None, first
        run_killed_at(out, config, first // 2 + 1)  # a second kill, while going on
        assert run_killed_at(out, config, 10**9) is not None
        assert outcome(out) == expected, first


def test_a_run_killed_at_random_changes_on_disk_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    check_kill_points(tmp_path, lambda changes: random.Random(1).sample(range(1, changes + 1), 3))


@pytest.mark.release
@pytest.mark.timeout(1500)
def test_a_run_killed_at_any_change_on_disk_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    check_kill_points(tmp_path, lambda changes: range(1, changes + 1))

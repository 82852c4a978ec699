"""R1-Zero with two trainers and two generators, as a user starts it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest

from tests.cluster.clustered import SECONDS, command, driver_of, made, on_ray, run, stop_after_a_step

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * SECONDS)]
TRAINED_TOGETHER = on_ray(2, "cluster.trainers=2")


def trainers_of(driver: psutil.Process) -> list[psutil.Process]:
    return [each for each in driver.children(recursive=True) if "cogitate.cluster.trainers.process" in each.cmdline()]


def test_a_killed_trainer_changes_no_bit_of_a_run(tmp_path: Path) -> None:
    straight = run(tmp_path / "straight", *on_ray(1, "cluster.trainers=2"))  # one generator draws what two do
    assert straight.returncode == 0, straight.stderr
    out = tmp_path / "killed"
    with driver_of(command(out, *TRAINED_TOGETHER)) as driver:
        stop_after_a_step(driver, out)
        victim = trainers_of(psutil.Process(driver.pid))[1]
        victim.kill()
        driver.send_signal(signal.SIGCONT)
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 0, errors
    assert f"trainer 1 (process {victim.pid}) has ended: killed by SIGKILL; all trainers start again" in errors
    assert made(out) == made(tmp_path / "straight")
    (row,) = [json.loads(line) for line in (out / "cluster" / "deaths.jsonl").read_text().splitlines()]
    assert (row["trainer"], row["pid"], row["cause"]) == (1, victim.pid, "killed by SIGKILL")
    assert json.loads((out / "r1_zero" / "manifest.json").read_text())["device"] == "cpu, 2 trainers"

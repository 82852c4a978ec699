"""Ten runs with five kills each, of processes and at moments drawn at random: each ends as the page on clusters promises."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.cluster.clustered import SECONDS, called, command, driver_of, made, on_ray, run, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(10 * SECONDS)]
RUNS, KILLS = 10, 5
LONGEST_MOMENT = 2.0  # seconds after a step was logged: within them a step samples, grades, learns and is saved
WORDS = {"generator": "GeneratorWork", "raylet": "raylet", "gcs_server": "gcs_server"}  # in names of processes
GRADER = "cogitate.rewards.workers.worker"  # in command lines


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("laptop") / "run"
    assert run(out).returncode == 0
    return out


@dataclass
class Killed:
    """What one start of the command lost."""

    kinds: list[str] = field(default_factory=list)
    generators: list[int] = field(default_factory=list)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_run_with_five_kills_ends_as_promised(seed: int, laptop: Path, tmp_path: Path) -> None:
    out, kills = tmp_path / "run", iter(kills_of(seed))
    ends_soon, left = False, KILLS
    while left or not ends_soon:
        killed = Killed()
        with driver_of(command(out, *on_ray(2))) as driver:
            for kind, moment in kills:
                left -= 1
                wait_for_step(driver, out, KILLS - left)
                time.sleep(moment)
                kill(driver, kind, killed)
                if kind in ("driver", "raylet", "gcs_server"):
                    break
            _, errors = driver.communicate(timeout=SECONDS)
        check_end(driver.returncode, killed, errors, out)
        ends_soon = driver.returncode == 0
    assert made(out) == made(laptop)


def kills_of(seed: int) -> Iterator[tuple[str, float]]:
    """Whom to kill, and how long after a step; every kind comes in some run."""
    chance = random.Random(seed)
    kinds = ["driver", "grader", *WORDS]
    for number in range(KILLS):
        yield kinds[(seed + number) % len(kinds)] if number % 2 else chance.choice(kinds), chance.uniform(0, LONGEST_MOMENT)


def wait_for_step(driver: subprocess.Popen[str], out: Path, steps: int) -> None:
    """Wait until so many steps are in the log, or the command has ended."""
    log = out / "unfinished" / "r1_zero" / "out" / "metrics.jsonl"

    def logged() -> int:
        try:
            return len(log.read_text().splitlines())
        except OSError:
            return 0

    until(lambda: driver.poll() is not None or logged() >= steps, f"step {steps}")


def kill(driver: subprocess.Popen[str], kind: str, killed: Killed) -> None:
    """Kill one process of that kind, where there is one."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(driver.pid)
        if kind == "driver":
            found = [process]
        elif kind == "grader":
            found = [each for each in process.children(recursive=True) if GRADER in command_line(each)]
        else:
            found = called(process.children(recursive=True), WORDS[kind])
        for victim in found[:1]:
            victim.send_signal(signal.SIGKILL)
            killed.kinds.append(kind)
            if kind == "generator":
                killed.generators.append(victim.pid)


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def check_end(status: int, killed: Killed, errors: str, out: Path) -> None:
    """A start ends well unless its driver or its Ray was killed; each death of a generator has a row with its cause."""
    last = killed.kinds[-1] if killed.kinds else ""
    if last == "driver" and status != 0:
        assert status == -signal.SIGKILL, errors
    elif last in ("raylet", "gcs_server") and status != 0:
        assert status == 1 or (status == 2 and f"error: {last} of our Ray" in errors), errors
    else:
        assert status == 0, errors
        rows = (out / "cluster" / "deaths.jsonl").read_text().splitlines() if killed.generators else []
        causes = {row["pid"]: row["cause"] for row in map(json.loads, rows)}
        assert all(causes.get(pid) for pid in killed.generators), (killed, causes, errors)

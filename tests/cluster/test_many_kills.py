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

from tests.cluster.clustered import SECONDS, called, command, driver_of, made, on_ray, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(10 * SECONDS)]
RUNS, KILLS = 10, 5
LONGEST_MOMENT = 0.8  # seconds after a step was logged: about as long as a step takes
WORDS = {"generator": "GeneratorWork", "raylet": "raylet", "gcs_server": "gcs_server"}  # in names of processes
GRADER = "cogitate.rewards.workers.worker"  # in command lines


@dataclass
class Killed:
    """What one start of the command lost."""

    kinds: list[str] = field(default_factory=list)
    generators: list[int] = field(default_factory=list)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_run_with_five_kills_ends_as_promised(seed: int, laptop: Path, tmp_path: Path) -> None:
    out, kills = tmp_path / "run", iter(kills_of(seed))
    ended, left = False, KILLS
    while left or not ended:
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
        ended = driver.returncode == 0
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
    """Kill one process of that kind as soon as there is one; none where the command has ended."""
    until(lambda: processes(driver, kind) or driver.poll() is not None, f"a process: {kind}")
    for victim in processes(driver, kind)[:1]:
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGKILL)
            killed.kinds.append(kind)
            if kind == "generator":
                killed.generators.append(victim.pid)


def processes(driver: subprocess.Popen[str], kind: str) -> list[psutil.Process]:
    """Those of a kind that live."""
    try:
        process = psutil.Process(driver.pid)
        children = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    if kind == "driver":
        return [process]
    if kind == "grader":
        return [each for each in children if GRADER in command_line(each)]
    return called(children, WORDS[kind])


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
        log = (out / "cluster" / "deaths.jsonl").read_text().splitlines() if killed.generators else []
        rows = [json.loads(line) for line in log]
        assert all(row["cause"] for row in rows)
        starting = [row for row in rows if row["pid"] is None]  # killed before the driver knew its number
        missing = set(killed.generators) - {row["pid"] for row in rows}
        assert len(missing) <= len(starting), (killed, rows, errors)

"""R1-Zero on a cluster: the laptop's bits, whatever number of generators there is and whatever is killed."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.clustered import SECONDS, command, made, on_ray, run, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * SECONDS)]


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("laptop") / "run"
    assert run(out).returncode == 0
    return out


@pytest.mark.parametrize("generators", [1, 3])
def test_any_number_of_generators_gives_the_weights_of_the_laptop(generators: int, laptop: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "run", *on_ray(generators))
    assert done.returncode == 0, done.stderr
    assert made(tmp_path / "run") == made(laptop)
    assert not (tmp_path / "run" / "cluster" / "started.json").exists()
    assert (tmp_path / "run" / "cluster").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("killed", ["driver", "gcs_server"])
def test_a_killed_driver_or_ray_leaves_no_process_and_the_same_command_ends_with_the_same_weights(
    killed: str, laptop: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with subprocess.Popen(command(out, *on_ray(2)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
        until(lambda: list(out.glob("unfinished/r1_zero/checkpoint/*")) or driver.poll() is not None, "a checkpoint")
        its_own = psutil.Process(driver.pid).children(recursive=True)
        listening = {connection.laddr.ip for each in its_own for connection in listens(each)}
        victims = [each for each in its_own if killed in each.name()] or [psutil.Process(driver.pid)]
        victims[0].kill()
        _, errors = driver.communicate(timeout=SECONDS)
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    until(lambda: not any(map(is_alive, its_own)), "the end of all processes")
    assert not (out / "r1_zero").exists(), "the kill came too late"
    if killed == "driver":
        assert driver.returncode == -signal.SIGKILL
    else:
        assert driver.returncode == 2, errors
        assert f"error: {killed} of our Ray (process {victims[0].pid}) has died: killed by SIGKILL; " in errors
    assert run(out, *on_ray(2)).returncode == 0
    assert made(out) == made(laptop)


def listens(process: psutil.Process) -> list[Any]:
    """Where others can connect to a process."""
    try:
        return [each for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.NoSuchProcess:
        return []


def is_alive(process: psutil.Process) -> bool:
    """A zombie is not: whoever became its parent may leave it."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_killed_and_stopped_generators_are_replaced_and_their_deaths_are_told(laptop: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = on_ray(2, "cluster.answer_limit=20")  # seconds that a stopped one is waited for
    with subprocess.Popen(command(out, *settings), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
        until(lambda: (out / "unfinished/r1_zero/out/metrics.jsonl").is_file() or driver.poll() is not None, "a step")
        generators = [each for each in psutil.Process(driver.pid).children(recursive=True) if "GeneratorWork" in each.name()]
        assert len(generators) == 2
        os.kill(generators[0].pid, signal.SIGKILL)
        os.kill(generators[1].pid, signal.SIGSTOP)
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 0, errors
    assert made(out) == made(laptop)
    rows = [json.loads(line) for line in (out / "cluster" / "deaths.jsonl").read_text().splitlines()]
    causes = {row["pid"]: row["cause"] for row in rows}
    killed = causes[generators[0].pid]
    assert killed == "killed by SIGKILL" or "worker process has died" in killed  # Ray's words, where the kernel tells no more
    assert causes[generators[1].pid] == "has not answered for 20 s, and was ended"
    for row in rows:
        assert f"(process {row['pid']} on {row['host']}) has died: {row['cause']}" in errors


def test_a_signal_lets_the_stage_write_its_checkpoint(laptop: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with subprocess.Popen(command(out, *on_ray(1)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
        until(lambda: (out / "unfinished/r1_zero/out/metrics.jsonl").is_file() or driver.poll() is not None, "a step")
        driver.send_signal(signal.SIGTERM)
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 128 + signal.SIGTERM, errors
    assert "of r1_zero; the same command goes on from there" in errors
    assert run(out, *on_ray(3)).returncode == 0
    assert made(out) == made(laptop)

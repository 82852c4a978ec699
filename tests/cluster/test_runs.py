"""R1-Zero on a cluster: the laptop's bits, whatever number of generators there is and whatever is killed."""

import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.clustered import (
    SECONDS,
    called,
    command,
    driver_of,
    is_alive,
    made,
    on_ray,
    run,
    stop_after_a_step,
    until,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * SECONDS)]


@pytest.mark.parametrize("generators", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_any_number_of_generators_gives_the_weights_of_the_laptop(generators: int, laptop: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "run", *on_ray(generators))
    assert done.returncode == 0, done.stderr
    assert made(tmp_path / "run") == made(laptop)
    assert not (tmp_path / "run" / "cluster" / "started.json").exists()
    assert (tmp_path / "run" / "cluster").stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.parametrize("in_parts", [(), ("r1_zero.partial_rollouts=20", "r1_zero.staleness_limit=2")])
def test_sampling_while_the_policy_learns_gives_the_weights_of_the_laptop(in_parts: tuple[str, ...], tmp_path: Path) -> None:
    here, there, settings = tmp_path / "here", tmp_path / "there", ("r1_zero.overlap=true", *in_parts)
    assert run(here, *settings).returncode == 0
    done = run(there, *on_ray(2, *settings))
    assert done.returncode == 0, done.stderr
    assert made(there) == made(here)
    rows = [json.loads(line) for line in (there / "r1_zero" / "metrics.jsonl").read_text().splitlines()]
    assert any("seconds.generators_wait" in row for row in rows)
    assert max(row["staleness_max"] for row in rows) >= 1


def test_a_killed_driver_or_ray_leaves_no_process_and_the_same_command_ends_with_the_same_weights(
    laptop: Path, tmp_path: Path
) -> None:
    """One is killed, then the other one in the start that goes on; the third start ends with another number of generators."""
    out = tmp_path / "run"
    done = kill_after_a_step("driver", out)
    kill_after_a_step("raylet", out, done)
    assert run(out, *on_ray(1)).returncode == 0
    assert made(out) == made(laptop)


@pytest.mark.slow
def test_another_vital_process_of_ray_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    kill_after_a_step("gcs_server", tmp_path / "run")


def kill_after_a_step(killed: str, out: Path, done_before: int = 0) -> int:
    """Start the command, kill a process of it and see all others end; returns how many steps it had done."""
    with driver_of(command(out, *on_ray(2))) as driver:
        done = stop_after_a_step(driver, out, done_before=done_before)
        its_own = psutil.Process(driver.pid).children(recursive=True)
        listening = {connection.laddr.ip for each in its_own for connection in listens(each)}
        victim = psutil.Process(driver.pid) if killed == "driver" else called(its_own, killed)[0]
        victim.kill()
        driver.send_signal(signal.SIGCONT)
        _, errors = driver.communicate(timeout=SECONDS)
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    until(lambda: not any(map(is_alive, its_own)), "the end of all processes")
    assert not (out / "r1_zero").exists()
    if killed == "driver":
        assert driver.returncode == -signal.SIGKILL
    else:
        assert driver.returncode == 2, errors
        assert f"error: {killed} of our Ray (process {victim.pid}) has died: killed by SIGKILL; " in errors
    return done


def listens(process: psutil.Process) -> list[Any]:
    """Where others can connect to a process."""
    try:
        return [each for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.NoSuchProcess:
        return []


def test_killed_and_stopped_generators_are_replaced_and_their_deaths_are_told(laptop: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = on_ray(2, "cluster.answer_limit=20")  # seconds that a stopped one is waited for
    with driver_of(command(out, *settings)) as driver:
        stop_after_a_step(driver, out)
        generators = called(psutil.Process(driver.pid).children(recursive=True), "GeneratorWork")
        assert len(generators) == 2
        generators[0].kill()
        generators[1].suspend()
        driver.send_signal(signal.SIGCONT)
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 0, errors
    assert made(out) == made(laptop)
    rows = [json.loads(line) for line in (out / "cluster" / "deaths.jsonl").read_text().splitlines()]
    causes = {row["pid"]: row["cause"] for row in rows}
    killed = causes[generators[0].pid]
    assert killed == "killed by SIGKILL" or "worker process has died" in killed  # Ray's words, where the kernel tells no more
    assert causes[generators[1].pid] == "has not answered for 20 s, and was ended"
    for row in (row for row in rows if row["pid"] is not None):
        assert f"(process {row['pid']} on {row['host']}) has died: {row['cause']}" in errors


def test_too_many_deaths_end_the_run_with_one_line(tmp_path: Path) -> None:
    out, killed = tmp_path / "run", set[psutil.Process]()
    with driver_of(command(out, *on_ray(1, "cluster.deaths_limit=1"))) as driver:

        def ended_after_all_were_killed() -> bool:
            with suppress(psutil.NoSuchProcess):
                for generator in called(psutil.Process(driver.pid).children(recursive=True), "GeneratorWork"):
                    generator.kill()
                    killed.add(generator)
            return driver.poll() is not None

        until(ended_after_all_were_killed, "the end")
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 2, errors
    assert len(killed) >= 2
    assert "error: 2 times in a row generators have died without a completion in between, the last: " in errors


@pytest.mark.slow
def test_a_signal_lets_the_stage_write_its_checkpoint(laptop: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with driver_of(command(out, *on_ray(1))) as driver:
        stop_after_a_step(driver, out)
        driver.send_signal(signal.SIGTERM)
        driver.send_signal(signal.SIGCONT)
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 128 + signal.SIGTERM, errors
    assert "of r1_zero; the same command goes on from there" in errors
    assert run(out, *on_ray(3)).returncode == 0
    assert made(out) == made(laptop)

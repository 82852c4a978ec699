from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cogitate.errors import ConfigError
from cogitate.rewards.pool import GraderPool
from cogitate.types import Problem, Verdict

SUM = Problem("1", "arithmetic", "math", "6 * 7?", gold="42")
MINE = Problem("2", "mine", "custom", "anything")

CUSTOM = """
import os, time

def reward(completion, problem):
    print("noise on standard output")
    if completion == "spin":
        while True:
            pass
    if completion == "sleep":
        time.sleep(1000)
    if completion == "crash":
        os._exit(3)
    if completion == "raise":
        raise ValueError("no")
    if completion == "memory":
        return len(bytearray(1 << 36)) * 0
    if completion == "descriptors":
        return float(any(name.endswith("held.lock") for name in map(os.readlink, descriptors())))
    return 0.25

def descriptors():
    paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return [path for path in paths if os.path.islink(path)]
"""


@pytest.fixture
def custom(tmp_path: Path) -> str:
    file = tmp_path / "mine.py"
    file.write_text(CUSTOM)
    return f"{file}:reward"


def verdicts(pool: GraderPool, count: int, seconds: float = 30) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        found.update(pool.poll(0.2))
    assert len(found) == count
    assert pool.pending() == 0
    return found


def test_verdicts_belong_to_their_completions_whatever_the_order_of_completion() -> None:
    with GraderPool(2) as pool:
        for i in range(200):
            pool.submit(str(i), SUM, f"<think>x</think><answer>{i % 50}</answer>", "r1")
        found = verdicts(pool, 200)
    assert [i for i in range(200) if found[str(i)].verdict == "right"] == [42, 92, 142, 192]
    assert all(verdict.seconds > 0 for verdict in found.values())


def test_poll_returns_in_order_of_submission_and_counts_what_is_pending() -> None:
    with GraderPool(2) as pool:
        assert pool.poll() == []
        for i in range(20):
            pool.submit(str(i), SUM, "42", "bare")
        assert pool.pending() == 20
        time.sleep(1)
        returned = [name for name, _ in pool.poll(10)]
        assert returned == sorted(returned, key=int)


def test_a_hung_verdict_is_wrong_and_the_others_go_on(custom: str) -> None:
    with GraderPool(2, 0.5, custom=custom) as pool:
        start = time.monotonic()
        for completion in ("spin", "sleep", "fine", "raise", "memory"):
            pool.submit(completion, MINE, completion, "r1")
        found = verdicts(pool, 5)
        assert time.monotonic() - start < 10
        assert found["spin"].verdict == found["sleep"].verdict == "wrong"
        assert "0.5 s" in found["spin"].reason
        assert (found["fine"].verdict, found["fine"].score) == ("wrong", 0.25)
        assert found["raise"].verdict == "none"
        assert "ValueError" in found["raise"].reason
        assert found["memory"].verdict == "none"
        pool.submit("again", MINE, "fine", "r1")
        assert verdicts(pool, 1)["again"].score == 0.25


def test_a_completion_that_crashes_its_worker_twice_is_wrong(custom: str) -> None:
    with GraderPool(1, 2.0, custom=custom) as pool:
        pool.submit("a", MINE, "crash", "r1")
        pool.submit("b", MINE, "fine", "r1")
        found = verdicts(pool, 2)
    assert found["a"].verdict == "wrong"
    assert "crashed" in found["a"].reason
    assert found["b"].score == 0.25


def workers_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "cogitate.rewards.worker" in " ".join(child.cmdline())]


def test_a_worker_lost_once_costs_nothing_and_lost_twice_gives_no_verdict(custom: str) -> None:
    with GraderPool(1, 5.0, custom=custom) as pool:
        pool.submit("a", MINE, "sleep", "r1")
        for _ in range(2):
            time.sleep(1)  # long enough for a worker to be started and given the completion
            (worker,) = workers_of(os.getpid())
            os.kill(worker.pid, signal.SIGKILL)
        assert verdicts(pool, 1)["a"].verdict == "none"
        pool.submit("b", MINE, "fine", "r1")
        assert verdicts(pool, 1)["b"].score == 0.25


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_inherit_no_open_file_of_the_parent(custom: str, tmp_path: Path) -> None:
    with (tmp_path / "held.lock").open("w") as held, GraderPool(1, custom=custom) as pool:
        os.set_inheritable(held.fileno(), True)
        pool.submit("a", MINE, "descriptors", "r1")
        assert verdicts(pool, 1)["a"].score == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_workers_die_with_a_killed_parent_even_while_busy(custom: str) -> None:
    program = f"""
import time
from cogitate.rewards.pool import GraderPool
from cogitate.types import Problem
pool = GraderPool(2, 100.0, custom={custom!r})
for i in range(2):
    pool.submit(str(i), Problem("2", "mine", "custom", ""), "spin", "r1")
pool.poll(1.0)
print("busy", flush=True)
time.sleep(100)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"busy\n"
    workers = workers_of(parent.pid)
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []


def test_close_ends_all_workers_and_leaves_no_zombie() -> None:
    pool = GraderPool(2)
    pool.submit("a", SUM, "42", "bare")
    verdicts(pool, 1)
    workers = workers_of(os.getpid())
    assert len(workers) == 2
    pool.close()
    pool.close()
    assert [worker for worker in workers if worker.is_running()] == []


def test_a_custom_reward_that_cannot_be_loaded_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    for location in (f"{tmp_path}/broken.py:reward", f"{tmp_path}/missing.py:reward", "no colon"):
        with pytest.raises(ConfigError, match=r"rewards\.custom"):
            GraderPool(1, custom=location)


def test_a_problem_without_what_its_grader_needs_gives_no_verdict() -> None:
    with GraderPool(1) as pool:
        pool.submit("a", Problem("3", "countdown", "countdown", "?"), "<answer>1</answer>", "r1")
        found = verdicts(pool, 1)["a"]
    assert found.verdict == "none"
    assert "numbers" in found.reason

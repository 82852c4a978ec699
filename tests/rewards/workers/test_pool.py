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
from cogitate.rewards.workers.jobs import LEFT_TO_OTHERS
from cogitate.rewards.workers.pool import GraderPool
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
    if completion == "linger":  # the pipe closes before the process ends
        os.closerange(3, 100)
        time.sleep(0.5)
        os._exit(3)
    if completion == "exit":
        raise SystemExit(3)
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


def verdicts(pool: GraderPool, count: int, seconds: float = 120) -> dict[str, Verdict]:
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
    assert [i for i in range(200) if found[str(i)].value == "right"] == [42, 92, 142, 192]
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
        for completion in ("spin", "sleep", "fine", "raise", "memory"):
            pool.submit(completion, MINE, completion, "r1")
        found = verdicts(pool, 5)
        assert found["spin"].value == found["sleep"].value == "wrong"
        assert "0.5 s" in found["spin"].reason
        assert (found["fine"].value, found["fine"].score) == ("wrong", 0.25)
        assert found["raise"].value == "none"
        assert "ValueError" in found["raise"].reason
        assert found["memory"].value == "none"
        pool.submit("again", MINE, "fine", "r1")
        assert verdicts(pool, 1)["again"].score == 0.25


@pytest.mark.parametrize("how", ["crash", "linger"])
def test_a_completion_that_crashes_its_worker_twice_is_wrong(custom: str, how: str) -> None:
    with GraderPool(1, 2.0, custom=custom) as pool:
        pool.submit("a", MINE, how, "r1")
        pool.submit("b", MINE, "fine", "r1")
        found = verdicts(pool, 2)
    assert found["a"].value == "wrong"
    assert "crashed" in found["a"].reason
    assert found["b"].score == 0.25


def workers_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "cogitate.rewards.workers.worker" in " ".join(child.cmdline())]


def test_a_worker_lost_once_costs_nothing_and_lost_twice_gives_no_verdict(custom: str) -> None:
    with GraderPool(1, 5.0, custom=custom) as pool:
        pool.submit("a", MINE, "sleep", "r1")
        for _ in range(2):
            deadline = time.monotonic() + 60
            while not (busy := [worker for worker in pool._dispatcher.workers if worker.job]) and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(busy[0].process.pid, signal.SIGKILL)
            while busy[0] in pool._dispatcher.workers and time.monotonic() < deadline:
                time.sleep(0.05)
        assert verdicts(pool, 1)["a"].value == "none"
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
from cogitate.rewards.workers.pool import GraderPool
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
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []


def test_close_ends_all_workers_and_leaves_no_zombie() -> None:
    others = workers_of(os.getpid())  # of fixtures that other tests share
    pool = GraderPool(2)
    pool.submit("a", SUM, "42", "bare")
    verdicts(pool, 1)
    workers = [worker for worker in workers_of(os.getpid()) if worker not in others]
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
    assert found.value == "none"
    assert "numbers" in found.reason


ATTEMPTS = '''
import os, socket, subprocess

def reward(completion, problem):
    """1 for every promise that is broken, as a share."""
    attempts = [write, connect, unix_socket, start_process, fork, remove]
    broken = [attempt.__name__ for attempt in attempts if succeeds(attempt, completion)]
    if broken:
        raise RuntimeError(", ".join(broken))
    return 0.125

def succeeds(attempt, directory):
    try:
        attempt(directory)
    except OSError:
        return False
    return True

def write(directory):
    open(directory + "/new.txt", "w").close()

def connect(directory):
    socket.create_connection(("127.0.0.1", 9), timeout=1)

def unix_socket(directory):
    socket.socket(socket.AF_UNIX)

def start_process(directory):
    subprocess.run(["/bin/true"])

def fork(directory):
    if os.fork() == 0:
        os._exit(0)

def remove(directory):
    os.remove(directory + "/victim.txt")
'''


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")
def test_workers_can_neither_write_nor_reach_the_network_nor_start_processes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ATTEMPTS)
    (tmp_path / "victim.txt").write_text("still here")
    with GraderPool(1, custom=f"{tmp_path}/mine.py:reward") as pool:
        pool.submit("a", MINE, str(tmp_path), "r1")
        found = verdicts(pool, 1)["a"]
    assert (found.score, found.reason) == (0.125, "the custom reward gave 0.125")
    assert (tmp_path / "victim.txt").exists()


def test_code_is_judged_by_workers_that_can_start_the_sandbox() -> None:
    tests = [{"args": [[3, 1, 2]], "expected": [1, 2, 3]}]
    problem = Problem("4", "code", "code", "sort", fields={"mode": "function", "entry_point": "f", "tests": tests})
    with GraderPool(2) as pool:
        pool.submit("good", problem, "<think>x</think><answer>```python\ndef f(xs):\n    return sorted(xs)\n```</answer>", "r1")
        pool.submit("bad", problem, "<think>x</think><answer>```python\ndef f(xs):\n    return xs\n```</answer>", "r1")
        pool.submit("sum", SUM, "42", "bare")
        found = verdicts(pool, 3, seconds=120)
    if found["good"].value == "none":
        pytest.skip(f"no isolation can be had here: {found['good'].reason}")
    assert (found["good"].value, found["bad"].value, found["sum"].value) == ("right", "wrong", "right")


def test_equal_programs_of_a_problem_are_run_once_by_however_many_workers() -> None:
    slow = "```python\nimport time\ndef f(n):\n    return sum(i % 7 for i in range(2_000_000)) * 0 + time.time_ns()\n```"
    fields = {"mode": "function", "entry_point": "f", "tests": [[4, 4]]}
    with GraderPool(2) as pool:
        for number in range(LEFT_TO_OTHERS):
            pool.submit(str(number), Problem("same", "code", "code", "?", fields=fields), slow, "bare")
        found = verdicts(pool, LEFT_TO_OTHERS, seconds=200)
    if found["0"].value == "none":
        pytest.skip(f"no isolation can be had here: {found['0'].reason}")
    assert {verdict.value for verdict in found.values()} == {"wrong"}
    (reason,) = {verdict.reason for verdict in found.values()}  # a second run would give another time
    assert "f(4) gave 1" in reason


def test_programs_may_import_the_packages_that_are_named_and_a_problem_may_have_limits_of_its_own() -> None:
    program = "```python\nimport numpy\ndef f(n):\n    while n > 5:\n        pass\n    return int(numpy.arange(n).sum())\n```"
    fields = {"mode": "function", "entry_point": "f", "limits": {"cpu_seconds": 20}}
    sums, spins = ({**fields, "tests": [test]} for test in ([4, 6], [9, 36]))
    spins["limits"] = {"cpu_seconds": 0.5}
    problems = {name: Problem(name, "code", "code", "?", fields=f) for name, f in (("sums", sums), ("spins", spins))}
    found: dict[str, Verdict] = {}
    for packages in ((), ("numpy",)):
        with GraderPool(1, packages=packages) as pool:
            for name, problem in problems.items():
                pool.submit(f"{name} {len(packages)}", problem, program, "bare")
            found |= verdicts(pool, 2, seconds=200)
    if found["sums 1"].value == "none":
        pytest.skip(f"no isolation can be had here: {found['sums 1'].reason}")
    assert (found["sums 1"].value, found["sums 0"].value) == ("right", "wrong")
    assert "No module named 'numpy'" in found["sums 0"].reason
    assert (found["spins 1"].value, "processor time" in found["spins 1"].reason) == ("wrong", True)


def test_a_sandbox_that_cannot_be_meant_is_refused_at_once() -> None:
    for settings, why in (
        ({"packages": ("no_such_package",)}, "no package 'no_such_package'"),
        ({"remote_sandbox": "http://127.0.0.1:1"}, "write it as sandbox_fusion:http://HOST:PORT or piston:http://HOST:PORT"),
        ({"remote_sandbox": "piston:http://127.0.0.1:1", "packages": ("numpy",)}, "has packages of its own"),
        ({"remote_sandbox": "piston:http://127.0.0.1:1", "unsafe_local": True}, "nothing runs here"),
    ):
        with pytest.raises(ConfigError, match=why):
            GraderPool(1, **settings)


def test_an_audit_keeps_where_the_two_graders_of_mathematics_disagree() -> None:
    rounded = Problem("5", "m", "math", "?", gold=r"\frac{1}{3}")
    with GraderPool(1, audit=True) as pool:
        pool.submit("same", SUM, r"\boxed{42}", "r1")
        pool.submit("rounded", rounded, r"\boxed{0.333333}", "r1")
        found = verdicts(pool, 2, seconds=120)
        disagreements = pool.finish_audit()
    assert (found["same"].value, found["rounded"].value) == ("right", "wrong")
    assert [(row["request_id"], row["ours"], row["library"]) for row in disagreements] == [("rounded", False, True)]

"""A user's own parts of the reward in the grader's workers: their values, their faults, and what they cannot do."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from cogitate.errors import ConfigError
from cogitate.rewards.workers.pool import GraderPool
from cogitate.types import Ending, Problem, Verdict

SUM = Problem("1", "arithmetic", "math", "6 * 7?", gold="42")
CODE = Problem(
    "2", "code", "code", "sort",
    fields={"mode": "function", "entry_point": "f", "tests": [{"args": [[3, 1, 2]], "expected": [1, 2, 3]}]},
)  # fmt: skip
PROGRAM = "<think>x</think><answer>```python\ndef f(xs):\n    return sorted(xs)\n```</answer>"

PARTS = """
import os, time

def brevity(completion):
    print("noise on standard output")
    if "spin" in completion.text:
        while True:
            pass
    if "crash" in completion.text:
        os._exit(3)
    if "raise" in completion.text:
        raise ValueError("no")
    return -completion.tokens / 100

def credit(completion):
    return 2 * completion.verdict.score + (completion.finish_reason == "length")
"""


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "mine.py"
    file.write_text(PARTS)
    return {"brevity": f"{file}:brevity", "credit": f"{file}:credit"}


def verdicts(pool: GraderPool, count: int, seconds: float = 120) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        found.update(pool.poll(0.2))
    assert len(found) == count
    assert pool.pending() == 0
    return found


def test_verdicts_bring_the_values_of_the_users_parts_where_these_are_asked_for(parts: dict[str, str]) -> None:
    with GraderPool(2, parts=parts) as pool:
        for number in range(20):
            pool.submit(str(number), SUM, f"{40 + number % 4}", "bare", Ending(number, "stop"))
        pool.submit("cut", SUM, "42", "bare", Ending(50, "length"))
        pool.submit("evaluated", SUM, "42", "bare")
        found = verdicts(pool, 22)
    assert [found[str(number)].parts["brevity"] for number in range(20)] == [-number / 100 for number in range(20)]
    assert [found[str(number)].parts["credit"] for number in range(4)] == [0.0, 0.0, 2.0, 0.0]
    assert (found["cut"].value, found["cut"].parts) == ("right", {"brevity": -0.5, "credit": 3.0})
    assert (found["evaluated"].value, found["evaluated"].parts) == ("right", {})


def test_a_part_that_fails_hangs_or_crashes_leaves_no_verdict_and_the_others_go_on(
    parts: dict[str, str],
) -> None:
    with GraderPool(2, 0.5, parts=parts) as pool:
        for text in ("42", "42 raise", "42 spin", "42 crash"):
            pool.submit(text, SUM, text, "free", Ending(5, "stop"))
        pool.submit("none", Problem("3", "sums", "exact", "?", gold=""), "42", "bare", Ending(5, "stop"))
        found = verdicts(pool, 5)
    assert (found["42"].value, found["42"].parts["brevity"]) == ("right", -0.05)
    assert [found[f"42 {how}"].value for how in ("raise", "spin", "crash")] == ["none"] * 3
    assert found["42 raise"].reason == "rewards.parts.brevity raised ValueError: no"
    assert found["42 spin"].reason == "rewards.parts gave no value within 0.5 s"
    assert found["42 crash"].reason == "rewards.parts crashed the worker twice (exit code 3)"
    assert (found["none"].value, found["none"].parts) == ("none", {})
    assert "rewards.parts" not in found["none"].reason


def test_a_part_that_cannot_be_loaded_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ConfigError, match=r"rewards\.parts\.mine\.file = .*broken\.py fails: ModuleNotFoundError"):
        GraderPool(1, parts={"mine": f"{tmp_path}/broken.py:mine"})
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ConfigError, match=r"rewards\.parts\.mine\.file = .*empty\.py has no function mine"):
        GraderPool(1, parts={"mine": f"{tmp_path}/empty.py:mine"})


ATTEMPTS = """
import os, socket, subprocess, sys
from pathlib import Path

def succeeds(attempt):
    try:
        attempt()
    except OSError:
        return False
    return True

def write():
    open(HERE / "new.txt", "w").close()

def remove():
    os.remove(HERE / "victim.txt")

def connect():
    socket.create_connection(("127.0.0.1", 9), timeout=1)

def start_process():
    subprocess.run(["/bin/true"])

def fork():
    if os.fork() == 0:
        os._exit(0)

HERE = Path(__file__).parent
ATTEMPTS = [write, remove, connect, start_process, fork]
AT_IMPORT = [attempt.__name__ for attempt in ATTEMPTS if succeeds(attempt)]

def part(completion):
    broken = AT_IMPORT + [attempt.__name__ for attempt in ATTEMPTS if succeeds(attempt)]
    if broken:
        raise RuntimeError(", ".join(broken))
    return 0.125

def judge(completion, problem):
    if AT_IMPORT:
        raise RuntimeError(", ".join(AT_IMPORT))
    return 1.0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")
def test_users_functions_can_neither_write_nor_reach_the_network_nor_start_processes_on_code_rows_too(tmp_path: Path) -> None:
    """Neither when their file is loaded nor when they are called."""
    (tmp_path / "mine.py").write_text(ATTEMPTS)
    (tmp_path / "victim.txt").write_text("still here")
    with GraderPool(1, parts={"mine": f"{tmp_path}/mine.py:part"}, custom=f"{tmp_path}/mine.py:judge") as pool:
        pool.submit("sum", SUM, "42", "bare", Ending(2, "stop"))
        pool.submit("code", CODE, PROGRAM, "r1", Ending(9, "stop"))
        pool.submit("custom", Problem("3", "mine", "custom", "?"), "x", "r1", Ending(2, "stop"))
        found = verdicts(pool, 3)
    assert (found["sum"].value, found["sum"].parts) == ("right", {"mine": 0.125})
    assert (found["custom"].value, found["custom"].parts) == ("right", {"mine": 0.125})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py", "victim.txt"]
    if found["code"].value == "none":
        pytest.skip(f"no isolation can be had here: {found['code'].reason}")
    assert (found["code"].value, found["code"].parts) == ("right", {"mine": 0.125})


def test_this_process_never_loads_a_users_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\nPID = os.getpid()\ndef part(completion):\n    return PID\n")
    with GraderPool(1, parts={"mine": f"{tmp_path}/mine.py:part"}) as pool:
        pool.submit("sum", SUM, "42", "bare", Ending(2, "stop"))
        (worker,) = pool._dispatcher.workers
        assert verdicts(pool, 1)["sum"].parts == {"mine": worker.process.pid}

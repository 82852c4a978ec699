"""Programs written to fool the grader or harm the machine: all wrong, the honest look-alikes right, the host unharmed."""

import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.child import FIRST_UID, UID_SLOTS
from cogitate.rewards.sandbox.limits import MIB, Limits
from cogitate.rewards.sandbox.sandbox import Sandbox, SandboxLevel, detect_level, probe_level
from cogitate.types import Verdict

LIMITS = Limits(cpu_seconds=3, wall_seconds=5)
BUSY_LIMITS = Limits(cpu_seconds=3, wall_seconds=60)  # for the honest: on a busy machine the wall is not theirs to keep
AT_ONCE = 4

needs_sandbox = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


class HostWatch:
    """What the machine looks like while programs run: their processes and memory, sampled, and what they must not leave."""

    def __init__(self) -> None:
        self.most_processes = self.most_memory = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "HostWatch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.2):
            processes, pages = 0, 0
            for pid in sandboxed_processes():
                try:
                    pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                    processes += len(os.listdir(f"/proc/{pid}/task"))
                except OSError:
                    continue
            self.most_processes = max(self.most_processes, processes)
            self.most_memory = max(self.most_memory, pages * os.sysconf("SC_PAGE_SIZE"))


def sandboxed_processes() -> list[str]:
    """Processes of the users that programs run as; [] where the tests do not run as root."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and FIRST_UID <= entry.stat().st_uid < FIRST_UID + UID_SLOTS:
                found.append(entry.name)
        except OSError:
            continue
    return found


def zombies_of_ours() -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.append(pid)
    return found


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hostile-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def markers() -> list[str]:
    places = [Path("/tmp"), Path.cwd(), Path.cwd().parent, Path.home(), Path(tempfile.gettempdir())]
    names = ("R1_PWNED_MARKER", "r1_pwned.pth")
    return [str(place / name) for place in places for name in names if (place / name).exists()]


def judge(row: dict[str, Any], task: dict[str, Any], box: Sandbox) -> Verdict:
    program = f"```python\n{row['code']}\n```"
    limits = LIMITS if row["expected"] == "fail" else BUSY_LIMITS
    if row["mode"] == "stdin":
        return grade_code(program, mode="stdin", tests=task["stdin"]["tests"], limits=limits, sandbox=box)
    tests = task["function"]["hidden_tests"]
    return grade_code(program, entry_point="digit_sum", tests=tests, limits=limits, sandbox=box)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("level", [SandboxLevel.BUBBLEWRAP, SandboxLevel.LANDLOCK], ids=lambda level: level.value)
def test_hostile_programs_in_random_order_four_at_once(corpus: Any, level: SandboxLevel, scratch: Path) -> None:
    """Three rounds; COGITATE_HOSTILE_ROUNDS asks for another number."""
    if not all(result.held for result in probe_level(level)):
        pytest.skip(f"{level.value} cannot be had here")
    rows = corpus("sandbox/hostile_code")
    task = json.loads((Path(os.environ["COGITATE_DATA"]) / "sandbox" / "tasks.json").read_text())
    box, seed = Sandbox(level=level), random.randrange(2**32)
    order = random.Random(seed)
    bad: list[str] = []
    started = time.monotonic()
    with HostWatch() as watch, ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(int(os.environ.get("COGITATE_HOSTILE_ROUNDS", "3"))):
            shuffled = order.sample(rows, len(rows))
            for row, verdict in zip(shuffled, pool.map(lambda row: judge(row, task, box), shuffled), strict=True):
                ok = verdict.value == "right" if row["expected"] == "pass" else verdict.value != "right"
                bounded = row["expected"] == "pass" or verdict.seconds < 60
                if not ok or not bounded or not verdict.reason.isprintable():
                    bad.append(f"{row['id']} {verdict.value} {verdict.seconds:.1f} s: {verdict.reason}")
    print(f"\n{level.value}: {time.monotonic() - started:.0f} s, seed {seed}, most processes {watch.most_processes},")
    print(f"most memory {watch.most_memory / MIB:.0f} MiB")
    assert bad == []
    assert sandboxed_processes() == []
    assert zombies_of_ours() == []
    assert markers() == []
    assert list(scratch.iterdir()) == []
    assert watch.most_processes <= AT_ONCE * (LIMITS.processes + 1)
    assert watch.most_memory < AT_ONCE * (LIMITS.memory_bytes + 256 * MIB)


CLOSE_KIN = {
    "detached daemon": "import os, time\ndef f(x):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
    "            time.sleep(300)\n        os._exit(0)\n    return 0",
    "kill everything": "import os, signal\ndef f(x):\n    os.kill(-1, signal.SIGKILL)\n    return 0",
    "exit at loading": "import sys\nsys.exit(0)",
    "abort": "import os\ndef f(x): os.abort()",
    "stop itself": "import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGSTOP)",
    "close all descriptors": "import os\nos.closerange(0, 100)\ndef f(x): return x + 1",
    "flood the answers": "import os\nwhile True: os.write(4, b'x' * 65536)",
    "announce a huge answer": "import os\nos.write(4, (2 ** 62).to_bytes(8, 'little'))\ndef f(x): return x",
    "announce a negative answer": "import os\nos.write(4, b'\\xff' * 8)\ndef f(x): return x",
    "forge a deep answer": "import os\nm = b'{\"value\":' + b'[' * 100000 + b'}'\n"
    "os.write(4, len(m).to_bytes(8, 'little') + m)\ndef f(x): return x",
    "forge the list of names": "import os\nm = b'{\"value\":5}'\nos.write(4, len(m).to_bytes(8, 'little') + m)\n"
    "def f(x): return 0",
    "patch the runner": "import __main__, sys\nfor k in list(vars(__main__)): setattr(__main__, k, None)\n"
    "for m in list(sys.modules.values()):\n    if getattr(m, 'encode', None): m.encode = lambda v: '6'\ndef f(x): return -1",
    "swap stdout": "import sys, io\nsys.stdout = io.StringIO()\nsys.stderr = None\ndef f(x): return -1",
    "sparse file": "def f(x):\n    with open('big', 'wb') as h:\n        h.seek(1 << 40)\n        h.write(b'x')\n    return 0",
    "fill the disk": "def f(x):\n    for i in range(100000):\n        with open(str(i), 'wb') as h: h.write(b'x' * (1 << 20))\n"
    "    return 0",
    "long lines without end": "import sys\nwhile True: sys.stderr.write('x' * 100000)",
    "null bytes in the source": "x = '\0'\ndef f(x): return x + 1",
    "lone surrogate in the source": "x = '\ud800'\ndef f(x): return x + 1",
    "an endless answer": "def f(x):\n    a = []\n    a.append(a)\n    return a",
    "a lying exception": 'class E(Exception):\n    def __str__(self): return \'"}\\n{"value":6}\'\ndef f(x): raise E',
    "an exception without end": "class E(Exception):\n    def __str__(self):\n        while True: pass\ndef f(x): raise E",
    "a million digits": "def f(x): return 10 ** 1000000",
    "nan": "def f(x): return float('nan')",
    "a string that reads like the answer": "def f(x): return str(x + 1)",
    "a float instead of a bool": "def f(x): return True",
}


@needs_sandbox
@pytest.mark.parametrize("attack", CLOSE_KIN)
def test_close_kin_of_the_attacks_are_wrong(attack: str) -> None:
    limits = Limits(cpu_seconds=0.5, wall_seconds=3)
    answer = f"```python\n{CLOSE_KIN[attack]}\n```"
    verdict = grade_code(answer, entry_point="f", tests=[[5, 6], [7, 8]], limits=limits)
    assert verdict.value == "wrong", verdict.reason
    assert verdict.reason.isprintable()
    assert zombies_of_ours() == []


@pytest.mark.slow
@pytest.mark.timeout(0)
@needs_sandbox
def test_the_verdicts_on_humaneval_and_mbpp_are_those_of_the_data_sets(corpus: Any) -> None:
    problems = {row["id"]: row for name in ("code/humaneval", "code/mbpp") for row in corpus(name)}
    box = Sandbox(Limits(cpu_seconds=10, wall_seconds=200, total_seconds=400))

    def judge_row(row: dict[str, Any]) -> str | None:
        problem = problems[row["problem_id"]]
        program = problem[row["completion_field"]] if "completion_field" in row else row["completion"]
        if row["corpus"] == "humaneval":
            program, tests, entry_point = problem["prompt"] + program, problem["test"], problem["entry_point"]
        else:
            tests, entry_point = "\n".join([problem["test_setup_code"], *problem["test_list"]]), None
        answer = f"```python\n{program}\n```"
        verdict = grade_code(answer, tests=tests, entry_point=entry_point, weaker_tests=True, sandbox=box)
        expected = "right" if row["expected"] == "pass" else "wrong"
        return None if verdict.value == expected else f"{row['id']} {verdict.value}: {verdict.reason}"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        bad = [trouble for trouble in pool.map(judge_row, corpus("verifiers/code_verdicts")) if trouble is not None]
    assert bad == []

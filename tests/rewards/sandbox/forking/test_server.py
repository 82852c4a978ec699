"""Fork servers: one for each thread and use at a time, gone with their thread, replaced where they die."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox.forking.child import ForkedChild
from cogitate.rewards.sandbox.forking.selftest import STATE
from cogitate.rewards.sandbox.forking.server import ForkServer, servers
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.sandbox.process import SandboxProcess
from cogitate.rewards.sandbox.sandbox import CHILDREN, Sandbox, SandboxLevel, way_to_start

LEVEL = SandboxLevel.BUBBLEWRAP


@pytest.fixture
def box() -> Sandbox:
    if way_to_start(LEVEL) is not ForkedChild:
        pytest.skip("programs are not forked here")
    return Sandbox(level=LEVEL)


def server_of(process: SandboxProcess) -> ForkServer:
    assert isinstance(process.child, ForkedChild)
    return process.child.server


def children() -> set[int]:
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(entry))
        except OSError:
            continue
    return found


def test_programs_of_one_thread_come_from_one_server_and_two_at_a_time_from_two(box: Sandbox) -> None:
    with box.open("x = 1") as one, box.open("x = 2") as other:
        first, second = server_of(one), server_of(other)
    assert first is not second
    with box.open("x = 3") as process:
        assert server_of(process) in (first, second)


def test_a_forked_program_finds_what_one_that_is_started_alone_finds(box: Sandbox) -> None:
    """Its modules, descriptors, limits, rights, place among the processes, hash seed: all but what differs by chance."""
    program = STATE + "print(json.dumps(state))"
    forked = json.loads(box.run(program, stdin=b"null").stdout)
    with SandboxProcess(CHILDREN[LEVEL], box.limits, program, mode="script", stdin=b"null") as process:
        alone = json.loads(process.finish().stdout)
    rights = forked.pop("rights"), alone.pop("rights")
    for user, group, groups, *_ in rights:  # as root each sandbox has a user of its own
        assert user == group == [user[0]] * 3 != [0] * 3
        assert groups == []
    (*own, bounding, _, _), (*its, most, _, _) = (held[3:] for held in rights)
    assert own == its == [["CapPrm:", "0" * 16], ["CapEff:", "0" * 16]]
    assert int(bounding[1], 16) & ~int(most[1], 16) == 0
    assert rights[0][-2:] == rights[1][-2:] == [["NoNewPrivs:", "1"], ["Seccomp:", "2"]]
    assert forked == alone


PROGRAMS = (
    "def g():\n    1 / 0\ng()",
    "import sys\nsys.exit(7)",
    "raise SystemExit('why')",
    "import os\nos.abort()",
    "import atexit\natexit.register(print, 'the end')\nprint('x', end='')",
    "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()",
    "import multiprocessing\nwith multiprocessing.Pool(2) as pool:\n    print(pool.map(abs, [-1, 2]))",
    "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True).stdout)",
    "import ctypes\nprint(ctypes.CDLL(None).abs(-3), ctypes.create_string_buffer(b'x').value)",
    "import asyncio, socket\nasync def f():\n    await asyncio.sleep(0)\n    return socket.AF_INET\nprint(asyncio.run(f()))",
    "import os\nm, s = os.openpty()\nos.write(m, b'hi\\n')\nprint(os.read(s, 3), os.listdir('/dev/pts'))",
    "import os\nprint(os.fstat(0).st_mode, open('/dev/stdout', 'w').write('a'), os.path.realpath('/proc/self/exe'))",
)


def test_programs_do_what_they_do_alone(box: Sandbox) -> None:
    """Their uncaught errors and exit codes, too."""
    for program in PROGRAMS:
        forked = box.run(program)
        with SandboxProcess(CHILDREN[LEVEL], box.limits, program, mode="script") as process:
            alone = process.finish()
        assert (forked.ending, forked.exit_code, forked.stdout, forked.stderr) == (
            alone.ending,
            alone.exit_code,
            alone.stdout,
            alone.stderr,
        )


def test_the_processor_time_of_children_counts(box: Sandbox) -> None:
    program = "import os, time\nif os.fork() == 0:\n    while time.process_time() < 0.3: pass\n    os._exit(0)\nos.wait()"
    assert 0.3 <= box.run(program).cpu_seconds < 5


def test_a_server_ends_with_its_thread(box: Sandbox) -> None:
    box.run("")
    before = children()
    during: set[int] = set()

    def work() -> None:
        box.run("")
        during.update(children())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(during - before) == 1
    assert children() == before


def test_a_server_that_has_died_is_replaced(box: Sandbox) -> None:
    with box.open("x = 1") as process:
        server = server_of(process)
    os.kill(process_of(server), signal.SIGKILL)
    while server.is_up():
        pass
    with box.open("x = 1") as process:
        assert server_of(process) is not server
        assert process.receive()["value"] == {"x": "value"}


def test_a_server_that_dies_under_a_program_is_no_verdict(box: Sandbox) -> None:
    process = box.open("import time\ntime.sleep(100)", limits=Limits(wall_seconds=50))
    os.kill(process_of(server_of(process)), signal.SIGKILL)
    with pytest.raises(SandboxUnavailableError):
        process.receive()
    process.close()
    assert box.run("print(1)").stdout == b"1\n"


def process_of(server: ForkServer) -> int:
    """bubblewrap's process id."""
    peeked = server.close.peek()
    assert peeked is not None
    return int(peeked[2][1].pid)


def test_a_fork_of_our_process_starts_servers_of_its_own(box: Sandbox) -> None:
    box.run("")
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = b"failed"
        try:
            with box.open("x = 1") as process:
                started = process_of(server_of(process)) in children()
                answer = b"own" if started and process.receive()["value"] == {"x": "value"} else b"shared"
            servers.end(server_of(process))
        finally:
            os.write(theirs, answer)
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(ours, 10) == b"own"
    os.close(ours)
    os.close(theirs)
    assert box.run("print(1)").stdout == b"1\n"


def test_what_a_server_was_given_for_one_program_is_not_in_the_memory_of_the_next(box: Sandbox) -> None:
    """The self-test looks for a script's text; here a problem's arguments, a prelude and answers are looked for."""
    from cogitate.rewards.sandbox.forking.selftest import LOOK

    secrets = ["argument-of-the-problem", "prelude-of-the-problem", "answer-of-the-program"]
    with box.with_prelude("GIVEN = 'prelude-of-the-problem'").open(
        "def f(x): return ['answer-of', '-the-', 'program']"
    ) as process:
        process.receive()
        process.send({"name": "f", "call": True, "args": ["argument-of-the-problem"], "kwargs": {}})
        assert "value" in process.receive()
    shifted = [bytes(value + 1 for value in text.encode()).hex() for text in (*secrets, "split_from_init")]
    _, held = json.loads(box.run(STATE + LOOK, stdin=json.dumps(shifted).encode()).stdout)
    assert held == [False, False, False, True]

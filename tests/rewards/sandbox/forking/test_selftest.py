"""The self-test of forking notices a server that breaks a promise, and programs are then started alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cogitate.rewards.sandbox import inside, sandbox
from cogitate.rewards.sandbox.bubblewrap import BubblewrapChild
from cogitate.rewards.sandbox.forking import selftest, server
from cogitate.rewards.sandbox.forking.child import ForkedChild
from cogitate.rewards.sandbox.sandbox import Sandbox, SandboxLevel, doctor, way_to_start
from cogitate.rewards.sandbox.selftest import PromiseResult

LEVEL = SandboxLevel.BUBBLEWRAP
FAULTS = {
    "keeps the files of the last program": (b'libc.call("mount", b"tmpfs", b"/tmp"', selftest.AFRESH),
    "keeps shared memory": (b'libc.call("mount", b"tmpfs", b"/dev/shm"', selftest.AFRESH),
    "shows the server's processes": (b'libc.call("mount", b"proc"', selftest.OUT_OF_REACH),
    "leaves descriptors open": (b"posix.closerange(5, 256)", selftest.OUT_OF_REACH),
    "keeps its capabilities": (b'libc.call("capset"', selftest.OUT_OF_REACH),
    "sets no filter": (b'libc.call("prctl", SET_SECCOMP', selftest.OUT_OF_REACH),
}


@pytest.fixture(autouse=True)
def forked_here() -> Iterator[None]:
    if way_to_start(LEVEL) is not ForkedChild:
        pytest.skip("programs are not forked here")
    yield
    server.server_code.cache_clear()


def probe_with(source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, PromiseResult]:
    """What the attacks on a server with this text give; in a thread of its own, whose servers are new."""
    real = inside.source
    monkeypatch.setattr(inside, "source", lambda name: source if name == "server" else real(name))
    server.server_code.cache_clear()
    with ThreadPoolExecutor(1) as pool:
        results = pool.submit(selftest.attack_successor, ForkedChild).result()
    return {result.promise: result for result in results}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_self_test_notices_a_server_that(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step, promise = FAULTS[fault]
    text = inside.source("server")
    assert text.count(f"    {step.decode()}") == 1
    results = probe_with(text.replace(f"    {step.decode()}", f"    0 and {step.decode()}"), monkeypatch)
    assert not results[promise].held


def test_the_self_test_notices_a_server_that_stays_in_the_pid_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    text = inside.source("server").replace("NEW_NAMESPACES = 0x6C020000", "NEW_NAMESPACES = 0x4C020000")
    assert not probe_with(text, monkeypatch)[selftest.OUT_OF_REACH].held


def test_the_sound_server_holds_its_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(result.held for result in probe_with(inside.source("server"), monkeypatch).values())


def test_where_forking_breaks_a_promise_programs_start_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (PromiseResult(selftest.AFRESH, False, "not the same: files"),)
    monkeypatch.setattr(sandbox, "_probe_forking", lambda: broken)
    sandbox._probe_once.cache_clear()
    try:
        assert way_to_start(LEVEL) is BubblewrapChild
        with Sandbox(level=LEVEL).open("x = 1") as process:
            assert isinstance(process.child, BubblewrapChild)
        report = str(doctor())
        assert (
            "each program starts a Python, which is slow: each program starts as the first did: not the same: files" in report
        )
    finally:
        sandbox._probe_once.cache_clear()

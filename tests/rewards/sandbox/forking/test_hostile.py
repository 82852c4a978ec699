"""Programs that attack the fork server, or the program that it runs next: all wrong, the server unharmed, nothing left."""

import json
from typing import Any

import pytest

from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.forking.child import ForkedChild
from cogitate.rewards.sandbox.forking.selftest import STATE
from cogitate.rewards.sandbox.forking.server import ForkServer, servers
from cogitate.rewards.sandbox.limits import MIB, Limits
from cogitate.rewards.sandbox.sandbox import Sandbox, SandboxLevel, way_to_start
from cogitate.types import Verdict
from tests.rewards.sandbox.forking.attacks import ATTACKS

LIMITS = Limits(cpu_seconds=1, wall_seconds=2, memory_bytes=256 * MIB, disk_bytes=16 * MIB)
HONEST = "def f(x): return x + 1"


@pytest.fixture
def box() -> Sandbox:
    if way_to_start(SandboxLevel.BUBBLEWRAP) is not ForkedChild:
        pytest.skip("programs are not forked here")
    return Sandbox(level=SandboxLevel.BUBBLEWRAP)


def idle_servers() -> list[ForkServer]:
    return [server for waiting in servers.idle.values() for server in waiting]


def state_of_next(box: Sandbox) -> Any:
    return json.loads(box.run(STATE + "print(json.dumps(state))", stdin=b"null").stdout)


def judge(box: Sandbox, program: str, limits: Limits) -> Verdict:
    return grade_code(f"```python\n{program}\n```", entry_point="f", tests=[[[5], 6], [[7], 8]], limits=limits, sandbox=box)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_wrong_and_the_next_program_of_the_server_sees_nothing_of_it(box: Sandbox, attack: str) -> None:
    fresh, before = state_of_next(box), idle_servers()
    verdict = judge(box, ATTACKS[attack], LIMITS)
    assert verdict.value == "wrong", verdict.reason
    assert idle_servers() == before
    assert state_of_next(box) == fresh
    assert judge(box, HONEST, box.limits).value == "right"
    assert idle_servers() == before

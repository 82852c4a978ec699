"""Work is counted in executed instructions: the same every time, and not to be talked down."""

import pytest

from cogitate.rewards.code.efficiency import count_instructions
from cogitate.rewards.code.forms import ProgramTests
from cogitate.rewards.sandbox.sandbox import Sandbox, SandboxLevel, detect_level

pytestmark = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")

TESTS = [[[10], 45], [[100], 4950], [[3], 3]]
LOOP = "def f(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total"
FORMULA = "def f(n):\n    return n * (n - 1) // 2"


@pytest.fixture(scope="module")
def box() -> Sandbox:
    return Sandbox()


def count(box: Sandbox, program: str) -> int | None:
    return count_instructions(program, ProgramTests(TESTS, "function", "f", box.limits), box).instructions


def test_counts_repeat_exactly_and_grow_with_the_work(box: Sandbox) -> None:
    loop, formula = count(box, LOOP), count(box, FORMULA)
    assert loop == count(box, LOOP)
    assert loop is not None
    assert formula is not None
    assert loop > 4 * 113 > formula // 2  # the loop makes 113 turns of at least four instructions


def test_loading_the_standard_library_is_not_work(box: Sandbox) -> None:
    imports = "import dataclasses, collections, typing\nfrom collections import namedtuple\nP = namedtuple('P', 'a b')\n"
    with_imports, without = count(box, imports + FORMULA), count(box, FORMULA)
    assert with_imports is not None
    assert without is not None
    assert without < with_imports < without + 3000


def test_work_done_while_loading_counts(box: Sandbox) -> None:
    table = "TABLE = [sum(range(n)) for n in range(200)]\ndef f(n):\n    return TABLE[n]"
    plain, cheap = count(box, table), count(box, FORMULA)
    assert plain is not None
    assert cheap is not None
    assert plain > cheap + 1000


CHEATS = {
    "stops the tracing": "import sys\nsys.settrace(None)\n",
    "takes its frame's trace away": "import sys\nsys._getframe().f_trace = None\n",
    "finds a frame by inspect": "import inspect\ninspect.currentframe()\n",
    "finds a frame in a traceback": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    e.__traceback__.tb_frame\n",
    "finds a frame in a generator": "(i for i in []).gi_frame\n",
    "asks the garbage collector": "import gc\ngc.get_objects()\n",
    "goes through C": "import ctypes\n",
    "reads its memory": "open('/proc/self/mem', 'rb')\n",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_reaching_for_the_counting_gives_no_count(box: Sandbox, cheat: str) -> None:
    counted = count_instructions(CHEATS[cheat] + LOOP, ProgramTests(TESTS, "function", "f", box.limits), box)
    assert counted.instructions is None
    assert "reaches for the counting" in counted.reason


def test_work_that_would_not_be_counted_gives_no_count(box: Sandbox) -> None:
    threaded = (
        "import threading\ndef f(n):\n    out = []\n    t = threading.Thread(target=lambda: out.append(sum(range(n))))\n"
        "    t.start()\n    t.join()\n    return out[0]"
    )
    assert count(box, threaded) is None
    lazy = "import sys\ndef f(n):\n    return 0 if sys.gettrace() else sum(range(n))"
    assert count(box, lazy) is None
    forged = "import os\nm = b'{\"value\":[\"x\",1]}'\nos.write(4, len(m).to_bytes(8, 'little') + m)\n"
    assert count(box, forged + LOOP) is None


def test_scripts_are_counted_over_their_inputs(box: Sandbox) -> None:
    cases = [{"input": "3", "output": "3"}, {"input": "10", "output": "45"}]
    tests = ProgramTests(cases, "stdin", None, box.limits)
    script = "import sys\nprint(sum(range(int(input()))))\nsys.exit()"
    counted = count_instructions(script, tests, box)
    assert counted.instructions is not None
    assert counted == count_instructions(script, tests, box)
    assert count_instructions("print(1)", tests, box).instructions is None

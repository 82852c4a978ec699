"""What a grader worker remembers of programs that it has run."""

import pickle

import pytest

from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.rewards.workers import worker

FIELDS = {"mode": "function", "entry_point": "f", "tests": [[1, 2], [5, 6]]}
TOSS = "import os\ndef f(x): return x + 1 if os.urandom(1)[0] < 128 else -1"


def job(program: str, thinking: str = "", **fields: object) -> dict[str, object]:
    completion = f"<think>{thinking}</think>\n```python\n{program}\n```"
    return {"kind": "code", "completion": completion, "contract": "r1", "fields": {**FIELDS, **fields}}


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_judged", {})


@pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")
def test_a_program_is_run_once_for_a_problem_whatever_was_thought_before() -> None:
    """Run anew, a program that tosses coins would pass both tests one time in four."""
    verdicts = {worker.answer(job(TOSS, thinking=str(n)), None, Isolation())["value"] for n in range(20)}
    assert len(verdicts) == 1


@pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")
def test_another_problem_has_its_own_verdict() -> None:
    program = "def f(x): return x + 1"
    assert worker.answer(job(program), None, Isolation())["value"] == "right"
    assert worker.answer(job(program, tests=[[1, 3]]), None, Isolation())["value"] == "wrong"
    assert worker.answer(job(program), None, Isolation())["value"] == "right"


def test_what_is_no_verdict_on_the_program_is_not_remembered() -> None:
    assert worker.answer(job("def f(x): return x", tests=[{"no": "test"}]), None, Isolation())["value"] == "none"
    assert worker._judged == {}


@pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")
def test_the_programs_asked_for_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "KEPT_VERDICTS", 2)
    for text in ("a", "b", "a", "c"):
        worker.answer(job(f"def {text}(x): pass"), None, Isolation())
    fields = pickle.dumps(FIELDS)
    assert list(worker._judged) == [("def a(x): pass\n", fields), ("def c(x): pass\n", fields)]

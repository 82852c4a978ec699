"""The choice by least work among a problem's right completions; the sandbox and its counts are real."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cogitate.errors import Interrupted
from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.data.least_work import LeastWork, has_work
from cogitate.recipe.data.rejection import ENOUGH, reject
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.tasks.files.decontaminate import index_evaluation
from cogitate.types import Problem
from tests.recipe.scripted_backend import candidate

pytestmark = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")

PAIRS = {"mode": "function", "entry_point": "f", "tests": [[[10], 45], [[100], 4950]]}
SUM_BELOW = Problem("1", "code", "code", "Sum what is below n.", fields=PAIRS)
ASSERTED = Problem("2", "code", "code", "Sum it.", fields={**PAIRS, "tests": "assert f(10) == 45"})
OTHER = Problem("4", "code", "code", "Sum again.", fields=PAIRS)
LOOP = "def f(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total"
FORMULA = "def f(n):\n    return n * (n - 1) // 2"
SAME_FORMULA = "def f(m):\n    return m * (m - 1) // 2"
THREADED = "import threading\ndef f(n):\n    t = threading.Thread(target=print)\n    t.start()\n    return sum(range(n))"


def answered(program: str, problem: Problem = SUM_BELOW, thinking: str = "I add them.") -> Candidate:
    return candidate(problem, f"<think> {thinking} </think>\n```python\n{program}\n```")


def chosen_by(kept: Path, on_wait: Callable[[], None] = lambda: None) -> LeastWork:
    return LeastWork(Isolation(), kept, on_wait)


def test_the_program_of_least_work_stays_and_the_ledger_and_the_summary_say_the_work(tmp_path: Path) -> None:
    loop, formula, twin = answered(LOOP), answered(FORMULA), answered(FORMULA, thinking="There is a formula.")
    work = chosen_by(tmp_path)
    nothing = index_evaluation([])
    kept, dropped = reject([loop, formula, twin], nothing, per_problem=1, smallest_kept_share=0.5, choose=work.choose)
    assert kept == [formula]
    assert dropped == [(loop, ENOUGH), (twin, ENOUGH)]
    assert work.columns(twin) == work.columns(formula)
    more, less = work.columns(loop)["instructions"], work.columns(formula)["instructions"]
    assert more > 4 * 110 > less
    assert work.summary() == {
        "problems_with_a_choice": 1, "instructions_before": round((more + 2 * less) / 3, 1), "instructions_after": less,
        "problems_with_one_program": 0, "problems_without_work": 0, "not_counted": {},
    }  # fmt: skip


def test_of_equal_work_the_first_stays_and_each_program_is_counted_once(tmp_path: Path) -> None:
    counts = []
    group = [answered(SAME_FORMULA), answered(FORMULA), answered(SAME_FORMULA, thinking="Again."), answered(LOOP)]
    assert chosen_by(tmp_path, lambda: counts.append(1)).choose(group, 2) == group[:2]
    assert len(counts) == 3


def test_a_program_whose_work_cannot_be_counted_comes_last(tmp_path: Path) -> None:
    threaded, loop = answered(THREADED), answered(LOOP)
    assert threaded.verdict == "right"
    work = chosen_by(tmp_path)
    assert work.choose([threaded, loop], 1) == [loop]
    assert list(work.summary()["not_counted"].values()) == [1]
    assert work.columns(threaded) == {}


def test_without_work_to_count_the_most_different_stay(tmp_path: Path) -> None:
    sum_of_two = Problem("3", "arithmetic", "math", "What is 4 + 5?", "9")
    texts = [f"<think> {said} 9. </think>\nThe answer is \\boxed{{9}}." for said in ("First 4 + 5 =", "I count to")]
    work = chosen_by(tmp_path)
    for group in ([candidate(sum_of_two, text) for text in texts], [answered(LOOP, ASSERTED), answered(FORMULA, ASSERTED)]):
        assert work.choose(group, 1) == group[:1]
    assert work.summary()["problems_without_work"] == 2
    assert not has_work(sum_of_two)
    assert not has_work(ASSERTED)
    assert has_work(SUM_BELOW)


def test_where_there_is_no_choice_nothing_is_counted(tmp_path: Path) -> None:
    work = chosen_by(tmp_path, lambda: pytest.fail("a program was counted"))
    assert work.choose([answered(LOOP)], 1) == [answered(LOOP)]
    twins = [answered(LOOP), answered(LOOP, thinking="One by one.")]
    assert work.choose(twins, 1) == twins[:1]
    assert work.summary()["problems_with_one_program"] == 1
    assert "instructions_before" not in work.summary()


def test_a_killed_stage_counts_no_problem_again(tmp_path: Path) -> None:
    counts: list[int] = []
    groups = [[answered(LOOP), answered(FORMULA)], [answered(LOOP, OTHER), answered(FORMULA, OTHER)]]

    def interrupted() -> None:
        if len(counts) == 3:
            raise Interrupted("SIGTERM", 143)
        counts.append(1)

    first, second = chosen_by(tmp_path, interrupted), chosen_by(tmp_path, lambda: counts.append(1))
    with pytest.raises(Interrupted):
        [first.choose(group, 1) for group in groups]
    assert [second.choose(group, 1) for group in groups] == [group[1:] for group in groups]
    assert len(counts) == 3 + 2  # the second problem again, whole
    assert second.summary()["problems_with_a_choice"] == 2

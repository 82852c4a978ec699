"""Which cases are kept: real programs in a real sandbox."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cogitate.rewards.sandbox.isolation import Isolation, open_local_sandbox
from cogitate.tasks.written_tests.mutants import mutants_of
from cogitate.tasks.written_tests.observing import Bench, Seen, case_limits
from cogitate.tasks.written_tests.suites import (
    ALL_AGREE,
    DISAGREE,
    DUPLICATE,
    ENOUGH,
    FAIL,
    FEW_PASS,
    KEPT,
    NO_MUTANT,
    SEVEN_OF_TEN,
    SLOW,
    UNSTABLE,
    Proposal,
    Suite,
    choose,
    failures,
    make_suite,
)

LARGEST = "def largest(xs):\n    best = xs[0]\n    for x in xs:\n        if x > best:\n            best = x\n    return best"
SORTED = "def largest(xs):\n    return sorted(xs)[-1]"
BUILT_IN = "def largest(xs):\n    return max(xs)"
WRONG = "def largest(xs):\n    return xs[-1]"
PUBLIC = [(([1, 2, 3],), 3)]


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(open_local_sandbox(Isolation()), "largest", case_limits(0.5, 4))


def proposals(*lists: list[int]) -> list[Proposal]:
    return [Proposal((one,), "model") for one in lists]


def suite_of(bench: Bench, good: Sequence[str], *lists: list[int], faulty: Sequence[str] = (WRONG,), most: int = 9) -> Suite:
    return make_suite(bench, PUBLIC, proposals(*lists), good, faulty, most=most)


def test_a_program_is_observed_case_by_case_also_after_it_has_ended(bench: Bench) -> None:
    program = "import os\ndef largest(xs):\n    if not xs: os._exit(3)\n    if xs[0] < 0: raise ValueError\n    return max(xs)"
    cases = [([1, 4],), ([],), ([-1],), ([2],)]
    assert bench.observe(program, cases) == [Seen("value", 4), Seen("ended"), Seen("error"), Seen("value", 2)]
    assert [seen.how for seen in bench.observe("def largest(xs):\n    while xs[0]: pass", [([1],), ([0],)])] == [
        "slow",
        "value",
    ]
    assert [seen.how for seen in bench.observe("not python", cases)] == ["error"] * 4


def test_cases_that_a_program_was_not_run_on_are_not_held_against_it(bench: Bench) -> None:
    ends = "import os\ndef largest(xs):\n    if xs[0] < 0: os._exit(3)\n    return max(xs)"
    lists = [[-1], [-2], [-3], [-4], [5]]
    cases, wanted = [(one,) for one in lists], [-1, -2, -3, -4, 5]
    assert [seen.how for seen in bench.observe(ends, cases)] == ["ended"] * 3 + ["not run"] * 2
    assert failures(bench, ends, cases, wanted) == [True] * 3 + [False] * 2
    zero = "def largest(xs):\n    return max(xs) if xs[0] < 4 else 0"
    assert suite_of(bench, [ends], *lists, faulty=[zero]).fates == (FAIL,) * 4 + (KEPT,)


def test_a_program_that_remembers_earlier_cases_is_found(bench: Bench) -> None:
    program = "seen = []\ndef largest(xs):\n    seen.append(xs)\n    return max(xs) + len(seen)"
    assert suite_of(bench, [program], [3, 2], [1, 5]).fates == (UNSTABLE, UNSTABLE)


def test_assertions_need_answers_that_are_equal(bench: Bench) -> None:
    total, exact = "def largest(xs):\n    return sum(xs)", "import math\ndef largest(xs):\n    return math.fsum(xs)"
    pair, listed = "def largest(xs):\n    return tuple(xs)", "def largest(xs):\n    return xs"
    assertions = replace(bench, exact=True)
    numbers = [Proposal(([0.1] * 10,), "model")]
    assert make_suite(bench, PUBLIC, numbers, [total, exact], [WRONG], most=9).fates == (KEPT,)
    assert make_suite(assertions, PUBLIC, numbers, [total, exact], [WRONG], most=9).fates == (DISAGREE,)
    assert suite_of(bench, [listed, pair], [3, 2]).fates == (KEPT,)
    assert suite_of(assertions, [listed, pair], [3, 2]).fates == (DISAGREE,)


def test_a_case_is_kept_where_good_programs_agree_and_a_faulty_one_fails(bench: Bench) -> None:
    suite = suite_of(bench, [LARGEST, SORTED, BUILT_IN], [3, 2], [1, 5], [1, 2, 3], [], [3, 2])
    assert suite.fates == (KEPT, NO_MUTANT, DUPLICATE, FAIL, DUPLICATE)
    assert [(case.args, case.expected, case.rejects) for case in suite.cases] == [(([3, 2],), 3, 1)]
    assert (suite.rule, suite.accepted_by_public, suite.rejected) == (ALL_AGREE, 1, 1)
    assert sum(suite.ledger().values()) == 5


def test_disagreement_chance_and_slowness_are_reasons(bench: Bench) -> None:
    absolute = "def largest(xs):\n    return max(xs, key=abs)"
    assert suite_of(bench, [BUILT_IN, absolute], [-9, 2]).fates == (DISAGREE,)
    chance = "import os\ndef largest(xs):\n    return max(xs) if len(xs) < 3 else int.from_bytes(os.urandom(6))"
    assert suite_of(bench, [chance], [3, 2], [4, 3, 2]).fates == (KEPT, UNSTABLE)
    slow = "def largest(xs):\n    while xs[0] == 7: pass\n    return max(xs)"
    quick = Bench(bench.sandbox, "largest", case_limits(0.1, 2))
    assert suite_of(quick, [slow], [7, 2], [3, 2]).fates == (SLOW, KEPT)


def test_with_ten_good_programs_seven_must_agree_and_nine_pass_all(bench: Bench) -> None:
    one_off = "def largest(xs):\n    return max(xs) if xs[0] != 9 else 0"
    suite = suite_of(bench, [BUILT_IN] * 9 + [one_off], [9, 2], [3, 2])
    assert (suite.rule, suite.fates) == (SEVEN_OF_TEN, (KEPT, KEPT))
    assert suite_of(bench, [BUILT_IN] * 8 + [one_off] * 2, [9, 2], [3, 2]).fates == (FEW_PASS, FEW_PASS)


def test_enough_cases_are_those_that_reject_most() -> None:
    by_case = {0: {1}, 1: {1, 2}, 2: {3}, 3: set[int](), 4: {1, 2}}
    assert choose(by_case, {1, 2, 3}, 9) == [0, 1, 2, 4]
    assert choose(by_case, {1, 2, 3}, 2) == [1, 2]
    assert choose(by_case, {3}, 1) == [2]  # the public cases reject the others


def test_mutants_that_the_public_case_accepts_are_rejected(bench: Bench) -> None:
    mutants = mutants_of(LARGEST, 20)
    suite = suite_of(bench, [LARGEST, BUILT_IN], [3, 2], [2, 3, 1], [-5, -2], [7], faulty=mutants, most=2)
    assert suite.fates.count(KEPT) == 2
    assert ENOUGH in suite.fates
    assert 0 < suite.rejected <= suite.accepted_by_public < len(mutants)


def test_programs_that_read_their_input_are_compared_by_what_they_print() -> None:
    bench = Bench(open_local_sandbox(Isolation()), None, case_limits(1, 2))
    good, wrong = "a, b = map(int, input().split())\nprint(a + b)", "a, b = map(int, input().split())\nprint(a * b)"
    found = make_suite(
        bench, [(("2 2",), "4\n")], [Proposal(("1 3",), "model"), Proposal(("x",), "model")], [good], [wrong], most=3
    )
    assert found.fates == (KEPT, FAIL)
    assert found.cases[0].expected == "4\n"

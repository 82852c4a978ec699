"""Mutants of Python programs."""

from typing import Any

from cogitate.tasks.written_tests.mutants import mutants_of

PROGRAM = """
def largest(xs, k):
    if k > 0 and xs:
        return sorted(xs)[-k]
    return None
"""


def test_a_mutant_has_one_fault() -> None:
    found = mutants_of("def f():\n    return a < b", 10)
    bodies = {mutant.partition("return ")[2] for mutant in found}
    assert bodies == {"a <= b", "a >= b", "None"}


def test_an_argument_is_mistaken_for_a_positive_a_sorted_a_repetition_free_or_a_lower_case_one() -> None:
    """Whatever the argument is: what a mistake does not concern passes through as it is."""
    found = [mutant for mutant in mutants_of("def f(x):\n    return x", 10) if "isinstance" in mutant]
    given: list[tuple[Any, set[str]]] = [
        (-3, {"3", "-3"}),
        ([2, 1, 2], {"[1, 2, 2]", "[2, 1]", "[2, 1, 2]"}),
        (([3], [1], [3]), {"([1], [3], [3])", "([3], [1])", "([3], [1], [3])"}),
        ("Ab", {"'ab'", "'Ab'"}),
        ({1: 2}, {"{1: 2}"}),
        (None, {"None"}),
    ]
    for argument, answers in given:
        said = set()
        for mutant in found:
            space: dict[str, Any] = {}
            exec(mutant, space)  # written here, not by a model
            said.add(repr(space["f"](argument)))
        assert said == answers
    assert len(found) == 4


def test_mutants_differ_from_the_program_and_from_each_other_and_repeat() -> None:
    found = mutants_of(PROGRAM, 100)
    assert len(found) == len(set(found)) == 18
    assert found == mutants_of(PROGRAM, 100)
    assert found[:3] == mutants_of(PROGRAM, 3)
    assert mutants_of(PROGRAM, 100, seed=1) != found
    assert any("sorted(xs)[-(k + 1)]" not in mutant and "list(xs)[-k]" in mutant for mutant in found)
    assert any(" or xs" in mutant for mutant in found)


def test_loops_skip_filters_and_calls_vanish() -> None:
    found = mutants_of("def f(xs):\n    ys = sorted(xs)\n    return [y for y in ys if y and xs]", 100)
    for part in (
        "ys = xs\n",
        "for y in list(ys)[1:]",
        "for y in list(ys)[:-1]",
        "for y in ys]",
        "if y and y]",
        "if xs and xs]",
    ):
        assert any(part in mutant for mutant in found), part


def test_what_is_no_python_has_no_mutants() -> None:
    assert mutants_of("def f(:", 5) == []
    assert mutants_of("x\0", 5) == []

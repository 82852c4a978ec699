"""Rejection sampling's rules, each on a completion written for it."""

import pytest

from cogitate.errors import DataError
from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.data.rejection import DUPLICATE, ENOUGH, likeness, most_different, reject
from cogitate.tasks.files.decontaminate import SAME_TEMPLATE, EvaluationIndex, index_evaluation
from cogitate.types import PLACE, Problem
from tests.recipe.scripted_backend import candidate

SUM = Problem("1", "arithmetic", "math", "What is 4 + 5?", "9")
GOOD = "<think> First 4 + 5 = 9. </think>\nThe answer is \\boxed{9}."
NOTHING = index_evaluation([])


def rejected(
    *candidates: Candidate, per_problem: int = 9, evaluation: EvaluationIndex = NOTHING, smallest: float = 0.5
) -> tuple[list[Candidate], dict[str, str]]:
    """What is kept, and what is dropped: its rules, by the candidates' ids."""
    kept, dropped = reject(candidates, evaluation, per_problem=per_problem, smallest_kept_share=smallest, choose=most_different)
    assert sorted(c.id for c in kept) + sorted(c.id for c, _ in dropped) != []
    assert {c.id for c in kept} | {c.id for c, _ in dropped} == {c.id for c in candidates}
    assert len(kept) + len(dropped) == len(candidates)
    return kept, {c.id: rule for c, rule in dropped}


def test_a_right_and_readable_completion_is_kept() -> None:
    good = candidate(SUM, GOOD)
    assert rejected(good) == ([good], {})


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("<think> 4 + 5 = 8. </think>\nThe answer is \\boxed{8}.", "wrong answer"),
        ("The answer is \\boxed{9}.", "not thinking and summary"),
        ("<think> </think> The answer is \\boxed{9}.", "not thinking and summary"),
        ("<think> 先算四加五 then we get 9. </think>\nThe answer is \\boxed{9}.", "mixed language"),
        (f"<think> {'so we go on and add ' * 2}{' '.join(f'word{chr(97 + n % 26)}{chr(97 + n // 26)}' for n in range(210))} "
         "</think>\nThe answer is \\boxed{9}.", "overlong paragraph"),
        ("<think> ```python\nprint(9)\n``` </think>\nThe answer is \\boxed{9}.", "code block"),
        (f"<think> {'we add four and five again. ' * 12}</think>\nThe answer is \\boxed{{9}}.", "repetition"),
        ("<think> We add \ufffd them. </think>\nThe answer is \\boxed{9}.", "unreadable characters"),
    ],
)  # fmt: skip
def test_each_rule_drops_what_breaks_it(text: str, rule: str) -> None:
    good, bad = candidate(SUM, GOOD), candidate(SUM, text)
    assert rejected(good, bad) == ([good], {bad.id: rule})


def test_a_truncated_completion_is_dropped_even_if_right() -> None:
    good, cut = candidate(SUM, GOOD), candidate(SUM, GOOD + " ", finish_reason="length", number=1)
    assert rejected(good, cut) == ([good], {cut.id: "truncated"})


def test_no_verdict_is_no_right_answer() -> None:
    good, unknown = candidate(SUM, GOOD), candidate(Problem("2", "general", "general", "Hello"), GOOD)
    assert rejected(good, unknown) == ([good], {unknown.id: "no verdict"})


def test_the_same_said_twice_is_kept_once_also_for_a_problem_written_differently() -> None:
    first, second = candidate(SUM, GOOD), candidate(SUM, GOOD.replace("\n", "  "), number=1)
    other = candidate(Problem("7", "mine", "math", " what is 4 + 5?", "9"), GOOD)
    assert rejected(first, second, other) == ([first], {second.id: DUPLICATE, other.id: DUPLICATE})


def test_evaluation_problems_with_other_numbers_are_dropped_with_their_rule() -> None:
    evaluation = index_evaluation([Problem("e", "real", "math", "Ann has 3 pens?", "3", fields={PLACE: "x"})])
    copy = candidate(Problem("8", "mine", "math", "Ann has 9 pens?", "9", fields={PLACE: "mine.jsonl, line 1"}), GOOD)
    good = candidate(SUM, GOOD)
    assert rejected(good, copy, evaluation=evaluation) == ([good], {copy.id: SAME_TEMPLATE})
    with pytest.raises(DataError, match="leaves 1 of 2 rows"):
        reject([good, copy], evaluation, per_problem=1, smallest_kept_share=0.6, choose=most_different)


def test_of_a_problem_the_most_different_stay() -> None:
    texts = [
        "<think> First 4 + 5 = 9. </think>\nThe answer is \\boxed{9}.",
        "<think> First 4 + 5 = 9. </think>\nThe answer is \\boxed{9}. Yes.",
        "<think> Five and four more make nine, I count on my fingers. </think>\nIt must be \\boxed{9}.",
    ]
    first, like_it, unlike_it = (candidate(SUM, text) for text in texts)
    assert most_different([first, like_it, unlike_it], 2) == [first, unlike_it]
    assert most_different([first, like_it, unlike_it], 1) == [first]
    assert rejected(first, like_it, unlike_it, per_problem=2) == ([first, unlike_it], {like_it.id: ENOUGH})


def test_likeness_is_the_share_of_common_pieces() -> None:
    assert likeness("a b c d", "a b c d") == 1.0
    assert likeness("a b c d", "a b c e") == 1 / 3  # one of three pieces
    assert likeness("a b c", "d e f") == 0.0

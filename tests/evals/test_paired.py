import pytest

from cogitate.evals.metrics import paired_difference
from cogitate.evals.paired import paired_by_task


def test_differences_are_of_the_problems_that_both_have_by_task_and_over_all() -> None:
    first = {("a", "1", "x"): [1.0, 1.0], ("a", "2", "y"): [1.0, 0.0], ("b", "1", "z"): [1.0], ("b", "2", "w"): []}
    second = {("a", "1", "x"): [0.0, 1.0], ("a", "2", "other"): [1.0], ("b", "1", "z"): [0.0], ("b", "2", "w"): [1.0]}
    found = paired_by_task(first, second)
    assert list(found) == ["a", "b", "all"]
    assert (found["a"].problems, found["a"].estimate.value) == (1, 0.5)  # problem 2 is another question
    assert (found["b"].problems, found["b"].estimate.value) == (1, 1.0)  # problem 2 has no verdict on one side
    assert found["all"].problems == 2
    assert found["all"].estimate == paired_difference([[1.0, 1.0], [1.0]], [[0.0, 1.0], [0.0]])
    assert found["all"].estimate.value == pytest.approx(0.75)


def test_nothing_in_common_is_no_difference() -> None:
    assert paired_by_task({("a", "1", "x"): [1.0]}, {("a", "2", "y"): [1.0]}) == {}

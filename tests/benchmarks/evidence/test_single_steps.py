"""Single steps of a base model that searches, judged one by one."""

from benchmarks.evidence.single_steps import opened, summary
from cogitate.tasks.mixture import PUZZLES


def test_problems_are_of_every_family_and_always_the_same() -> None:
    asked = opened(2)
    assert asked == opened(2)
    assert len({problem.task for problem, _ in asked}) == len(PUZZLES)
    assert all(bool(opening) == (problem.task != "long_sums") for problem, opening in asked)
    assert all(problem.fields["level"] in (1, 2, 3) for problem, _ in asked)


def test_right_and_wrong_statements_are_counted_by_kind_and_by_level() -> None:
    problem = next(problem for problem, _ in opened(1) if problem.task == "long_sums")
    page = summary([(problem, "12 + 5 = 17. 17 + 4 = 22."), (problem, "3 * 4 = 12. 12 + 2 = 14.")])
    assert "| long_sums | equation | 75.0 [" in page
    assert f"| long_sums | level {problem.fields['level']} | 75.0 [" in page
    assert "| 4 |" in page

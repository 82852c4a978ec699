from collections import Counter

import pytest

from cogitate.train.pools import Pool, draw, draw_by_need, easiest, epoch_order
from cogitate.types import Problem


def problems(count: int) -> list[Problem]:
    return [Problem(str(i), "t", "exact", f"{i}?", gold=i) for i in range(count)]


def test_each_epoch_asks_every_problem_once_in_an_order_of_its_own() -> None:
    orders = [epoch_order(1, "r1_zero", epoch, 50) for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] == epoch_order(1, "r1_zero", 0, 50)
    assert orders[0] != epoch_order(2, "r1_zero", 0, 50)
    assert orders[0] != epoch_order(1, "r1_zero/general", 0, 50)


def test_draws_of_any_size_go_through_the_same_sequence() -> None:
    pool = problems(7)
    whole = draw(pool, 0, 20, seed=3, name="r1")
    pieces = [*draw(pool, 0, 6, seed=3, name="r1"), *draw(pool, 6, 1, seed=3, name="r1"), *draw(pool, 7, 13, seed=3, name="r1")]
    assert pieces == whole
    assert sorted(problem.id for problem, _ in whole[:7]) == sorted(problem.id for problem, _ in whole[7:14])
    assert [seeds for _, seeds in whole] == [(3, "r1", number) for number in range(20)]


def test_a_pool_has_no_share_before_its_step() -> None:
    pool = Pool(problems(3), from_step=4, prompts_per_step=2)
    assert [pool.share(step) for step in (0, 3, 4, 9)] == [0, 0, 2, 2]


def test_the_easiest_have_few_and_short_numbers_and_few_words_and_every_task_has_its_share() -> None:
    questions = ["3 and 4 and 5?", "30 and 4?", "3 and 4 please?", "3 and 4?", "1.250 and 2?", "none?"]
    pool = [Problem(f"{task} {i}", task, "math", q) for task in ("a", "b") for i, q in enumerate(questions)]
    assert [problem.id for problem in easiest(pool, 1 / 3)] == ["a 5", "a 3", "b 5", "b 3"]
    assert [problem.id for problem in easiest(pool, 5 / 6)[:5]] == ["a 5", "a 3", "a 2", "a 1", "a 4"]
    assert [problem.id for problem in easiest(pool, 0.01)] == ["a 5", "b 5"]
    assert easiest(pool, 1.0) == pool


def test_prompts_that_are_seldom_solved_are_drawn_more_often() -> None:
    problems = [Problem(str(number), "t", "exact", "?") for number in range(4)]
    success = {"t/0": (10, 10), "t/1": (9, 10), "t/2": (0, 10)}  # the last one has not been asked
    times = Counter(
        problem.id for cursor in range(2000) for problem, _ in draw_by_need(problems, success, cursor, 1, seed=0, name="rl")
    )
    assert times["0"] == 0
    assert times["1"] / 2000 == pytest.approx(0.1 / 2.1, abs=0.02)
    assert times["2"] / 2000 == pytest.approx(1 / 2.1, abs=0.04)
    drawn = draw_by_need(problems, success, 5, 4, seed=0, name="rl")
    assert sorted(problem.id for problem, _ in drawn) == ["0", "1", "2", "3"]
    assert drawn[-1][0].id == "0"
    assert [seeds for _, seeds in drawn] == [(0, "rl", number) for number in range(5, 9)]
    assert drawn == draw_by_need(problems, success, 5, 4, seed=0, name="rl")


def test_with_pass_rates_the_easiest_are_solved_most_often_and_those_without_a_rate_come_last() -> None:
    pool = [Problem(f"{n}", "a", "math", f"What is {n} + 1?") for n in range(1, 5)]
    rates = {"a/1": 0.0, "a/2": 0.75, "a/3": 1.0}
    assert [problem.id for problem in easiest(pool, 3 / 4, rates)] == ["3", "2", "1"]
    assert [problem.id for problem in easiest(pool, 1 / 4, {"a/4": 0.5, "a/3": 0.5})] == ["3"]  # then by the question

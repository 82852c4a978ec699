"""Tests that judge by time fail for slow code and for nothing else."""

import gc
import time

import pytest

from tests.processor_time import cheapest, grows_in_proportion


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_one_go_that_something_falls_into_does_not_count() -> None:
    goes: list[int] = []

    def call(go: int) -> None:
        goes.append(go)
        busy(0.05 if go == 0 else 0)

    assert cheapest(call, enough=0.02) < 0.02
    assert goes == [0, 1]


def test_code_that_is_slow_is_slow_in_every_go() -> None:
    assert cheapest(lambda go: busy(0.03), enough=0.02) >= 0.03


def test_a_cache_that_answers_the_same_question_does_not_hide_a_slow_answer() -> None:
    known: set[int] = set()

    def call(question: int) -> None:
        if question not in known:
            known.add(question)
            busy(0.03)

    assert cheapest(call, enough=0.02) >= 0.03


@pytest.mark.parametrize(("power", "proportional"), [(1, True), (2, False), (3, False)])
def test_growth_is_told_from_proportion(power: int, proportional: bool) -> None:
    assert grows_in_proportion(lambda size, go: busy(0.01 * size**power), 1, slack=0.005) is proportional


def test_a_go_of_the_larger_size_that_something_falls_into_does_not_count() -> None:
    assert grows_in_proportion(lambda size, go: busy(0.01 * size + (0.1 if (size, go) == (2, 0) else 0)), 1, slack=0.005)


def test_a_collection_of_garbage_does_not_fall_into_a_go() -> None:
    enabled: list[bool] = []
    cheapest(lambda go: enabled.append(gc.isenabled()), enough=1.0)
    assert enabled == [False]
    assert gc.isenabled()

"""Learning rates worked by hand."""

import math

import pytest

from cogitate.train.optimisers.schedule import warmup_constant, warmup_cosine, warmup_stable_decay


def test_warm_up_is_linear_and_its_last_step_has_the_peak() -> None:
    rates = [warmup_cosine(step, steps=20, peak=8.0, final=1.0, warmup_steps=4) for step in range(5)]
    assert rates == pytest.approx([2.0, 4.0, 6.0, 8.0, 8.0])


def test_the_cosine_is_half_way_at_half_time_and_final_at_the_last_step() -> None:
    # after 1 step of warm-up: steps 1..9, of which 5 is the middle
    def rate(step: int) -> float:
        return warmup_cosine(step, steps=10, peak=3.0, final=1.0, warmup_steps=1)

    assert rate(1) == 3.0
    assert rate(5) == pytest.approx(2.0)
    assert rate(3) == pytest.approx(1.0 + 1.0 + math.cos(math.pi / 4))
    assert rate(9) == pytest.approx(1.0)
    assert rate(50) == pytest.approx(1.0)  # never beyond


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    assert warmup_cosine(0, steps=5, peak=2.0, final=0.0, warmup_steps=0) == 2.0
    assert warmup_constant(0, peak=2.0, warmup_steps=0) == 2.0


def test_a_single_step_and_a_warm_up_as_long_as_the_run_are_defined() -> None:
    assert warmup_cosine(0, steps=1, peak=2.0, final=1.0, warmup_steps=0) == 2.0
    assert [warmup_cosine(s, steps=3, peak=3.0, final=0.0, warmup_steps=3) for s in range(3)] == pytest.approx([1.0, 2.0, 3.0])


def test_the_constant_schedule_stays_at_its_peak() -> None:
    assert [warmup_constant(s, peak=4.0, warmup_steps=4) for s in range(6)] == pytest.approx([1.0, 2.0, 3.0, 4.0, 4.0, 4.0])


def test_a_cooldown_falls_by_the_square_root_of_its_way_and_leaves_the_steps_before_it_alone() -> None:
    def rates(steps: int, stable: int) -> list[float]:
        return [
            warmup_stable_decay(step, steps=steps, stable=stable, peak=4.0, final=0.0, warmup_steps=2) for step in range(steps)
        ]

    assert rates(8, 4) == pytest.approx([2.0, 4.0, 4.0, 4.0, 2.0, 4 - 4 * math.sqrt(0.5), 4 - 4 * math.sqrt(0.75), 0.0])
    assert rates(12, 8)[:8] == [2.0, *[4.0] * 7]

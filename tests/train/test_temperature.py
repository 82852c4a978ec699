"""A temperature that changes over the steps of RL: on a line, in the log, and the same for what samples and what learns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from cogitate.config import RLConfig
from tests.train.rl_loop import Loop, check_a_kill_changes_nothing, digits_wanted


def test_the_temperature_goes_on_a_line_and_stays_where_it_ends(loop: Callable[..., Loop]) -> None:
    run = loop(steps=5, temperature=1.0, final_temperature=0.7, temperature_steps=3)
    run.train()
    assert run.column("temperature") == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.7])


def test_the_learner_takes_log_probabilities_at_the_temperature_of_the_sampler(loop: Callable[..., Loop]) -> None:
    run = loop(steps=4, temperature=0.5, final_temperature=2.0, temperature_steps=3)
    run.train()
    gaps = [row["logprob_gap_max"] for row in run.rows() if "loss" in row]
    assert len(gaps) > 1
    assert max(gaps) < 1e-3  # at another temperature they differ by tenths of a nat


def test_a_step_without_a_signal_moves_the_temperature_too(loop: Callable[..., Loop]) -> None:
    settings = {"temperature": 1.0, "final_temperature": 2.0, "temperature_steps": 2}
    run = loop(steps=3, problems=digits_wanted("seven"), **settings)
    run.train()
    assert run.column("temperature") == pytest.approx([1.0, 1.5, 2.0])


def test_killed_and_resumed_a_run_goes_on_at_the_temperature_of_its_step(loop: Callable[..., Loop]) -> None:
    settings = {
        "steps": 4, "temperature": 1.0, "final_temperature": 0.7, "temperature_steps": 3, "checkpoint_every": 1,
        "transcripts_every": 100,
    }  # fmt: skip
    check_a_kill_changes_nothing(2, loop("calm", **settings), loop("killed", **settings))


def test_one_temperature_is_neither_logged_nor_part_of_the_identity(loop: Callable[..., Loop]) -> None:
    run = loop(steps=1)
    run.train()
    assert "temperature" not in run.rows()[0]
    assert not {"final_temperature", "temperature_steps"} & RLConfig().identity().keys()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"final_temperature": 1.2}, "make a schedule together: set both"),
        ({"temperature_steps": 9}, "make a schedule together: set both"),
        ({"temperature_steps": 9, "final_temperature": 1.0}, "has no effect where it is the temperature"),
        ({"temperature_steps": 9, "final_temperature": 1e-6}, "1e-05 is the least temperature of training"),
        (
            {"temperature_steps": 9, "final_temperature": 1.2, "partial_rollouts": 8},
            "with partial_rollouts completions of several",
        ),
        ({"temperature_steps": 9, "final_temperature": 1.2, "overlap": True}, "with overlap completions of several steps"),
    ],
)
def test_what_a_schedule_cannot_be_is_refused(settings: dict[str, object], line: str) -> None:
    with pytest.raises(ValidationError, match=line):
        RLConfig.model_validate(settings)

"""A run of RL that is killed or interrupted goes on to the same bits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cogitate import runtime
from cogitate.errors import Interrupted
from cogitate.runtime import request_interruption
from cogitate.train.checkpoint import latest_checkpoint
from tests.train.rl_loop import Loop, digits_wanted, equal_weights, raise_at


@pytest.mark.parametrize("killed_at", [0, 2, 5])
def test_a_killed_run_goes_on_to_the_same_weights_rows_and_transcripts(loop: Callable[..., Loop], killed_at: int) -> None:
    whole = loop("whole")
    whole.train()
    killed = loop("killed", on_row=raise_at(killed_at))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = loop("killed")
    resumed.train()
    assert resumed.began == [(6, killed_at // 2 * 2)]
    equal_weights(whole, resumed)
    assert resumed.rows() == whole.rows()
    assert resumed.transcripts() == whole.transcripts()


def test_a_signal_saves_the_steps_done_and_the_run_goes_on_to_the_same_bits(
    loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_interrupted_by", None)
    settings = {"minibatches": 2, "reference_refresh_steps": 3, "dynamic_sampling": True}
    whole = loop("whole", **settings)
    whole.train()
    stopped = loop("stopped", on_row=lambda row: request_interruption(2) if row["step"] == 2 else None, **settings)
    with pytest.raises(Interrupted, match="stopped at step 3 of r1_zero; the same command goes on from there") as error:
        stopped.train()
    assert error.value.exit_code == 130
    checkpoint = latest_checkpoint(stopped.folder / "checkpoint")
    assert checkpoint is not None
    assert checkpoint.name == "step-000003"
    monkeypatch.setattr(runtime, "_interrupted_by", None)
    resumed = loop("stopped", **settings)
    resumed.train()
    assert resumed.began == [(6, 3)]
    equal_weights(whole, resumed)
    assert resumed.rows() == whole.rows()


def test_dead_steps_are_counted_across_an_interruption(loop: Callable[..., Loop]) -> None:
    killed = loop("killed", problems=digits_wanted("seven"), steps=10, dead_steps_limit=5, on_row=raise_at(3))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = loop("killed", problems=digits_wanted("seven"), steps=10, dead_steps_limit=5)
    assert resumed.train()["stopped_early"].startswith("5 steps in a row without any learning signal")
    assert len(resumed.rows()) == 5

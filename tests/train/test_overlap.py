"""Sampling beside learning: what samples a step's tokens, bits after a kill, and who waits for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cogitate.engine.generator import Engine
from cogitate.train.rl_metrics import waiting_times
from tests.train import rl_loop
from tests.train.rl_loop import Loop, equal_weights, raise_at


def test_each_step_learns_from_weights_one_update_older(loop: Callable[..., Loop]) -> None:
    whole = loop("whole", overlap=True)
    whole.train()
    updates = [row["learning_rate"] > 0 if "learning_rate" in row else False for row in whole.rows()]
    assert all(updates), "a dead step would sample the next one afresh"
    assert whole.column("staleness") == [0, 1, 1, 1, 1, 1]
    assert whole.column("off_policy_share") == [0, 1, 1, 1, 1, 1]
    assert max(whole.column("logprob_gap")) > 0


@pytest.mark.parametrize("in_parts", [{}, {"partial_rollouts": 2, "max_new_tokens": 6, "staleness_limit": 1}])
def test_a_run_that_is_killed_goes_on_to_the_same_bits(loop: Callable[..., Loop], in_parts: dict[str, int]) -> None:
    settings = {"overlap": True, **in_parts}
    whole = loop("whole", **settings)
    whole.train()
    killed = loop("killed", on_row=raise_at(3), **settings)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = loop("killed", **settings)
    resumed.train()
    equal_weights(whole, resumed)
    assert resumed.rows() == whole.rows()


def test_a_generator_elsewhere_samples_the_same_while_the_policy_learns(
    loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = list[float]()

    class Elsewhere(Engine):
        """Keeps its weights and what is pending while the policy learns."""

        @contextmanager
        def beside(self) -> Iterator[list[float]]:
            assert self.pending()
            beside.append(self.pending())
            yield []

    here = loop("here", overlap=True)
    here.train()
    monkeypatch.setattr(rl_loop, "Engine", Elsewhere)
    elsewhere = loop("elsewhere", overlap=True)
    elsewhere.train()
    assert len(beside) == 5
    equal_weights(here, elsewhere)
    assert elsewhere.rows() == here.rows()


def test_waiting_is_told_from_who_was_there_last() -> None:
    times = [float(second) for second in range(1, 21)]
    found = {"seconds.learner_waits": 5.0, "seconds.generators_wait": 0.0, "seconds.straggler_tail": 2.0}
    assert waiting_times(times, 15.0) == found
    assert waiting_times(times, 26.0)["seconds.generators_wait"] == 6.0
    assert waiting_times([], 1.0) == {}

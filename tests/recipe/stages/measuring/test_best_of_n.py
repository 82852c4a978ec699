"""What an ensemble's members, and the ways to combine them, would choose among draws."""

from __future__ import annotations

from math import inf
from typing import cast

import pytest

from cogitate.backend import Scorer
from cogitate.recipe.rl.general_rewards import Said
from cogitate.recipe.stages.measuring.best_of_n import choosers
from cogitate.rewards.ensemble import Combination, Ensemble


def ensemble_of(members: int, combination: Combination) -> Ensemble:
    return Ensemble([cast(Scorer, None)] * members, combination)  # what it has said is given below


def test_draws_are_chosen_by_each_member_and_by_every_way_to_combine_them() -> None:
    said = [Said(1.0, (1.0, 1.0)), Said(2.0, (0.0, 4.0)), Said()]  # a draw that all like, one that is overrated, no answer
    found = choosers(ensemble_of(2, Combination("mean", 0.5)), said)
    assert found == {
        "mean": [1.0, 2.0, -inf],
        "worst": [1.0, 0.0, -inf],
        "uncertainty": [1.0, pytest.approx(2.0 - 0.5 * 4.0), -inf],
        "member 1": [1.0, 0.0, -inf],
        "member 2": [1.0, 4.0, -inf],
    }


def test_one_model_alone_has_nobody_beside_it() -> None:
    assert choosers(ensemble_of(1, Combination()), [Said(1.0, (1.0,))]) == {}

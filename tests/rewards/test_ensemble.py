"""Several reward models read as one: what they say together, and their file."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from cogitate.backend import Scorer
from cogitate.config import RewardModelsConfig
from cogitate.errors import CheckpointError
from cogitate.rewards.ensemble import (
    FILE,
    SCORES,
    Combination,
    Ensemble,
    combined,
    member_directory,
    read_ensemble,
    save_ensemble,
)

COMBINATION = Combination("worst", 0.5, mean=-0.25, deviation=2.0)


class Saying:
    """A scorer that says the same numbers, whatever it is shown."""

    def __init__(self, *said: float):
        self.said = list(said)

    def rewards(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[float]:
        return self.said


def saved(directory: Path, members: int = 3) -> Path:
    for number in range(members):
        member = member_directory(directory, number)
        member.mkdir(parents=True, exist_ok=True)
        (member / "config.json").write_text("{}")
    save_ensemble(directory, members, COMBINATION)
    return directory


def test_what_members_say_together_by_hand() -> None:
    said = (1.0, 1.25, 3.0)  # mean 1.75; squared distances 0.5625, 0.25, 1.5625: their mean is 2.375 / 3
    assert combined(said, "mean") == 1.75
    assert combined(said, "worst") == 1.0
    assert combined(said, "uncertainty", 0.5) == pytest.approx(1.75 - 0.5 * 2.375 / 3)
    assert combined(said, "uncertainty", 0.0) == 1.75
    assert combined((2.0, 2.0), "uncertainty", 9.0) == 2.0  # who agrees loses nothing


def test_a_text_that_one_member_overrates_falls_behind_one_that_all_like() -> None:
    overrated, liked = (0.0, 0.0, 3.9), (1.2, 1.2, 1.2)
    assert combined(overrated, "mean") > combined(liked, "mean")
    assert combined(overrated, "worst") < combined(liked, "worst")
    assert combined(overrated, "uncertainty", 0.5) < combined(liked, "uncertainty", 0.5)


def test_combined_scores_are_shifted_and_scaled() -> None:
    members = [cast(Scorer, Saying(1.75, -4.25)), cast(Scorer, Saying(2.0, 0.0))]
    ensemble = Ensemble(members, COMBINATION)
    assert ensemble.rewards([[1]] * 2, [[2]] * 2) == [(1.75 + 0.25) / 2, (-4.25 + 0.25) / 2]
    assert ensemble.rewards_of_members([[1]] * 2, [[2]] * 2) == [(1.75, 2.0), (-4.25, 0.0)]


def test_one_model_alone_says_the_same_bits() -> None:
    odd = [0.1, -1 / 3, 1e-30, 12345.678]
    assert Ensemble([cast(Scorer, Saying(*odd))], Combination()).rewards([[1]] * 4, [[2]] * 4) == odd


def test_members_are_found_where_they_were_saved(tmp_path: Path) -> None:
    assert read_ensemble(tmp_path) == ([tmp_path], Combination())  # one model alone has no file
    assert read_ensemble(saved(tmp_path)) == ([tmp_path, tmp_path / "members" / "2", tmp_path / "members" / "3"], COMBINATION)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score": "median"}, "a score that this version does not know"),
        ({"members": 1}, "holds a number of members or a score"),
        ({"deviation": 0}, "holds a number of members or a score"),
        ({"mean": None}, "cannot be read"),
        ({"members": 4}, r"counts 4 members, but .*members/4 is no model; make the stage again"),
    ],
)
def test_a_damaged_file_and_a_missing_member_are_named(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    path = saved(tmp_path) / FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(CheckpointError, match=message) as error:
        read_ensemble(tmp_path)
    assert str(error.value).startswith(str(path))
    path.write_text("{")
    with pytest.raises(CheckpointError, match=r"ensemble\.json: cannot be read"):
        read_ensemble(tmp_path)


def test_the_settings_offer_every_score() -> None:
    assert typing.get_args(typing.get_type_hints(RewardModelsConfig)["score"]) == SCORES

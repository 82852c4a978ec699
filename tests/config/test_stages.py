"""Settings of stages that need each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cogitate.config import PretrainConfig


def test_who_has_solved_puzzles_is_refused_where_there_are_none() -> None:
    for setting in ({"guessers": 0.5}, {"going_back": False}):
        with pytest.raises(ValidationError, match="puzzles = 0: nobody has; set puzzles as well"):
            PretrainConfig(**setting)
        assert PretrainConfig(puzzles=0.5, **setting).puzzles == 0.5
    with pytest.raises(ValidationError, match="less than or equal to"):
        PretrainConfig(puzzles=0.5, guessers=0.8)


def test_puzzles_are_part_of_an_identity_only_where_they_are_read() -> None:
    assert not {"puzzles", "guessers", "going_back"} & PretrainConfig().identity().keys()
    assert PretrainConfig(puzzles=0.5).identity()["puzzles"] == 0.5
    assert PretrainConfig(puzzles=0.5, going_back=False).identity()["going_back"] is False

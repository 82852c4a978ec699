"""Runs of the RL loop that share one pool of grader workers in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import RLConfig
from cogitate.rewards.workers.pool import GraderPool
from tests.train.rl_loop import CONFIG, Loop


@pytest.fixture(scope="module")
def grader() -> Iterator[GraderPool]:
    with GraderPool(workers=1, seconds_limit=20.0) as pool:
        yield pool


@pytest.fixture
def loop(tmp_path: Path, digit_model: Path, grader: GraderPool) -> Callable[..., Loop]:
    def make(name: str = "run", **changes: Any) -> Loop:
        settings = {key: changes.pop(key) for key in list(changes) if key in RLConfig.model_fields}
        return Loop(tmp_path / name, digit_model, grader, config=CONFIG.model_copy(update=settings), **changes)

    return make

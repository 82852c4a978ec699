"""Every experiment that ships can be run: a dry run of its first seed refuses what a run would refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.apps.experiment.definition import read_experiment
from cogitate.apps.experiment.dry_run import dry_run

SHIPPED = sorted((Path(__file__).parents[3] / "experiments").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.stem))
def test_a_shipped_experiment_can_be_planned(path: Path, tmp_path: Path) -> None:
    experiment = read_experiment(path)
    text = dry_run(experiment, tmp_path / "out", experiment.config.seeds[:1])
    assert f"{len(experiment.config.variants)} runs" in text
    assert "will not be enough" not in text
    assert "which is not predicted" not in text
    assert not (tmp_path / "out").exists()

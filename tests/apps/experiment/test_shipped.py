"""Every experiment that ships can be run: a dry run of its first seed refuses what a run would refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cogitate.apps.experiment.definition import read_experiment
from cogitate.apps.experiment.dry_run import dry_run
from cogitate.apps.experiment.short import in_short
from cogitate.config import BranchesConfig, DrawsConfig, ReasoningRLConfig, Section
from tests.apps.experiment.small import write_experiment

SHIPPED = sorted((Path(__file__).parents[3] / "experiments").glob("*.toml"))
OF_OTHERS = "smollm2"  # in the name of an experiment whose model and data are not ours to ship


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.stem))
def test_a_shipped_experiment_can_be_planned(path: Path, tmp_path: Path) -> None:
    if OF_OTHERS in path.stem and not (os.environ.get("COGITATE_DATA") and Path("models/smollm2").is_dir()):
        pytest.skip("needs the model and the data of the recipe smollm2")
    experiment = read_experiment(path)
    text = dry_run(experiment, tmp_path / "out", experiment.config.seeds[:1])
    assert f"{len(experiment.config.variants)} runs" in text
    assert "will not be enough" not in text
    assert "which is not predicted" not in text
    assert not (tmp_path / "out").exists()


def test_a_calibration_of_another_version_stops_no_dry_run(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "cogitate").mkdir()
    (tmp_path / "cogitate" / "plan.json").write_text('{"names": []}', encoding="utf-8")
    experiment = read_experiment(write_experiment(tmp_path, base))
    assert "The speed of this computer is a guess" in dry_run(experiment, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "variant", "section", "kind", "key", "value"),
    [
        ("scaling", "m_3", "base", BranchesConfig, "lengths", (3, 6)),
        ("overoptimisation", "middle", "draws", DrawsConfig, "samples", 8),
        ("kimi_k15_ablations", "whole", "k15", ReasoningRLConfig, "partial_rollouts", 16),
    ],
)
def test_the_short_form_has_every_variant_and_leaves_what_ships_alone(
    name: str, variant: str, section: str, kind: type[Section], key: str, value: object
) -> None:
    experiment = read_experiment(next(path for path in SHIPPED if path.stem == name))
    short = in_short(experiment)
    assert short.runs.keys() == experiment.runs.keys()
    assert short.name == f"{name}_short"
    assert getattr(short.runs[variant, 0].section(section, kind), key) == value
    ships = name != "scaling"  # its base is made here
    config, whole = short.runs[variant, 0], experiment.runs[variant, 0]
    assert (config.tokenizer == whole.tokenizer) == ships

"""plan.json: written, read, compared with manifests."""

import json
from pathlib import Path

import pytest

from cogitate.costs.factors import Estimate
from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.planned import PlannedStage, compared, read_planned, seconds_to_come, write_planned

ONE = PlannedStage(Estimate(100.0, 80.0, 125.0), Estimate(1e9, 9e8, 1.1e9))
THREE = {"base": ONE, "r1_zero": PlannedStage(Estimate(30.0, 20.0, 45.0), ONE.memory), "evaluate.r1_zero": ONE}


def finish(out: Path, stage: str, **facts: object) -> None:
    (out / stage).mkdir()
    (out / stage / "manifest.json").write_text(json.dumps({"stage": stage, "seconds": 90.0, **facts}), encoding="utf-8")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_planned(tmp_path) == {}
    write_planned(tmp_path, "this computer", THREE)
    assert read_planned(tmp_path) == THREE
    assert list(read_planned(tmp_path)) == list(THREE)


def test_finished_stages_stand_beside_their_plan_with_their_peak_where_it_is_known(tmp_path: Path) -> None:
    write_planned(tmp_path, "this computer", THREE)
    finish(tmp_path, "base", peak_memory_bytes=2_000_000_000)
    finish(tmp_path, "evaluate.r1_zero")
    finish(tmp_path, "of no plan")
    assert [(row.stage, row.seconds, row.peak, row.plan) for row in compared(tmp_path)] == [
        ("base", 90.0, 2_000_000_000, ONE), ("evaluate.r1_zero", 90.0, None, ONE),
    ]  # fmt: skip


def test_what_other_programs_took_of_the_processors_is_read_as_processors(tmp_path: Path) -> None:
    write_planned(tmp_path, "this computer", THREE)
    finish(tmp_path, "base", processor_seconds={"own": 150.0, "others": 36.0})  # in 90 seconds
    finish(tmp_path, "r1_zero", processor_seconds={"own": 150.0})
    assert [row.others for row in compared(tmp_path)] == [pytest.approx(0.4), None]


def test_the_time_to_come_leaves_out_what_is_finished_or_unplanned(tmp_path: Path) -> None:
    stages = ["base", "own", "r1_zero", "evaluate.r1_zero"]
    assert seconds_to_come(tmp_path, stages, "base") is None
    write_planned(tmp_path, "this computer", THREE)
    assert seconds_to_come(tmp_path, stages, "base") == (100.0, 130.0)
    assert seconds_to_come(tmp_path, stages, "own") == (0.0, 130.0)
    assert seconds_to_come(tmp_path, stages, "elsewhere") is None
    finish(tmp_path, "r1_zero")
    assert seconds_to_come(tmp_path, stages, "base") == (100.0, 100.0)


@pytest.mark.parametrize("content", ["{", "[]", '{"stages": {"base": {"seconds": {"value": 1}}}}', '{"stages": []}'])
def test_a_damaged_plan_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"plan\.json: damaged .*; delete it, the next start of the run writes it again"):
        read_planned(tmp_path)

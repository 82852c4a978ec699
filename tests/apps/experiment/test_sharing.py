"""Artifacts that several runs have in common."""

from __future__ import annotations

from pathlib import Path

from cogitate.apps.experiment.sharing import bytes_used, finished_artifacts, link_artifact
from tests.apps.synthetic_run import write_json


def test_a_linked_artifact_takes_no_further_room(tmp_path: Path) -> None:
    stage = tmp_path / "one" / "base"
    (stage / "part").mkdir(parents=True)
    (stage / "part" / "weights").write_bytes(b"x" * 1000)
    write_json(stage / "manifest.json", {"id": "abc"})
    before = bytes_used(tmp_path)
    assert finished_artifacts([tmp_path / "one"]) == {"abc": stage}
    (tmp_path / "two").mkdir()
    link_artifact(stage, tmp_path / "two" / "base", tmp_path / "two" / "unfinished" / "base.shared")
    assert (tmp_path / "two" / "base" / "part" / "weights").read_bytes() == b"x" * 1000
    assert bytes_used(tmp_path) == before

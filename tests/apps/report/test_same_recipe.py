"""What may be pooled in a report: seeds of one recipe, each once."""

import json
from pathlib import Path

import pytest

from cogitate.apps.report.data import load_runs
from cogitate.apps.report.report import write_report
from cogitate.apps.report.same_recipe import differing_settings, load_seeds
from cogitate.errors import ArtifactError
from tests.apps.synthetic_run import write_json, write_run


def with_settings(run: Path, **changed: object) -> Path:
    settings = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", settings | changed)
    return run


def test_runs_of_other_settings_are_refused_with_a_hint(tmp_path: Path) -> None:
    grpo = write_run(tmp_path / "grpo", seed=0)
    dapo = with_settings(write_run(tmp_path / "dapo", seed=1), r1_zero={"steps": 40, "method": "dapo"})
    with pytest.raises(ArtifactError, match=r"not two seeds of one recipe: they differ in r1_zero\.\w+") as refusal:
        write_report([grpo, dapo], tmp_path / "report.html")
    assert f"`cogitate compare {grpo} {dapo}`" in str(refusal.value)
    assert not (tmp_path / "report.html").exists()


def test_settings_that_cannot_change_a_result_may_differ(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", seed=0)
    second = with_settings(write_run(tmp_path / "b", seed=1), rewards={"workers": 7})
    assert [run.seed for run in load_seeds([first, second])] == [0, 1]
    assert differing_settings(load_runs([first, second])) == {"seed": [0, 1]}


def test_one_seed_twice_and_one_directory_twice_are_refused(tmp_path: Path) -> None:
    first, again = write_run(tmp_path / "a", seed=3), write_run(tmp_path / "b", seed=3)
    with pytest.raises(ArtifactError, match="the same settings and seed: give one of them"):
        load_seeds([first, again])
    (tmp_path / "link").symlink_to(first)
    with pytest.raises(ArtifactError, match="the same directory; a run counts once"):
        load_seeds([first, tmp_path / "link"])


def test_a_run_whose_settings_are_not_known_stands_alone(tmp_path: Path) -> None:
    first, bare = write_run(tmp_path / "a", seed=0), write_run(tmp_path / "b", seed=1)
    (bare / "config.json").unlink()
    with pytest.raises(ArtifactError, match=r"b: no config\.json, so nobody knows"):
        load_seeds([first, bare])
    assert len(load_seeds([bare])) == 1


def test_settings_of_a_version_that_had_others_are_compared_as_they_stand(tmp_path: Path) -> None:
    runs = [with_settings(write_run(tmp_path / name, seed=seed), old={"key": seed}) for seed, name in enumerate("ab")]
    assert differing_settings(load_runs(runs)) == {"seed": [0, 1], "old.key": [0, 1]}

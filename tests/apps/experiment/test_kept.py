"""Finished runs are kept without their models, and count as made elsewhere."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.experiment.definition import read_experiment
from cogitate.apps.experiment.dry_run import dry_run
from cogitate.apps.experiment.kept import archive_of
from cogitate.apps.experiment.running import run_experiment
from cogitate.cli.runs import compose_backend
from cogitate.errors import ArtifactError
from cogitate.recipe.progress import NullProgress
from tests.apps.experiment.small import EXPERIMENT, write_experiment


def run(file: Path, out: Path, kept: Path, *seeds: int) -> tuple[dict[str, Any], list[str]]:
    """The results without times, and what was said."""
    said: list[str] = []
    run_experiment(
        read_experiment(file),
        out,
        make_backend=compose_backend,
        make_progress=lambda *_: NullProgress(),
        say=said.append,
        seeds=seeds,
        kept=kept,
    )
    results: dict[str, Any] = json.loads((out / "experiment.json").read_text())
    del results["cost"]
    return results, said


@dataclass(frozen=True)
class Made:
    """An experiment that was run, its finished runs kept.

    Attributes:
        results: without times.
    """

    file: Path
    kept: Path
    results: dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Made:
    folder = tmp_path_factory.mktemp("made")
    file = write_experiment(folder, base)
    return Made(file, folder / "kept", run(file, folder / "run", folder / "kept")[0])


@pytest.fixture
def kept(made: Made, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made.kept, tmp_path / "kept"))


def test_parts_of_two_places_become_the_page_of_one(tmp_path: Path, made: Made, kept: Path) -> None:
    archive_of(kept, 1).unlink()
    assert "2 runs, 60 tokens of r1_zero each; 2 more are kept" in dry_run(
        read_experiment(made.file), tmp_path / "run", (), kept
    )
    joined, said = run(made.file, tmp_path / "run", kept)
    assert [line for line in said if "seed 0" in line] == []
    assert joined == made.results
    assert not list((tmp_path / "run" / "kept.runs").rglob("model.safetensors"))
    assert archive_of(kept, 1).is_file()


def test_where_all_runs_are_kept_nothing_is_made(tmp_path: Path, made: Made, kept: Path) -> None:
    assert run(made.file, tmp_path / "run", kept) == (made.results, [])
    assert "0 runs" in dry_run(read_experiment(made.file), tmp_path / "run", (), kept)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tokens = 60": "tokens = 61"}, r"seed-0.tar.xz: grpo, seed 0: r1_zero was made from other settings"),
        ({"remax": "rloo"}, r"seed-0.tar.xz: holds runs of remax, which is no variant of other"),
    ],
)
def test_runs_of_other_experiments_are_refused(
    tmp_path: Path, kept: Path, made: Made, changed: dict[str, str], message: str
) -> None:
    text = EXPERIMENT
    for old, new in changed.items():
        text = text.replace(old, new)
    other = made.file.with_name("other.toml")
    other.write_text(text)
    with pytest.raises(ArtifactError, match=message):
        run(other, tmp_path / "run", kept)


def test_a_damaged_archive_is_refused(tmp_path: Path, made: Made, kept: Path) -> None:
    archive = archive_of(kept, 0)
    archive.write_bytes(archive.read_bytes()[:-500])
    with pytest.raises(ArtifactError, match=r"seed-0.tar.xz: damaged \(.*delete it to have its runs made again"):
        run(made.file, tmp_path / "run", kept)


def written_again(archive: Path, change: Callable[[tarfile.TarInfo], tarfile.TarInfo | None]) -> None:
    """An archive with the members that `change` returns."""
    with tarfile.open(archive) as packed:
        members = [(member, packed.extractfile(member)) for member in packed]
        contents = [(change(member), b"" if file is None else file.read()) for member, file in members]
    with tarfile.open(archive, "w:xz") as packed:
        for member, content in contents:
            if member is not None:
                packed.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("file", ["config.json", "results.json"])
def test_an_archive_that_lacks_a_file_of_a_run_is_refused(tmp_path: Path, made: Made, kept: Path, file: str) -> None:
    written_again(archive_of(kept, 0), lambda member: None if member.name == f"grpo/{file}" else member)
    with pytest.raises(ArtifactError, match=rf"seed-0.tar.xz: grpo: holds no {file}; delete the archive"):
        run(made.file, tmp_path / "run", kept)


def test_an_archive_of_other_names_is_refused(tmp_path: Path, made: Made, kept: Path) -> None:
    archive = archive_of(kept, 0)
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(tmp_path, "./", recursive=False)
    with pytest.raises(ArtifactError, match=r"seed-0.tar.xz: \.: no file of a kept run"):
        run(made.file, tmp_path / "run", kept)


def test_nothing_is_left_of_an_archive_that_was_there_before(tmp_path: Path, made: Made, kept: Path) -> None:
    run(made.file, tmp_path / "run", kept)
    stale = tmp_path / "run" / "kept.runs" / "grpo" / "seed-0" / "earlier" / "manifest.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    assert run(made.file, tmp_path / "run", kept) == (made.results, [])
    assert not stale.exists()

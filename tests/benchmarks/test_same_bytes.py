"""Comparing the weights of two runs, and three steps of R1-Zero whose bytes do not depend on process, place or hash seed."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.places import CHECKOUT
from benchmarks.same_bytes import SHORT, Compared, clone, compare, main, run_recipe_of
from cogitate.errors import ArtifactError


def write_run(directory: Path, **weights: str) -> Path:
    for stage, content in weights.items():
        (directory / stage).mkdir(parents=True)
        (directory / stage / "model.safetensors").write_text(content)
    return directory


def test_equal_weights_are_equal_and_others_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write_run(tmp_path / "before", base="one", r1="two")
    after = write_run(tmp_path / "after", base="one", r1="three")
    one, two, three = (hashlib.sha256(content.encode()).hexdigest() for content in ("one", "two", "three"))
    assert compare(before, after) == [Compared("base", one, one), Compared("r1", two, three)]
    assert main(["--before", str(before), "--after", str(after)]) == 1
    assert [line.split()[-2] for line in capsys.readouterr().out.splitlines() if "base" in line or "r1" in line] == [
        "same",
        "DIFFERS",
    ]
    assert main(["--before", str(before), "--after", str(after), "--stages", "base"]) == 0


def test_a_model_that_one_run_lacks_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write_run(tmp_path / "before", base="one", r1="two")
    after = write_run(tmp_path / "after", base="one")
    assert main(["--before", str(before), "--after", str(after)]) == 1
    assert "(missing)" in capsys.readouterr().out


def test_nothing_to_compare_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", base="one")
    assert main(["--before", str(run), "--after", str(tmp_path)]) == 2
    assert main(["--before", str(run), "--after", str(run), "--stages", "r1"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: {tmp_path} holds no finished model (STAGE/model.safetensors): give a run directory",
        f"error: {run} has no model of r1: there are base",
    ]


def test_a_directory_that_holds_something_is_not_worked_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "before", base="one")
    assert main(["HEAD", "--short", "--keep", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} is not empty: give a new directory\n"


@pytest.mark.parametrize("line", ["--before runs/a", "HEAD --before a --after b", "--short --until r1"])
def test_options_that_contradict_each_other_are_refused(line: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(line.split())


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A clone of the last commit."""
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        pytest.skip("this is no git checkout, so there is no commit to compare with")
    return clone("HEAD", tmp_path / "code")


def test_an_unknown_commit_is_an_error(committed: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"git rev-parse .* failed in .*: no such commit"):
        clone("no-such-commit", tmp_path / "other")


def test_three_steps_of_r1_zero_give_the_same_bytes_in_every_process(committed: Path, tmp_path: Path) -> None:
    """Of the committed code on both sides: a change at work on this checkout may change numbers on purpose."""
    runs = {seed: tmp_path / f"hash-seed-{seed}" for seed in ("1", "2")}

    def run(seed: str) -> None:
        run_recipe_of(committed, runs[seed], [*SHORT, "runtime.threads=1"], PYTHONHASHSEED=seed)

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, runs))
    compared = compare(runs["1"], runs["2"])
    assert [each.stage for each in compared] == ["base", "r1_zero"]
    assert all(each.same for each in compared)
    assert compared[0].before != compared[1].before

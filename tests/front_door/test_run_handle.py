from pathlib import Path

import pytest

from cogitate import Run
from cogitate.errors import ArtifactError
from tests.apps.synthetic_run import write_run


def test_everything_a_run_has_written_can_be_read(tmp_path: Path) -> None:
    run = Run(write_run(tmp_path / "run", steps=20))
    assert repr(run) == f"Run({str(tmp_path / 'run')!r})"
    assert run.settings["graph"] == "r1_zero"
    assert run.stages == ["base", "evaluate.base", "evaluate.r1_zero", "r1_zero"]
    assert 0 <= run.results["stages"]["r1_zero"]["all"]["pass@1"]["value"] <= 1
    assert [row["step"] for row in run.metrics("r1_zero")] == list(range(20))
    assert {row["step"] for row in run.transcripts("r1_zero")} == {0, 10}
    assert {row["prompt"] for row in run.completions("base")} == {"bare_question", "few_shot"}


def test_a_run_that_is_still_going_on_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    run = Run(write_run(tmp_path / "run", finished=False))
    assert run.metrics("r1_zero")
    with pytest.raises(ArtifactError, match=r"results.json: not there: the run has not come so far"):
        _ = run.results


def test_what_is_not_there_is_named_with_its_neighbour(tmp_path: Path) -> None:
    run = Run(write_run(tmp_path / "run"))
    with pytest.raises(ArtifactError, match=r"nothing of a stage called r1_zer is in it; did you mean r1_zero\?"):
        run.metrics("r1_zer")
    with pytest.raises(ArtifactError, match=r"did you mean evaluate\.r1_zero"):
        run.completions("r1_zer")
    with pytest.raises(ArtifactError, match=r"not a run directory: it has no config.json"):
        Run(tmp_path)

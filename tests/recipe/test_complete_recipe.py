"""The complete tiny recipe on the shipped models and a shrunken budget: every stage is made, measured and in the results."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.config import Config
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.runner import plan, run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.tasks.files.datasets import read_rows

SHIPPED = ("base", "tokenizer", "student_base_llama", "student_base_qwen")
EVERY_MODEL = {"pass@1", "format_rate", "language_mix_rate", "reflection_rate", "helpfulness", "safety"}


def shrunken() -> Config:
    return shrink(load_recipe("tiny", ["runtime.threads=1"]), keep=SHIPPED)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("complete") / "run"
    out.mkdir()
    run_recipe(shrunken(), out, make_backend=LocalBackend)
    return out


@pytest.mark.slow
def test_every_model_of_the_graph_is_measured_in_every_way(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    planned = {item.stage.name for item in plan(shrunken(), finished)}
    assert {path.name for path in finished.iterdir() if (path / "manifest.json").is_file()} == planned
    assert results["stages"].keys() == {name.removeprefix("evaluate.") for name in planned if name.startswith("evaluate.")}
    assert len(results["stages"]) == 12
    for stage, tasks in results["stages"].items():
        assert tasks["all"].keys() >= EVERY_MODEL, stage


@pytest.mark.slow
def test_what_a_later_stage_learns_from_is_what_an_earlier_model_wrote(finished: Path) -> None:
    rows = [row for _, row in read_rows(finished / "sft_data" / "data.parquet")]
    written_by = {row["source"]: row["model"] for row in rows}
    assert written_by == {"reasoning": "r1_dev2", "general": "base"}
    assert all(row["verdict"] == "right" for row in rows if row["source"] == "reasoning")
    assert not [row for row in rows if row["task"] == "safety"]


@pytest.mark.release
@pytest.mark.timeout(1800)
def test_every_stage_killed_anywhere_ends_with_the_bytes_of_an_undisturbed_one() -> None:
    command = [sys.executable, "-m", "cogitate", "verify-resume", "tiny", "--seed", "5"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-2000:]

"""The guides: their commands can be parsed, and, in short form, run in the order of the page."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cogitate.apps.experiment.definition import read_experiment
from cogitate.cli import app

ROOT = Path(__file__).parents[1]
GUIDES = ("change_one_thing.md", "experiments.md", "own_model.md", "read_r1.md")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SHORT = (
    "r1_zero.steps=1", "r1_zero.prompts_per_step=2", "r1_zero.group_size=2", "r1_zero.max_new_tokens=8", "evaluate.problems=5",
    "evaluate.samples=1", "evaluate.general_problems=0", "evaluate.consensus_problems=0", "evaluate.max_new_tokens=8",
)  # fmt: skip


def commands(guide: str) -> list[list[str]]:
    page = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [
        shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines() if line.startswith("cogitate")
    ]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_is_a_command_line(guide: str) -> None:
    for name, *rest in commands(guide):
        with COMMANDS[name].make_context(name, rest) as context:  # an unknown option or a wrong value is an exception
            assert context.args == []


@pytest.mark.parametrize("guide", GUIDES)
def test_every_source_file_that_is_named_is_there(guide: str) -> None:
    page = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:src/cogitate/)?((?:recipe|train|algorithms|rewards|model|evals)/[\w/]+\.py)`", page))
    assert [name for name in sorted(named) if not (ROOT / "src" / "cogitate" / name).is_file()] == []


def experiment_of_the_guide(folder: Path, tokens: str, seeds: str) -> Path:
    """The file that docs/experiments.md shows, with another budget and other seeds."""
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    path = folder / "baselines.toml"
    path.write_text(text.replace("200_000", tokens).replace("[0, 1, 2]", seeds), encoding="utf-8")
    return path


def test_the_experiment_of_the_guide_can_be_read(tmp_path: Path) -> None:
    experiment = read_experiment(experiment_of_the_guide(tmp_path, "200_000", "[0, 1, 2]"))
    assert list(experiment.runs)[:3] == [("grpo", 0), ("rloo", 0), ("remax", 0)]
    assert len(experiment.runs) == 9


@pytest.mark.slow
def test_the_experiment_of_the_guide_runs(tmp_path: Path) -> None:
    file = experiment_of_the_guide(tmp_path, "100", "[0]")
    short = "\n".join(SHORT).replace("r1_zero.steps=1\n", "").replace("=", " = ")
    file.write_text(file.read_text().replace("[settings] ", f"[settings]\n{short}\n#").replace("r1_zero = {", "#{"))
    file.write_text(file.read_text().replace("\n#{", "\nr1_zero.warmup_steps = 0\n#"))
    command = [sys.executable, "-m", "cogitate", "compare", str(file), "--out", str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "runs" / "experiment.html").read_text()
    assert "3 of 3 runs are finished" in page
    assert "Siblings are a better baseline" in page


@pytest.mark.slow
def test_one_thing_is_changed_as_the_guide_says(tmp_path: Path) -> None:
    said = {}
    for name, *rest in commands("change_one_thing.md"):
        short = [*rest, *(SHORT if name == "run" else ())]
        command = [sys.executable, "-m", "cogitate", name, *short]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (name, rest, done.stderr)
        said[name, "--dry-run" in rest] = done.stdout
    assert "# method dapo" in said["run", True]
    assert "r1_zero.method" in said["compare", False]
    assert (tmp_path / "grpo.html").is_file()

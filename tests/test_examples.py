"""Each file of examples/ runs, in short form, and says what it promises."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from cogitate.recipe import recipe
from tests.apps.synthetic_run import write_run

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = json.loads((EXAMPLES / "read_a_run.ipynb").read_text(encoding="utf-8"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """run(name, *arguments): what an example prints."""

    def run_example(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_example


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: str(path.name))
def test_an_example_is_short_and_says_what_it_is(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 40
    assert lines[0].startswith('"""')
    assert any(f"python examples/{path.name}" in line for line in lines)


def test_grade_answers(run: Any) -> None:
    lines = run("grade_answers.py").splitlines()
    assert [line.split()[0] for line in lines] == ["right", "wrong", "right", "right", "right", "the"]


def test_generate(run: Any) -> None:
    assert run("generate.py").count("->") == 4


def test_own_reward_as_a_script_of_its_own(tmp_path: Path) -> None:
    """Not in this process: a script without `if __name__ == "__main__"` must not be run again by the workers."""
    command = [sys.executable, str(EXAMPLES / "own_reward.py"), str(tmp_path / "run"), "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("[0.")
    assert ended.stderr.count("r1_zero: finished") == 1
    assert "SENTENCE = re.compile" in (tmp_path / "run" / "given" / "reward.py").read_text()


def test_own_stage(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipe.GRAPHS, "r1_zero_sharp", ())  # takes the example's graph away again when the test ends
    assert run("own_stage.py", tmp_path / "run").strip()
    manifest = json.loads((tmp_path / "run" / "sharp" / "manifest.json").read_text())
    assert manifest["settings"] == {"sharp.factor": 1.5}
    assert list(manifest["inputs"]) == ["base"]


@pytest.mark.slow
def test_own_problems(run: Any, tmp_path: Path) -> None:
    assert run("own_problems.py", tmp_path / "run", 2).count("step") == 2
    assert len((tmp_path / "run" / "given" / "problems.jsonl").read_text().splitlines()) == 300


def test_compare_runs(run: Any, tmp_path: Path) -> None:
    assert "r1_zero" in run("compare_runs.py", write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1))


def test_the_notebook_is_without_outputs() -> None:
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)


def test_the_notebook_reads_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs" / "quick")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(plt.get_fignums()) == 2
    plt.close("all")
    printed = capsys.readouterr().out
    for expected in ("pass@1", "step 0: ", "reference", "evaluate.r1_zero"):
        assert expected in printed

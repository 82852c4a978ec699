"""A runner starts in a process of its own, in an environment that need not have Cogitate."""

import ast
import json
from pathlib import Path

import pytest

from benchmarks.peers import setup
from benchmarks.peers.sides import OWN, Runner, RunnerError, Side
from benchmarks.places import CHECKOUT

ELSEWHERE = ("channel", "rewards", "llamacpp", "transformers", "trl", "vllm")  # what runs in the environments of peers


def test_a_runner_is_started_as_a_module_and_answers_each_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    rows = {"math": [], "code": [{"standalone": "assert 1 + 1 == 2", "right": True}, {"standalone": "1 / 0", "right": False}]}
    (tmp_path / "verdicts.json").write_text(json.dumps(rows))
    side = Side("python", OWN, "verdicts", {"verdicts": str(tmp_path / "verdicts.json"), "work": "python"})
    runner = Runner(side, tmp_path / "log", threads=1)
    try:
        numbers = runner.run(0, {"kind": "code", "count": 2})
    finally:
        runner.close()
    assert runner.facts["threads"] == 1
    assert (numbers["verdicts"], numbers["agree"]) == (2, 1.0)
    assert numbers["seconds"] > 0


def test_a_runner_that_ends_is_an_error_with_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    with pytest.raises(RunnerError, match=r"python ended(.|\n)*No such file"):
        Runner(Side("python", OWN, "verdicts", {"verdicts": "missing.json", "work": "python"}), tmp_path / "log", threads=1)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_runs_in_other_environments_imports_neither_cogitate_nor_the_rest_of_the_benchmarks(name: str) -> None:
    tree = ast.parse((CHECKOUT / "benchmarks" / "peers" / "runners" / f"{name}.py").read_text())
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names]
    ours = [each for each in imported if each.split(".")[0] in ("cogitate", "benchmarks", "tests")]
    assert all(each.startswith("benchmarks.peers.runners.") for each in ours), ours


@pytest.mark.parametrize("package", ["benchmarks", "benchmarks/peers", "benchmarks/peers/runners"])
def test_the_packages_above_a_runner_import_nothing(package: str) -> None:
    tree = ast.parse((CHECKOUT / package / "__init__.py").read_text())
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] == []

"""A graph of a recipe's own file, run on a shrunken budget: two SFT stages after a given model."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.report.report import write_report
from cogitate.apps.status import status_text
from cogitate.config import Config
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.tasks.files.datasets import write_rows
from tests.recipe.cli_process import processes
from tests.recipe.kill_harness import outcome

MODELS = ("start", "sft", "second_sft")
TOML = """
extends = "tiny"
[[stages]]
name = "sft"
kind = "fine_tune"
needs = ["start", "first"]
title = "First SFT"
[[stages]]
name = "second_sft"
kind = "fine_tune"
needs = ["sft", "second"]
"""
SHRUNKEN = {"rows": 2, "row_tokens": 48, "micro_rows": 2, "epochs": 6, "warmup_steps": 1, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("own_graph")
    for name, digit in (("first", "7"), ("second", "3")):
        turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": f"<think> a </think>\n{digit}"}]
        write_rows(folder / f"{name}.jsonl", [{"messages": turns}] * 6)
    (folder / "mine.toml").write_text(TOML)
    return load_recipe(
        str(folder / "mine.toml"),
        [
            f"inputs.start={SHIPPED / 'base'}", f"inputs.first={folder / 'first.jsonl'}",
            f"inputs.second={folder / 'second.jsonl'}", "runtime.threads=1", "tasks.eval=arithmetic",
            "evaluate.problems=2", "evaluate.samples=1", "evaluate.general_problems=0", "evaluate.max_new_tokens=4",
            *(f"{stage}.{key}={value}" for stage in MODELS[1:] for key, value in SHRUNKEN.items()),
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("own_graph_run") / "run"
    run_recipe(config, out, make_backend=LocalBackend)
    return out


def test_every_model_of_the_graph_is_made_and_measured(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    assert (results["graph"], tuple(results["stages"])) == ("own", MODELS)
    assert results["origins"]["start"].startswith("given: ")
    prompts = {name: json.loads((finished / f"evaluate.{name}" / "manifest.json").read_text())["summary"] for name in MODELS}
    assert len(prompts["start"]["pass@1 by prompt"]) == 3  # as a base model
    assert [prompts[name]["format"] for name in MODELS[1:]] == ["think_text"] * 2
    assert json.loads((finished / "second_sft" / "manifest.json").read_text())["inputs"].keys() == {"sft", "second"}


def test_status_and_report_know_the_graph(finished: Path) -> None:
    lines = status_text(finished).splitlines()
    states = {name: rest for name, *rest in (line.split() for line in lines[1:] if not line.startswith("made with"))}
    assert list(states) == [
        "start", "evaluate.start", "first", "second", "sft", "evaluate.sft", "second_sft", "evaluate.second_sft",
    ]  # fmt: skip
    assert (states["start"], states["sft"][1]) == (["given", str(SHIPPED / "base")], "finished")
    page = write_report([finished], finished.parent / "report.html").read_text()
    assert "First SFT" in page
    assert "Fine-tuning side by side" in page


class KilledAtStep3(NullProgress):
    def row(self, stage: str, row: Mapping[str, Any]) -> None:
        if row["step"] == 3:
            os.kill(os.getpid(), signal.SIGKILL)


def make_until_killed(config: Config, out: Path) -> None:
    run_recipe(config, out, make_backend=LocalBackend, only="sft", progress=KilledAtStep3())


def test_a_killed_stage_of_the_graph_goes_on_to_the_same_bytes(config: Config, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = processes.Process(target=make_until_killed, args=(config, out))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert [path.name for path in (out / "unfinished" / "sft" / "checkpoint").iterdir()] == ["step-000002"]
    for stage in ("sft", "second_sft"):
        run_recipe(config, out, make_backend=LocalBackend, only=stage)
        assert outcome(out / stage) == outcome(finished / stage)

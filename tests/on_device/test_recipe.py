"""Whole recipes on a device, of every kind of stage: nothing mixes devices, and what models say is what they say on the CPU."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from cogitate.config import Config
from cogitate.recipe.kinds import KINDS
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from tests.on_device import short_recipes
from tests.on_device.stand_in_device import KIND, stand_in
from tests.recipe.stages.vowel_recipe import command_line, write_recipe


class StandInBackend(LocalBackend):
    """The laptop's, on the stand-in."""

    def __init__(self, config: Config, answers: Path | None = None):
        super().__init__(config, answers)
        self.device = torch.device(KIND)


def recipe(folder: Path, *settings: str) -> Config:
    """Base and R1-Zero on problems of one's own, with drafts, and layers computed again."""
    _, recipe, *of_folder, _, _ = command_line(write_recipe(folder), folder)
    shorter = ("base.steps=6", "r1_zero.steps=3", "evaluate.samples=2", "evaluate.consensus_problems=0")
    on_device = ("runtime.speculative=true", "runtime.gradient_checkpointing=true")
    return load_recipe(recipe, [*of_folder, *shorter, *on_device, *settings])


def made(config: Config, directory: Path, retrain: Sequence[str] = ()) -> Path:
    """A run of all stages on the stand-in."""
    directory.mkdir()
    with stand_in():
        run_recipe(config, directory, make_backend=StandInBackend, retrain=retrain)
    return directory


def texts_of(run: Path) -> dict[str, list[str]]:
    """What models have written, by stage."""
    files = [path for name in ("transcripts", "completions", "items") for path in sorted(run.glob(f"*/{name}.jsonl"))]
    return {file.parent.name: [json.loads(line)["completion"] for line in file.read_text().splitlines()] for file in files}


OTHERS: dict[str, Callable[[Path], Config]] = {
    "instruct_gpt": lambda folder: short_recipes.instruct_gpt(),
    "after SFT": short_recipes.after_sft,
    "measuring": short_recipes.measured,
    "probe": short_recipes.probed,
}


def test_the_recipes_below_have_every_kind_of_stage(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in (*OTHERS, "own problems")}
    for folder in folders.values():
        folder.mkdir()
    others = [make(folders[name]) for name, make in OTHERS.items()]
    recipes = [short_recipes.tiny(), recipe(folders["own problems"]), *others]
    assert {stage.kind.name for config in recipes for stage in graph_of(config)} >= KINDS.keys()


def devices_of(run: Path, config: Config) -> dict[str, str]:
    """What the stages were made on, of those that were made."""
    return {
        stage.name: json.loads((run / stage.name / "manifest.json").read_text())["device"]
        for stage in graph_of(config)
        if stage.name not in (*config.inputs, *short_recipes.KEPT)
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", OTHERS)
def test_every_stage_runs_on_a_device_and_mixes_none(name: str, tmp_path: Path) -> None:
    config = OTHERS[name](tmp_path)
    run = made(config, tmp_path / "run")
    assert set(devices_of(run, config).values()) == {KIND}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [0, 1])
def test_all_stages_of_r1_say_on_a_device_what_they_say_on_the_cpu(seed: int, tmp_path: Path) -> None:
    config, here = short_recipes.tiny(f"seed={seed}"), tmp_path / "here"
    here.mkdir()
    run_recipe(config, here, make_backend=LocalBackend)
    there = made(config, tmp_path / "there")
    assert set(devices_of(there, config).values()) == {KIND}
    assert texts_of(there) == texts_of(here)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_recipe_with_drafts_says_on_a_device_what_it_says_on_the_cpu(seed: int, tmp_path: Path) -> None:
    config, here = recipe(tmp_path, f"seed={seed}"), tmp_path / "here"
    here.mkdir()
    run_recipe(config, here, make_backend=LocalBackend, retrain=["base"])
    there = made(config, tmp_path / "there", retrain=["base"])
    assert list(json.loads((there / "results.json").read_text())["stages"]) == ["base", "r1_zero"]
    assert texts_of(there) == texts_of(here)

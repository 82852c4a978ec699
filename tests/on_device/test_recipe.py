"""A recipe of one's own problems on a device, with drafts, and layers computed again: base, R1-Zero and their evaluations."""

import json
from pathlib import Path

import pytest
import torch

from cogitate.config import Config
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from tests.on_device.stand_in_device import KIND, stand_in
from tests.recipe.stages.vowel_recipe import command_line, write_recipe


class StandInBackend(LocalBackend):
    """The laptop's, on the stand-in."""

    def __init__(self, config: Config, answers: Path | None = None):
        super().__init__(config, answers)
        self.device = torch.device(KIND)


def recipe(folder: Path, *settings: str) -> Config:
    _, recipe, *of_folder, _, _ = command_line(write_recipe(folder), folder)
    shorter = ("base.steps=6", "r1_zero.steps=3", "evaluate.samples=2", "evaluate.consensus_problems=0")
    on_device = ("runtime.speculative=true", "runtime.gradient_checkpointing=true")
    return load_recipe(recipe, [*of_folder, *shorter, *on_device, *settings])


def texts_of(run: Path) -> list[str]:
    lines = (run / "r1_zero" / "transcripts.jsonl").read_text().splitlines()
    return [json.loads(line)["completion"] for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_recipe_says_on_a_device_what_it_says_on_the_cpu(seed: int, tmp_path: Path) -> None:
    config, here, there = recipe(tmp_path, f"seed={seed}"), tmp_path / "here", tmp_path / "there"
    for directory in (here, there):
        directory.mkdir()
    run_recipe(config, here, make_backend=LocalBackend, retrain=["base"])
    with stand_in():
        results = run_recipe(config, there, make_backend=StandInBackend, retrain=["base"])
    assert list(json.loads(results.read_text())["stages"]) == ["base", "r1_zero"]
    assert texts_of(there) == texts_of(here)

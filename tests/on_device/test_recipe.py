"""The shrunken recipe on a device: every kind of stage, with drafts and with layers computed again, mixes no devices."""

import json
from pathlib import Path

import pytest
import torch

from cogitate.config import Config
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from tests.on_device.stand_in_device import KIND, stand_in
from tests.recipe.test_whole_recipe import SMALL

ON_DEVICE = (
    "runtime.speculative=true",
    "runtime.gradient_checkpointing=true",
    "tasks.train=arithmetic,logic",
    "tasks.eval=logic",
)
PRETRAINED = ("base", "student_base_llama", "student_base_qwen")


class StandInBackend(LocalBackend):
    """The laptop's, on the stand-in."""

    def __init__(self, config: Config, answers: Path | None = None):
        super().__init__(config, answers)
        self.device = torch.device(KIND)


def recipe(*settings: str) -> Config:
    return shrink(load_recipe("tiny", [*SMALL, *ON_DEVICE, *settings]))


def texts_of(run: Path) -> list[str]:
    lines = (run / "r1_zero" / "transcripts.jsonl").read_text().splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_stage_of_the_short_recipe_is_made_and_measured(tmp_path: Path) -> None:
    with stand_in() as counts:
        results = run_recipe(recipe(), tmp_path, make_backend=StandInBackend, retrain=PRETRAINED)
    assert len(json.loads(results.read_text())["stages"]) == 12
    assert counts.launches.total() > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [0, 1])
def test_r1_zero_says_what_it_says_on_the_cpu(seed: int, tmp_path: Path) -> None:
    here, there = (tmp_path / name for name in ("here", "there"))
    for directory in (here, there):
        directory.mkdir()
    config = recipe(f"seed={seed}")
    run_recipe(config, here, make_backend=LocalBackend, until="r1_zero", retrain=["base"])
    with stand_in():
        run_recipe(config, there, make_backend=StandInBackend, until="r1_zero", retrain=["base"])
    assert texts_of(there) == texts_of(here)

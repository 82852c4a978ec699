"""Training adapters (runtime.lora_rank): the base stays, what is handed on is merged, checkpoints go on to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cogitate.config import ZeroRLConfig
from cogitate.model.files.hf import load_model
from cogitate.model.lora import lora_layers
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.recipe import R1
from cogitate.recipe.run_directory.store import identify
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import find
from cogitate.tasks.files.datasets import write_rows
from cogitate.train.checkpoint import latest_checkpoint
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.types import Problem, Rollout, Verdict

SETTINGS = ("r1_zero.learning_rate=1e-2", "r1_zero.warmup_steps=0", "tasks.train=arithmetic", "tasks.eval=arithmetic")


def learner(directory: Path, *settings: str) -> GRPOLearner:
    config = load_recipe("tiny", [*SETTINGS, *settings])
    made = LocalBackend(config).policy_learner(directory, config.section("r1_zero", ZeroRLConfig))
    assert isinstance(made, GRPOLearner)
    return made


def rollouts() -> tuple[list[Rollout], list[float]]:
    def make(tokens: tuple[int, ...]) -> Rollout:
        return Rollout(
            problem=Problem("p", "t", "math", "?"), prompt_ids=(1, 2, 3), completion_ids=tokens, loss_mask=(1,) * len(tokens),
            logprobs=(-5.5,) * len(tokens), weight_versions=((0, len(tokens)),), finish_reason="stop", seed=0, text="",
            reward=1.0, reward_breakdown={}, verdict=Verdict("right", 1.0, ""),
        )  # fmt: skip

    return [make((7, 8, 9)), make((4, 5))], [1.0, -1.0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_only_adapters_move_and_the_model_handed_on_holds_them_merged(digit_model: Path, tmp_path: Path, dtype: str) -> None:
    trained = learner(digit_model, "runtime.lora_rank=4", f"runtime.dtype={dtype}", "runtime.gradient_checkpointing=true")
    assert trained.model.gradient_checkpointing
    for _ in range(3):
        trained.update(*rollouts())
    before = load_model(digit_model, dtype=getattr(torch, dtype)).state_dict()
    assert lora_layers(trained.model)
    for name, tensor in trained.model.state_dict().items():
        if "down" not in name.rpartition(".")[2] and "up" not in name.rpartition(".")[2]:
            assert torch.equal(tensor, before[name.replace(".base.", ".")]), name
    trained.save_weights(tmp_path)
    after = load_model(tmp_path, dtype=getattr(torch, dtype)).state_dict()
    assert after.keys() == before.keys()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all("proj" in name for name in moved)
    trained.save(tmp_path / "checkpoint", 1, {})
    again = learner(digit_model, "runtime.lora_rank=4", f"runtime.dtype={dtype}")
    checkpoint = latest_checkpoint(tmp_path / "checkpoint")
    assert checkpoint is not None
    again.load(checkpoint)
    assert trained.update(*rollouts()) == again.update(*rollouts())


def test_adapters_change_an_artifacts_id_and_their_absence_keeps_the_ids_of_old() -> None:
    stage = find(R1, "r1_zero")
    plain, same, adapted = (
        identify(stage, R1, load_recipe("tiny", [*SETTINGS, *more]), {"base": "x"})
        for more in ((), ("runtime.gradient_checkpointing=true", "runtime.lora_rank=0"), ("runtime.lora_rank=8",))
    )
    assert plain == same
    assert not any("lora" in key or key.rpartition(".")[2] == "prompt" for key in plain.settings)
    assert adapted.id != plain.id
    assert adapted.settings["runtime.lora_rank"] == 8


def test_sft_trains_adapters_and_saves_them_merged(digit_model: Path, tmp_path: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": "a number"},
                {"role": "assistant", "content": f"<think> a </think>\n{digit}"},
            ]
        }
        for digit in "7777"
    ]
    write_rows(tmp_path / "data.jsonl", rows)
    shape = (
        "r1_dev1.rows=2",
        "r1_dev1.row_tokens=48",
        "r1_dev1.micro_rows=2",
        "r1_dev1.epochs=2",
        "r1_dev1.learning_rate=1e-2",
    )
    given = (f"inputs.base={digit_model}", f"inputs.cold_start={tmp_path / 'data.jsonl'}", "runtime.lora_rank=4")
    config = load_recipe("tiny", ["graph=r1", *given, *shape, "runtime.dtype=bfloat16", "runtime.threads=1"])
    run_recipe(config, tmp_path / "run", make_backend=LocalBackend, only="r1_dev1")
    before, after = (load_model(path).bfloat16().state_dict() for path in (digit_model, tmp_path / "run" / "r1_dev1"))
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all("proj" in name or "e_score_correction_bias" in name for name in moved)
    assert (tmp_path / "run" / "r1_dev1" / "adapter" / "adapter_model.safetensors").is_file()

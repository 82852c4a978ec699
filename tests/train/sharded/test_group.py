"""Two ranks beside one process: the same losses, gradients and weights; files that any number of ranks reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.config import PretrainConfig
from cogitate.errors import CheckpointError
from cogitate.model.files.hf import load_model
from cogitate.model.lora import add_lora
from cogitate.train.checkpoint import load_checkpoint, restore
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.sharded.ranks import ALONE, Ranks
from tests.train.sharded.models import FAMILIES, Numbers, assert_equal, gradients_of, make_model, weights_of
from tests.train.sharded.together import Together
from tests.train.test_supervised import rows

CONFIG = PretrainConfig(micro_rows=2, mtp_weight=0.3, router_bias_step=0.01, gradient_clip=1.5)
ROUNDING = 1e-6
Step = tuple[dict[str, float], Numbers]


def learner_of(ranks: Ranks, family: str, **changes: Any) -> SupervisedLearner:
    """`dtype`, `lora_rank` and `gradient_checkpointing` are of the model, all else of the settings."""
    changes = changes.copy()
    model = make_model(family, dtype=changes.pop("dtype", torch.float32))
    if rank := changes.pop("lora_rank", 0):
        add_lora(model, rank=rank, alpha=16.0)
    model.gradient_checkpointing = changes.pop("gradient_checkpointing", False)
    return SupervisedLearner(model, CONFIG.model_copy(update=changes), ranks)


def first_gradients(ranks: Ranks, family: str) -> Step:
    learner = learner_of(ranks, family, gradient_clip=1e6)
    learner.optimiser.step = lambda: None  # type: ignore[method-assign]
    return learner.update(rows(1), 1e-3), gradients_of(learner.model)


def trained(ranks: Ranks, family: str, steps: int = 3, changes: dict[str, Any] | None = None) -> list[Step]:
    learner = learner_of(ranks, family, **(changes or {}))
    return [(learner.update(rows(step), 1e-3), weights_of(learner.model)) for step in range(steps)]


def assert_near(one: dict[str, float], other: dict[str, float], relative: float = ROUNDING) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert other[name] == pytest.approx(value, rel=relative), name


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_of_two_ranks_are_those_of_one_process(two_ranks: Together, family: str) -> None:
    metrics, gradients = first_gradients(ALONE, family)
    for of_rank, gradients_there in two_ranks.run(first_gradients, family):
        assert_near(metrics, of_rank)
        assert_equal(gradients, gradients_there, ROUNDING)


def test_steps_of_two_ranks_move_weights_and_router_biases_as_one_process_does(two_ranks: Together) -> None:
    alone = trained(ALONE, "deepseek_v3")
    assert any(metrics["gradient_norm"] > CONFIG.gradient_clip for metrics, _ in alone)
    biases = {name: bias for name, bias in alone[-1][1].items() if name.endswith("e_score_correction_bias")}
    assert any(bias.any() for bias in biases.values())
    first, second = two_ranks.run(trained, "deepseek_v3")
    for (metrics, weights), (of_first, weights_there), (of_second, _) in zip(alone, first, second, strict=True):
        assert of_first == of_second
        assert_near(metrics, of_first)
        assert_equal(weights, weights_there, 1e-5)
        assert all((weights_there[name] == weights[name]).all() for name in biases)


@pytest.mark.cluster
@pytest.mark.parametrize(
    "changes",
    [{"optimiser": "muon"}, {"lora_rank": 2}, {"gradient_checkpointing": True}, {"micro_rows": 1}, {"gradient_clip": 0.01}],
    ids=str,
)
def test_every_setting_trains_as_in_one_process(two_ranks: Together, changes: dict[str, Any]) -> None:
    alone = trained(ALONE, "deepseek_v3", changes=changes)
    for there in two_ranks.run(trained, "deepseek_v3", 3, changes):
        for (metrics, weights), (of_rank, weights_there) in zip(alone, there, strict=True):
            assert_near(metrics, of_rank, 1e-5)
            assert_equal(weights, weights_there, 1e-4)


@pytest.mark.cluster
def test_weights_of_16_bits_keep_their_masters_in_parts(two_ranks: Together) -> None:
    changes = {"dtype": torch.bfloat16}
    alone = trained(ALONE, "llama", 4, changes)
    first, second = two_ranks.run(trained, "llama", 4, changes)
    assert [metrics for metrics, _ in first] == [metrics for metrics, _ in second]
    for (metrics, _), (there, _) in zip(alone, first, strict=True):
        assert_near(metrics, there, 2e-2)  # gradients have 8 bits, and are rounded elsewhere
    assert_equal(alone[-1][1], first[-1][1], 2e-2)


def train_and_save(
    ranks: Ranks, family: str, directory: Path, changes: dict[str, Any], first: int, last: int
) -> list[dict[str, float]]:
    """Steps from the checkpoint there, or from the start; a checkpoint and the model after them."""
    learner = learner_of(ranks, family, **changes)
    state = restore(learner, directory)
    assert state.get("step", 0) == first
    assert state.get("note") == ("kept" if first else None)
    metrics = [learner.update(rows(step), 1e-3) for step in range(first, last)]
    learner.save(directory, last, {"note": "kept"})
    learner.save_weights(directory / "model")
    return metrics


KINDS_OF_TRAINING: dict[str, dict[str, Any]] = {
    "AdamW": {}, "Muon": {"optimiser": "muon"}, "16 bits": {"dtype": torch.bfloat16}, "adapters": {"lora_rank": 2},
}  # fmt: skip


@pytest.mark.cluster
@pytest.mark.parametrize("changes", KINDS_OF_TRAINING.values(), ids=KINDS_OF_TRAINING)
def test_the_same_number_of_ranks_goes_on_bit_for_bit(two_ranks: Together, tmp_path: Path, changes: dict[str, Any]) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    expected = two_ranks.run(train_and_save, "deepseek_v3", straight, changes, 0, 4)[0]
    begun = two_ranks.run(train_and_save, "deepseek_v3", stopped, changes, 0, 2)[0]
    assert begun + two_ranks.run(train_and_save, "deepseek_v3", stopped, changes, 2, 4)[0] == expected
    files = sorted(path.relative_to(straight) for path in straight.rglob("*") if path.is_file())
    assert {path.name for path in files} >= {"tensors-00000-of-00002.safetensors", "tensors-00001-of-00002.safetensors"}
    for file in files:
        assert (straight / file).read_bytes() == (stopped / file).read_bytes(), file


@pytest.mark.cluster
@pytest.mark.parametrize("changes", KINDS_OF_TRAINING.values(), ids=KINDS_OF_TRAINING)
def test_another_number_of_ranks_goes_on_from_where_the_first_stopped(
    two_ranks: Together, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Two ranks, then one process, then two again, beside one process all the time."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    rounding = 2e-2 if changes.get("dtype") == torch.bfloat16 else ROUNDING
    begun = two_ranks.run(train_and_save, "deepseek_v3", stopped, changes, 0, 2)[0]
    shutil.copytree(stopped, straight)
    there = train_and_save(ALONE, "deepseek_v3", stopped, changes.copy(), 2, 3)
    by_two = two_ranks.run(train_and_save, "deepseek_v3", straight, changes, 2, 4)[0]
    back = two_ranks.run(train_and_save, "deepseek_v3", stopped, changes, 3, 4)[0]
    assert len(begun) == 2
    for one, other in zip(there + back, by_two, strict=True):
        assert_near(one, other, rounding)


def test_a_model_that_ranks_have_saved_is_one_of_the_laptop(two_ranks: Together, tmp_path: Path) -> None:
    two_ranks.run(train_and_save, "deepseek_v3", tmp_path, {}, 0, 1)
    stored, state = load_checkpoint(tmp_path / "step-000001")
    assert state == {"step": 1, "note": "kept"}
    model = load_model(tmp_path / "model").state_dict()
    assert all(torch.equal(stored[f"model.{name}"], tensor) for name, tensor in model.items())


def test_a_checkpoint_without_the_file_of_a_rank_is_refused(two_ranks: Together, tmp_path: Path) -> None:
    two_ranks.run(train_and_save, "llama", tmp_path, {}, 0, 1)
    (tmp_path / "step-000001" / "tensors-00001-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="1 files of 2 ranks"):
        load_checkpoint(tmp_path / "step-000001")

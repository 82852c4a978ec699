"""bfloat16 models with float32 masters: nothing is lost of small updates, sums of gradients and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from cogitate.config import RLConfig
from cogitate.model.files.hf import load_model
from cogitate.model.transformer import Transformer
from cogitate.train.checkpoint import latest_checkpoint, restore_training_tensors, training_tensors
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.optimisers.master_weights import MasterWeights, optimiser_for
from cogitate.train.optimisers.muon import MuonAdamW
from cogitate.types import Problem, Rollout, Verdict

MakeModel = Callable[..., Transformer]
MAKERS: dict[str, Callable[[nn.Module, float, float], torch.optim.Optimizer]] = {"adamw": make_adamw, "muon": MuonAdamW}


def sgd(trained: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for _, p in trained.named_parameters()], lr=1.0)


def test_updates_far_below_the_precision_of_the_weights_add_up() -> None:
    """At 1.0 the next bfloat16 is 1/128 away, so each step of 1/1024 alone would round to nothing."""
    model = nn.Linear(2, 1, bias=False).bfloat16()
    nn.init.ones_(model.weight)
    optimiser = optimiser_for(model, sgd)
    seen = []
    for _ in range(16):
        optimiser.zero_grad()
        (-model(torch.full((1, 2), 1 / 1024, dtype=torch.bfloat16))).sum().backward()
        optimiser.step()
        seen.append(float(model.weight.detach()[0, 0]))
    assert seen[0] == 1.0
    assert seen[-1] == 1.0 + 16 / 1024
    assert model.weight.dtype == torch.bfloat16


def test_gradients_of_micro_batches_add_up_in_float32_and_the_models_own_are_freed() -> None:
    """256 + 1 is 256 in bfloat16."""
    model = nn.Linear(1, 1, bias=False).bfloat16()
    optimiser = optimiser_for(model, sgd)
    for value in (256.0, 1.0, 1.0):
        model(torch.tensor([[value]], dtype=torch.bfloat16)).sum().backward()
    assert isinstance(optimiser, MasterWeights)
    assert float(optimiser.gradients["weight"]) == 258.0
    assert optimiser.gradients["weight"].dtype == torch.float32
    assert model.weight.grad is None
    optimiser.zero_grad()
    assert not optimiser.gradients


def test_a_float32_model_is_trained_as_it_is_and_frozen_weights_have_no_masters() -> None:
    plain = nn.Linear(2, 2)
    assert isinstance(optimiser_for(plain, sgd), torch.optim.SGD)
    half = nn.Linear(2, 2).bfloat16()
    half.bias.requires_grad_(False)
    optimiser = optimiser_for(half, sgd)
    assert isinstance(optimiser, MasterWeights)
    assert optimiser.remainders.keys() == {"weight"}


def train(model: Transformer, optimiser: torch.optim.Optimizer | MasterWeights, steps: range) -> list[float]:
    losses = []
    for step in steps:
        tokens = torch.randint(0, 250, (2, 24), generator=torch.Generator().manual_seed(step % 3))
        logprobs, _ = model.logprobs(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        (-logprobs.mean()).backward()
        optimiser.step()
        losses.append(-float(logprobs.detach().mean()))
    return losses


@pytest.mark.parametrize("kind", MAKERS)
def test_training_goes_on_from_a_checkpoint_to_the_last_bit(make_micro_model: MakeModel, kind: str) -> None:
    def fresh(seed: int) -> tuple[Transformer, torch.optim.Optimizer | MasterWeights]:
        model = make_micro_model(seed).bfloat16().train()
        return model, optimiser_for(model, lambda trained: MAKERS[kind](trained, 3e-3, 0.1))

    model, optimiser = fresh(0)
    losses = train(model, optimiser, range(12))
    assert losses[-1] < losses[0]
    saved = {name: tensor.clone() for name, tensor in training_tensors(model, optimiser).items()}
    assert saved["remainder.norm.weight"].dtype == torch.int16
    again, other = fresh(5)
    restore_training_tensors(again, other, saved, Path())
    assert train(model, optimiser, range(12, 15)) == train(again, other, range(12, 15))
    after, expected = training_tensors(again, other), training_tensors(model, optimiser)
    assert after.keys() == expected.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in expected.items())


def test_losses_fall_as_those_of_float32(make_micro_model: MakeModel) -> None:
    """Masters follow the float32 weights closely; bfloat16 weights moved by themselves would stand still at this rate."""
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        model = make_micro_model().to(dtype).train()
        losses.append(train(model, optimiser_for(model, lambda trained: make_adamw(trained, 3e-4, 0.0)), range(60)))
    exact, rounded = losses
    assert exact[-1] < exact[0] - 0.1
    assert rounded[-1] == pytest.approx(exact[-1], abs=0.1 * (exact[0] - exact[-1]))


def rollout(tokens: tuple[int, ...]) -> Rollout:
    return Rollout(
        problem=Problem("p", "t", "math", "?"), prompt_ids=(1, 2, 3), completion_ids=tokens, loss_mask=(1,) * len(tokens),
        logprobs=(-5.5,) * len(tokens), weight_versions=((0, len(tokens)),), finish_reason="stop", seed=0, text="", reward=1.0,
        reward_breakdown={}, verdict=Verdict("right", 1.0, ""),
    )  # fmt: skip


def test_a_bfloat16_policy_learns_and_resumes_to_the_last_bit(make_micro_model: MakeModel, tmp_path: Path) -> None:
    config = RLConfig(learning_rate=1e-4, kl_beta=0.01, prompts_per_step=1, group_size=2)
    batch = [rollout((7, 8, 9)), rollout((4, 5))], [1.0, -1.0]
    first = GRPOLearner(make_micro_model().bfloat16(), config)
    rows = [first.update(*batch) for _ in range(3)]
    assert rows[-1]["gradient_norm"] > 0
    assert first.reference is not None
    assert first.reference.embed_tokens.weight.dtype == torch.bfloat16
    first.save(tmp_path / "checkpoint", first.steps_done, {})
    second = GRPOLearner(make_micro_model(seed=9).bfloat16(), config)
    newest = latest_checkpoint(tmp_path / "checkpoint")
    assert newest is not None
    second.load(newest)
    assert first.update(*batch) == second.update(*batch)
    theirs = second.model.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in first.model.state_dict().items())
    first.save_weights(tmp_path / "policy")
    loaded = load_model(tmp_path / "policy", dtype=torch.bfloat16).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in first.model.state_dict().items())

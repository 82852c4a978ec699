"""Write trl_reference.json: losses and gradients that TRL computes on small fixed tensors, to compare ours with.

TRL's own loss methods run, on a stand-in for the trainer that hands them the fixed log-probabilities instead of a model's.
Only the advantages are TRL's formula written out (it stands inside a long method), over TRL's own `nanstd`.

    pip install torch==2.13.0 trl==1.16.0
    python tests/algorithms/make_trl_reference.py
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import trl
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.reward_trainer import RewardTrainer
from trl.trainer.utils import nanstd

MAX_NEW_TOKENS = 8
CLIP_EPS_LOW, CLIP_EPS_HIGH = 0.2, 0.28


class Accelerator:
    """One process: every gathering returns what it was given."""

    num_processes = 1
    sync_gradients = True
    device = torch.device("cpu")

    def gather(self, value: torch.Tensor) -> torch.Tensor:
        return value

    def gather_for_metrics(self, value: torch.Tensor) -> torch.Tensor:
        return value

    def reduce(self, value: torch.Tensor, reduction: str) -> torch.Tensor:
        return value


def main() -> None:
    torch.manual_seed(20)
    policy = policy_inputs()
    reference = {
        "made_by": f"trl {trl.__version__}, torch {torch.__version__.split('+')[0]}, tests/algorithms/make_trl_reference.py",
        "policy_inputs": {name: tensor.tolist() for name, tensor in policy.items()},
        "policy": {
            "grpo": grpo(policy, "grpo", beta=0.0),
            "grpo_kl": grpo(policy, "grpo", beta=0.04),
            "bnpo": grpo(policy, "bnpo", beta=0.0),
            "dapo": grpo(policy, "dapo", beta=0.04),
            "dr_grpo": grpo(policy, "dr_grpo", beta=0.0),
            "gspo": grpo(policy, "grpo", beta=0.04, level="sequence"),
            "cispo": grpo(policy, "cispo", beta=0.0),
            "grpo_importance": grpo(policy, "grpo", beta=0.04, importance=True),
        },
        "settings": {"max_new_tokens": MAX_NEW_TOKENS, "clip_eps_low": CLIP_EPS_LOW, "clip_eps_high": CLIP_EPS_HIGH},
        "advantages": advantages(),
        "dpo": {loss_type: dpo(loss_type) for loss_type in ("sigmoid", "ipo")},
        "reward_model": reward_model(),
    }
    path = Path(__file__).with_name("trl_reference.json")
    text = json.dumps(reference, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers[0].split()), text)  # a row of numbers on one line
    path.write_text(text + "\n")


def policy_inputs() -> dict[str, torch.Tensor]:
    """Six completions of at most seven tokens; ratios on both sides of the clip bounds."""
    rows, length = 6, 7
    lengths = torch.tensor([7, 4, 1, 6, 7, 3])
    logprobs = -torch.rand(rows, length) * 3
    return {
        "logprobs": logprobs,
        "old_logprobs": logprobs + 0.3 * torch.randn(rows, length),
        "ref_logprobs": logprobs + 0.3 * torch.randn(rows, length),
        "importance_weights": torch.rand(rows, length) * 2,
        "advantages": torch.tensor([1.2, -0.7, 0.4, -1.5, 0.0, 0.6]),
        "mask": (torch.arange(length) < lengths[:, None]).int(),
    }


def grpo(
    inputs: dict[str, torch.Tensor], loss_type: str, *, beta: float, level: str = "token", importance: bool = False
) -> dict[str, Any]:
    """GRPOTrainer._compute_loss in training mode, without gradient accumulation."""
    logprobs = inputs["logprobs"].clone().requires_grad_()
    # TRL's cispo bound is the largest ratio itself and its dapo-like divisor counts the generation batch's tokens
    epsilon_high = 1 + CLIP_EPS_HIGH if loss_type == "cispo" else CLIP_EPS_HIGH
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (logprobs, torch.zeros_like(logprobs), None),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level=level,
        beta=beta,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        loss_type=loss_type,
        epsilon_low=CLIP_EPS_LOW,
        epsilon_high=epsilon_high,
        use_vllm=importance,
        vllm_importance_sampling_correction=importance,
        model=SimpleNamespace(training=True),
        current_gradient_accumulation_steps=1,
        max_completion_length=MAX_NEW_TOKENS,
        accelerator=Accelerator(),
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    batch = {
        "prompt_ids": torch.zeros(6, 1, dtype=torch.long),
        "prompt_mask": torch.ones(6, 1, dtype=torch.long),
        "completion_ids": torch.zeros(6, 7, dtype=torch.long),
        "completion_mask": inputs["mask"],
        "advantages": inputs["advantages"],
        "old_per_token_logps": inputs["old_logprobs"],
        "ref_per_token_logps": inputs["ref_logprobs"],
        "importance_sampling_ratio": inputs["importance_weights"],
        "num_items_in_batch": inputs["mask"].sum(),
    }
    loss = GRPOTrainer._compute_loss(trainer, None, batch)
    loss.backward()
    assert logprobs.grad is not None
    metrics = {name: values[0] for name, values in trainer._metrics["train"].items()}
    return {"loss": loss.item(), "gradient": logprobs.grad.tolist(), "beta": beta, "metrics": metrics}


def advantages() -> dict[str, Any]:
    """GRPOTrainer._generate_and_score_completions, "sum_then_normalize"; NaN is a missing reward, whose advantage ends as 0."""
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.3, 0.9, float("nan"), 0.1], [2.0, 2.0, 0.5, -1.0]])
    centred = rewards - torch.nanmean(rewards, dim=1, keepdim=True)
    scaled = centred / (nanstd(rewards, dim=1, keepdim=True) + 1e-4)
    return {
        "rewards": torch.nan_to_num(rewards).tolist(),
        "valid": (~rewards.isnan()).tolist(),
        "group": torch.nan_to_num(scaled).tolist(),
        "none": torch.nan_to_num(centred).tolist(),
    }


def dpo(loss_type: str) -> dict[str, Any]:
    """DPOTrainer._compute_loss: three pairs; rows are [chosen, rejected]."""
    mask = (torch.arange(6) < torch.tensor([6, 3, 4, 5, 2, 6])[:, None]).int()
    mask = torch.cat([torch.zeros(6, 1, dtype=torch.int), mask], dim=1)  # a prompt token in front
    logprobs = (-torch.rand(6, 7) * 2 * mask).requires_grad_()
    ref_logprobs = (logprobs.detach() + 0.2 * torch.randn(6, 7)) * mask

    def outputs(log_probs: torch.Tensor) -> SimpleNamespace:
        zeros = torch.zeros_like(log_probs)
        return SimpleNamespace(log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())

    policy = lambda **kwargs: outputs(logprobs * mask)  # noqa: E731
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=Accelerator(),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[loss_type],
        loss_weights=[1.0],
        beta=0.1,
        label_smoothing=0.0,
        use_weighting=False,
        _total_train_tokens=0,
        _tp_size=1,
        _metrics={"train": defaultdict(list)},
    )
    ref_sums = ref_logprobs[:, 1:].sum(1)
    batch = {
        "completion_mask": mask,
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "ref_chosen_logps": ref_sums[:3],
        "ref_rejected_logps": ref_sums[3:],
    }
    loss = DPOTrainer._compute_loss(trainer, policy, batch, False)
    loss.backward()
    assert logprobs.grad is not None
    return {
        "logprobs": logprobs[:, 1:].tolist(),
        "ref_logprobs": ref_logprobs[:, 1:].tolist(),
        "mask": mask[:, 1:].tolist(),
        "beta": 0.1,
        "loss": loss.item(),
        "gradient": logprobs.grad[:, 1:].tolist(),
        "chosen_reward": trainer._metrics["train"]["rewards/chosen"][0],
        "rejected_reward": trainer._metrics["train"]["rewards/rejected"][0],
    }


def reward_model() -> dict[str, Any]:
    """RewardTrainer.compute_loss with margins and centring; rows are [chosen, rejected]."""
    rewards = torch.randn(8, 1).requires_grad_()
    margins = torch.tensor([0.0, 0.5, 1.0, 0.2])
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=Accelerator(),
        args=SimpleNamespace(center_rewards_coefficient=0.01),
        _total_train_tokens=0,
        _tp_size=1,
        _metrics={"train": defaultdict(list)},
    )
    batch = {"margin": margins, "attention_mask": torch.ones(8, 2)}
    loss = RewardTrainer.compute_loss(trainer, lambda **kwargs: SimpleNamespace(logits=rewards), batch)
    loss.backward()
    assert rewards.grad is not None
    return {
        "rewards": rewards[:, 0].tolist(),
        "margins": margins.tolist(),
        "center_weight": 0.01,
        "loss": loss.item(),
        "gradient": rewards.grad[:, 0].tolist(),
    }


if __name__ == "__main__":
    main()

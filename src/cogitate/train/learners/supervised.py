"""The learner of next tokens: one `update` is one optimiser step over packed rows. Pretraining, SFT and distillation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cogitate.algorithms.lm_loss import lm_loss, next_token_targets
from cogitate.algorithms.numbers import added, as_floats
from cogitate.config import SupervisedConfig
from cogitate.device import send
from cogitate.model.files.adapter import save_trained
from cogitate.model.transformer import Transformer
from cogitate.train.checkpoint import load_training, save_training
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.optimisers.master_weights import clip_gradients, optimiser_for
from cogitate.train.optimisers.muon import MuonAdamW
from cogitate.train.optimisers.schedule import set_learning_rate
from cogitate.train.rows.shared_prompts import hidden_at
from cogitate.train.sharded.ranks import ALONE, Ranks, row_passes
from cogitate.types import PackedRows

OPTIMISERS: dict[str, Callable[[nn.Module, float, float], torch.optim.Optimizer]] = {
    "adamw": make_adamw,
    "muon": MuonAdamW,
    "muon_bfloat16": partial(MuonAdamW, bfloat16=True),
}


class SupervisedLearner:
    """Next-token and, where the model has an MTP block, multi-token prediction (DeepSeek-V3, section 2.2).

    Attributes:
        model: trained in place.
        ranks: who trains it together.
    """

    def __init__(self, model: Transformer, config: SupervisedConfig, ranks: Ranks = ALONE):
        self.model, self.ranks = ranks.shard(model).train(), ranks
        self.config = config
        self.mtp_weight = config.mtp_weight if model.mtp is not None else 0.0
        make = OPTIMISERS[config.optimiser]
        self.optimiser = optimiser_for(model, lambda trained: make(trained, config.learning_rate, config.weight_decay))

    @property
    def max_context(self) -> int:
        return self.model.config.max_position_embeddings

    def update(self, rows: PackedRows, learning_rate: float) -> dict[str, float]:
        """One optimiser step over all rows, in micro-batches whose losses add up to the batch's."""
        tokens_BT, documents_BT, mask_BT = tensors_of(rows)
        total = int(next_token_targets(tokens_BT, mask_BT, documents_BT)[1].sum())
        measured: dict[str, list[Tensor]] = {"loss": [], "mtp_loss": []}
        self.optimiser.zero_grad(set_to_none=True)
        for part, real in row_passes(len(tokens_BT), self.config.micro_rows, self.ranks):
            self.model.train(real)  # tokens of an idle pass must not count as the experts' load
            documents, mask = documents_BT[part], mask_BT[part] & real
            losses = lm_and_mtp_loss(self.model, tokens_BT[part], documents, mask, total, self.mtp_weight)
            (losses["loss"] + self.mtp_weight * losses["mtp_loss"]).backward()
            for name, value in losses.items():
                measured[name].append(value.detach())
        self.model.train()
        norm = clip_gradients(self.model, self.optimiser, self.config.gradient_clip, self.ranks)
        numbers = iter(as_floats([value for values in measured.values() for value in values]))
        sums = {name: added(next(numbers) for _ in values) for name, values in measured.items()}
        sums = dict(zip(sums, self.ranks.added([*sums.values()]), strict=True))
        set_learning_rate(self.optimiser, learning_rate)
        self.optimiser.step()
        self.ranks.add_up([router.load for router in self.model.routers()])
        self.model.balance_experts(self.config.router_bias_step)
        return {**sums, "gradient_norm": norm}

    def loss(self, rows: PackedRows) -> float:
        return supervised_loss(self.model, rows, self.config.micro_rows, self.ranks)

    def save(self, path: Path, step: int, state: Mapping[str, Any]) -> None:
        save_training(path, step, self.model, self.optimiser, state, self.ranks)

    def load(self, path: Path) -> dict[str, Any]:
        return load_training(path, self.model, self.optimiser)

    def save_weights(self, path: Path) -> None:
        self.ranks.save(self.model, path, save_trained)


@torch.no_grad()
def supervised_loss(model: Transformer, rows: PackedRows, micro_rows: int, ranks: Ranks = ALONE) -> float:
    """Mean next-token loss in nats over all rows, without training: the model is as it was afterwards."""
    was_training = model.training
    model.eval()  # tokens that are only measured must not count as the experts' load
    tokens_BT, documents_BT, mask_BT = tensors_of(rows)
    total = int(next_token_targets(tokens_BT, mask_BT, documents_BT)[1].sum())
    parts = row_passes(len(tokens_BT), micro_rows, ranks)
    losses = [lm_and_mtp_loss(model, tokens_BT[r], documents_BT[r], mask_BT[r] & real, total, 0.0)["loss"] for r, real in parts]
    model.train(was_training)
    return ranks.added([float(torch.stack(losses).sum())])[0]


def tensors_of(rows: PackedRows) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, documents and loss mask, each (B, T)."""
    return torch.from_numpy(rows.tokens_BT), torch.from_numpy(rows.documents_BT), torch.from_numpy(rows.loss_mask_BT)


def lm_and_mtp_loss(
    model: Transformer, tokens_BT: Tensor, documents_BT: Tensor, mask_BT: Tensor, total: int, mtp_weight: float
) -> dict[str, Tensor]:
    """This micro-batch's share of the mean next-token loss and of the mean MTP loss (DeepSeek-V3, section 2.2).

    Args:
        tokens_BT, documents_BT, mask_BT: on the CPU, where the counted places are found.
    """
    device = next(model.parameters()).device
    tokens_there, documents_there = send(tokens_BT, device), send(documents_BT, device)
    hidden_BTD = model(tokens_there, documents_BT=documents_there)
    losses = {"loss": _negative_mean(model, hidden_BTD, *next_token_targets(tokens_BT, mask_BT, documents_BT), total)}
    losses["mtp_loss"] = torch.zeros(())
    if mtp_weight > 0:
        ahead_BTD = model.mtp_hidden(hidden_BTD, tokens_there, documents_BT=documents_there)
        targets = next_token_targets(tokens_BT, mask_BT, documents_BT, ahead=2)
        losses["mtp_loss"] = _negative_mean(model, ahead_BTD, *targets, total)
    return losses


def _negative_mean(model: Transformer, hidden_BTD: Tensor, targets_BT: Tensor, mask_BT: Tensor, total: int) -> Tensor:
    device = hidden_BTD.device
    places_N, targets_N = send(mask_BT.flatten().nonzero().squeeze(1), device), send(targets_BT[mask_BT], device)
    logprobs_N, _ = model.logprobs(hidden_at(hidden_BTD, places_N), targets_N)
    return lm_loss(logprobs_N, total_tokens=total)

"""Loop 1 of 3, supervised: next-token and multi-token prediction on packed rows. Pretraining, SFT and distillation use it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from cogitate.algorithms.lm_loss import lm_loss, next_token_targets
from cogitate.config import SupervisedConfig
from cogitate.errors import TrainingDivergedError
from cogitate.model.transformer import Transformer
from cogitate.runtime import MetricsLog, interruption_requested, raise_interrupted
from cogitate.train.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    restore_training_tensors,
    save_checkpoint,
    training_tensors,
)
from cogitate.train.optimisers.master_weights import Optimiser, clip_gradients, optimiser_for
from cogitate.train.optimisers.muon import MuonAdamW
from cogitate.train.optimisers.schedule import warmup_cosine
from cogitate.train.packing import PackedRows

BETAS = (0.9, 0.95)  # DeepSeek-V3, section 4.2
Settings = TypeVar("Settings", bound=SupervisedConfig)


@dataclass(frozen=True, slots=True)
class SupervisedRun:
    """What one run of the loop is given.

    Attributes:
        name: of the stage, for messages.
        steps: optimiser steps in all.
        batch_of: the packed rows of a step; a pure function of the step, so that a resumed run reads the same rows.
        measure: further metrics of a step (a held-out loss, say) or None.
        begin: told (steps, first step) once it is known where the run starts.
    """

    name: str
    steps: int
    config: SupervisedConfig
    batch_of: Callable[[int], PackedRows]
    metrics: MetricsLog
    checkpoint: Path
    begin: Callable[[int, int], None]
    measure: Callable[[int, Transformer], dict[str, float] | None]


def train_supervised(model: Transformer, run: SupervisedRun) -> None:
    """Train in place, from the last checkpoint if there is one.

    Raises:
        TrainingDivergedError: the loss is NaN or infinite; the last checkpoint is kept and named.
        Interrupted: a signal asked to stop; the checkpoint has been written.
    """
    config = run.config
    make = {"adamw": make_adamw, "muon": MuonAdamW}[config.optimiser]
    optimiser = optimiser_for(model, lambda trained: make(trained, config.learning_rate, config.weight_decay))
    first_step = resume(model, optimiser, run.checkpoint)
    run.metrics.truncate(first_step)
    run.begin(run.steps, first_step)
    model.train()
    for step in range(first_step, run.steps):
        started = time.perf_counter()
        rate = warmup_cosine(
            step,
            steps=run.steps,
            peak=config.learning_rate,
            final=config.final_learning_rate,
            warmup_steps=config.warmup_steps,
        )
        batch = run.batch_of(step)
        row = supervised_step(model, optimiser, batch, config, learning_rate=rate)
        check_finite(row, f"step {step} of {run.name}", run.checkpoint)
        seconds = time.perf_counter() - started
        tokens = int((batch.documents_BT >= 0).sum())
        extra = run.measure(step, model) or {}
        run.metrics.write(
            {"step": step, **row, "learning_rate": rate, "tokens": tokens, "tokens_per_second": tokens / seconds, **extra}
        )
        stop = interruption_requested()
        if stop or (step + 1) % config.checkpoint_every == 0:
            save_checkpoint(run.checkpoint, step + 1, training_tensors(model, optimiser), {})
        if stop:
            raise_interrupted(f"step {step + 1} of {run.name}")


def without_missing_mtp(config: Settings, model: Transformer) -> Settings:
    """The settings without an MTP loss where the model has no MTP block, as dense families have none."""
    return config if model.mtp is not None else config.model_copy(update={"mtp_weight": 0.0})


@torch.no_grad()
def supervised_loss(model: Transformer, batch: PackedRows, micro_rows: int) -> float:
    """Mean next-token loss in nats over all rows, without training: the model is as it was afterwards."""
    was_training = model.training
    model.eval()  # tokens that are only measured must not count as the experts' load
    tokens_BT, documents_BT, mask_BT = (
        torch.from_numpy(array) for array in (batch.tokens_BT, batch.documents_BT, batch.loss_mask_BT)
    )
    total = int(next_token_targets(tokens_BT, mask_BT, documents_BT)[1].sum())
    parts = torch.arange(len(tokens_BT)).split(micro_rows)
    losses = [lm_and_mtp_loss(model, tokens_BT[r], documents_BT[r], mask_BT[r], total, 0.0)["loss"] for r in parts]
    model.train(was_training)
    return float(torch.stack(losses).sum())


def make_adamw(model: torch.nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with decay on matrices alone: norms, biases and embeddings of one dimension are left where they are."""
    trained = [parameter for _, parameter in model.named_parameters() if parameter.requires_grad]
    matrices = [p for p in trained if p.dim() >= 2]
    vectors = [p for p in trained if p.dim() < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)


def resume(model: torch.nn.Module, optimiser: Optimiser, directory: Path) -> int:
    """Load the newest checkpoint, if any; returns the next step to do."""
    newest = latest_checkpoint(directory)
    if newest is None:
        return 0
    tensors, state = load_checkpoint(newest)
    restore_training_tensors(model, optimiser, tensors, newest)
    return int(state["step"])


def supervised_step(
    model: Transformer, optimiser: Optimiser, batch: PackedRows, config: SupervisedConfig, *, learning_rate: float
) -> dict[str, float]:
    """One optimiser step over all rows, in micro-batches whose losses add up to the batch's."""
    tokens_BT = torch.from_numpy(batch.tokens_BT)
    documents_BT = torch.from_numpy(batch.documents_BT)
    mask_BT = torch.from_numpy(batch.loss_mask_BT)
    total = int(next_token_targets(tokens_BT, mask_BT, documents_BT)[1].sum())
    sums = {"loss": 0.0, "mtp_loss": 0.0}
    optimiser.zero_grad(set_to_none=True)
    for rows in torch.arange(len(tokens_BT)).split(config.micro_rows):
        losses = lm_and_mtp_loss(model, tokens_BT[rows], documents_BT[rows], mask_BT[rows], total, config.mtp_weight)
        (losses["loss"] + config.mtp_weight * losses["mtp_loss"]).backward()
        for name, value in losses.items():
            sums[name] += float(value.detach())
    norm = clip_gradients(model, optimiser, config.gradient_clip)
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.step()
    model.balance_experts(config.router_bias_step)
    return {**sums, "gradient_norm": norm}


def lm_and_mtp_loss(
    model: Transformer, tokens_BT: Tensor, documents_BT: Tensor, mask_BT: Tensor, total: int, mtp_weight: float
) -> dict[str, Tensor]:
    """This micro-batch's share of the mean next-token loss and of the mean MTP loss (DeepSeek-V3, section 2.2)."""
    device = next(model.parameters()).device
    tokens_BT, documents_BT, mask_BT = tokens_BT.to(device), documents_BT.to(device), mask_BT.to(device)
    hidden_BTD = model(tokens_BT, documents_BT=documents_BT)
    losses = {"loss": _negative_mean(model, hidden_BTD, *next_token_targets(tokens_BT, mask_BT, documents_BT), total)}
    losses["mtp_loss"] = torch.zeros(())
    if mtp_weight > 0:
        ahead_BTD = model.mtp_hidden(hidden_BTD, tokens_BT, documents_BT=documents_BT)
        targets = next_token_targets(tokens_BT, mask_BT, documents_BT, ahead=2)
        losses["mtp_loss"] = _negative_mean(model, ahead_BTD, *targets, total)
    return losses


def _negative_mean(model: Transformer, hidden_BTD: Tensor, targets_BT: Tensor, mask_BT: Tensor, total: int) -> Tensor:
    logprobs_N, _ = model.logprobs(hidden_BTD[mask_BT], targets_BT[mask_BT])
    return lm_loss(logprobs_N, total_tokens=total)


def check_finite(row: Mapping[str, float], where: str, checkpoint: Path) -> None:
    """Stop at once where a loss or the gradient is NaN or infinite, before anything made from it is saved.

    Raises:
        TrainingDivergedError: names the last checkpoint, which is good since it was written before.
    """
    for name in ("loss", "mtp_loss", "gradient_norm"):
        if not math.isfinite(row[name]):
            raise diverged(f"{where}: the {name.replace('_', ' ')} is {row[name]}", checkpoint)


def diverged(what: str, checkpoint: Path) -> TrainingDivergedError:
    """The error, with where one can go on from and what to do."""
    newest = latest_checkpoint(checkpoint)
    kept = f"the last good checkpoint is {newest}" if newest else "there is no checkpoint yet"
    return TrainingDivergedError(f"{what}; {kept}; lower the learning rate")

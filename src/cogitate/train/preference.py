"""Loop 2 of 3, preferences: reward models (Bradley-Terry pairs, pointwise safety) and DPO.

One loop learns from numbered items; an `Objective` says what an item is and what is lost on it. Which items a step learns
from is a pure function of the step, so that a resumed run reads the same ones.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cogitate.algorithms.preference_loss import (
    PreferenceLoss,
    bradley_terry_loss,
    conservative_dpo_loss,
    dpo_loss,
    ipo_loss,
    safety_loss,
)
from cogitate.config import DPOConfig, PreferenceTrainingConfig
from cogitate.errors import DataError
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.runtime import MetricsLog, derive_seed, interruption_requested, raise_interrupted
from cogitate.train.checkpoint import save_checkpoint, training_tensors
from cogitate.train.learners.policy import split_evenly
from cogitate.train.optimisers.master_weights import Optimiser, clip_gradients, optimiser_for
from cogitate.train.optimisers.schedule import warmup_cosine
from cogitate.train.packing import length_batches
from cogitate.train.shared_prompts import SharedRows, Text, hidden_at, lay_out, row_sizes
from cogitate.train.supervised import check_finite, make_adamw, resume

Pair = tuple[Text, Text]  # chosen, rejected


class Objective(Protocol):
    """Items to learn from and what is lost on them."""

    @property
    def model(self) -> nn.Module:
        """What is trained, in place."""

    @property
    def sizes(self) -> Sequence[int]:
        """Tokens of each item: micro-batches are filled by these."""

    def loss(self, items: Sequence[int], total: int) -> tuple[Tensor, dict[str, float]]:
        """These items' share of the loss of a batch of `total`, and the sums over them of what is logged."""


class PairwiseReward:
    """A helpfulness reward model from pairs: `bradley_terry_loss`."""

    def __init__(self, model: ValueModel, pairs: Sequence[Pair]):
        self.model, self.pairs = model, pairs
        self.sizes = row_sizes(pairs)

    def loss(self, items: Sequence[int], total: int) -> tuple[Tensor, dict[str, float]]:
        chosen_B, rejected_B = text_rewards(self.model, [self.pairs[item] for item in items]).view(-1, 2).unbind(1)
        return bradley_terry_loss(chosen_B, rejected_B, total_pairs=total), pair_sums(chosen_B, rejected_B)


class PointwiseSafety:
    """A safety reward model from labelled texts: `safety_loss`."""

    def __init__(self, model: ValueModel, items: Sequence[tuple[Text, bool]]):
        self.model, self.items = model, items
        self.sizes = row_sizes([[text] for text, _ in items])

    def loss(self, items: Sequence[int], total: int) -> tuple[Tensor, dict[str, float]]:
        texts, labels = zip(*(self.items[item] for item in items), strict=True)
        scores_B = text_rewards(self.model, [[text] for text in texts])
        safe_B = torch.tensor(labels, device=scores_B.device)
        loss = safety_loss(scores_B, safe_B, total_items=total)
        with torch.no_grad():
            return loss, {"accuracy": float(((scores_B > 0) == safe_B).sum()), "reward": float(scores_B.sum())}


class DirectPreference:
    """A policy from pairs, against the reference it starts from (DPO, its conservative form, or IPO)."""

    def __init__(self, model: Transformer, reference: Transformer, pairs: Sequence[Pair], config: DPOConfig):
        self.model, self.pairs = model, pairs
        self.reference = reference.requires_grad_(False).eval()
        self.sizes = row_sizes(pairs)
        self.per_token = config.loss == "ipo"
        self.pair_loss = pair_loss_of(config)

    def loss(self, items: Sequence[int], total: int) -> tuple[Tensor, dict[str, float]]:
        rows = [self.pairs[item] for item in items]
        chosen_B, rejected_B = completion_logprobs(self.model, rows, per_token=self.per_token).view(-1, 2).unbind(1)
        with torch.no_grad():
            reference_B = completion_logprobs(self.reference, rows, per_token=self.per_token)
        ref_chosen_B, ref_rejected_B = reference_B.view(-1, 2).unbind(1)
        result = self.pair_loss(chosen_B, rejected_B, ref_chosen_B, ref_rejected_B, total)
        return result.loss, pair_sums(result.chosen_rewards_B, result.rejected_rewards_B)


PairLoss = Callable[[Tensor, Tensor, Tensor, Tensor, int], PreferenceLoss]


def pair_loss_of(config: DPOConfig) -> PairLoss:
    """The loss the settings name, of (chosen, rejected, reference chosen, reference rejected, pairs in all)."""
    beta = config.beta
    losses: dict[str, PairLoss] = {
        "dpo": lambda c, r, rc, rr, total: dpo_loss(c, r, rc, rr, beta=beta, total_pairs=total),
        "conservative_dpo": lambda c, r, rc, rr, total: conservative_dpo_loss(
            c, r, rc, rr, beta=beta, label_smoothing=config.label_smoothing, total_pairs=total
        ),
        "ipo": lambda c, r, rc, rr, total: ipo_loss(c, r, rc, rr, beta=beta, total_pairs=total),
    }
    return losses[config.loss]


@dataclass(frozen=True, slots=True)
class PreferenceRun:
    """What one run of the loop is given.

    Attributes:
        name: of what is trained; part of the seed of the order, and in every row of the log.
        first_row: the number of this run's first row in the log, where several runs share one.
    """

    name: str
    seed: int
    config: PreferenceTrainingConfig
    metrics: MetricsLog
    checkpoint: Path
    begin: Callable[[int, int], None]
    first_row: int = 0


def train_preferences(objective: Objective, run: PreferenceRun) -> int:
    """Train the objective's model in place, from the last checkpoint if there is one; returns the number of steps.

    Raises:
        DataError: there is no item.
        TrainingDivergedError, Interrupted: as in train/supervised.py.
    """
    config, model = run.config, objective.model
    steps = steps_in_all(len(objective.sizes), config, run.name)
    optimiser = optimiser_for(model, lambda trained: make_adamw(trained, config.learning_rate, config.weight_decay))
    first_step = resume(model, optimiser, run.checkpoint)
    if first_step == steps:
        return steps
    run.metrics.truncate(run.first_row + first_step)
    run.begin(run.first_row + steps, run.first_row + first_step)
    for step in range(first_step, steps):
        started = time.perf_counter()
        rate = warmup_cosine(
            step, steps=steps, peak=config.learning_rate, final=config.final_learning_rate, warmup_steps=config.warmup_steps
        )
        items = items_of_step(step, len(objective.sizes), config, run.seed, run.name)
        row = preference_step(objective, optimiser, items, config, learning_rate=rate)
        check_finite({**row, "mtp_loss": 0.0}, f"step {step} of {run.name}", run.checkpoint)
        speed = sum(objective.sizes[item] for item in items) / (time.perf_counter() - started)
        run.metrics.write(
            {"step": run.first_row + step, "model": run.name, **row, "learning_rate": rate, "tokens_per_second": speed}
        )
        stop = interruption_requested()
        if stop or step == steps - 1 or (step + 1) % config.checkpoint_every == 0:
            save_checkpoint(run.checkpoint, step + 1, training_tensors(model, optimiser), {})
        if stop:
            raise_interrupted(f"step {step + 1} of {run.name}")
    return steps


def steps_in_all(items: int, config: PreferenceTrainingConfig, name: str) -> int:
    """Whole epochs, each in batches of `config.batch` items as nearly as they can be of equal size."""
    if not items:
        raise DataError(f"{name}: there is nothing to learn from")
    return config.epochs * steps_of_epoch(items, config.batch)


def steps_of_epoch(items: int, batch: int) -> int:
    return max(1, round(items / batch))


def items_of_step(step: int, items: int, config: PreferenceTrainingConfig, seed: int, name: str) -> list[int]:
    """The items of a step: every epoch goes through all of them in an order of its own."""
    per_epoch = steps_of_epoch(items, config.batch)
    epoch, place = divmod(step, per_epoch)
    order = list(range(items))
    random.Random(derive_seed(seed, name, "epoch", epoch)).shuffle(order)
    return [order[index] for index in split_evenly(items, per_epoch)[place]]


def preference_step(
    objective: Objective, optimiser: Optimiser, items: Sequence[int], config: PreferenceTrainingConfig, *, learning_rate: float
) -> dict[str, float]:
    """One optimiser step, in micro-batches whose losses add up to the batch's."""
    sizes = [objective.sizes[item] for item in items]
    loss, sums = 0.0, dict[str, float]()
    optimiser.zero_grad(set_to_none=True)
    for places in length_batches(sizes, max(config.micro_tokens, *sizes)).batches:
        part, logged = objective.loss([items[place] for place in places], len(items))
        part.backward()
        loss += float(part.detach())
        for name, value in logged.items():
            sums[name] = sums.get(name, 0.0) + value
    norm = clip_gradients(objective.model, optimiser, config.gradient_clip)
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.step()
    return {"loss": loss, **{name: value / len(items) for name, value in sums.items()}, "gradient_norm": norm}


def text_rewards(model: ValueModel, rows: Sequence[Sequence[Text]]) -> Tensor:
    """The value at the last token of each text, float32 (S,), row by row; the texts of a row have one prompt."""
    shared, hidden_RTD = read_rows(model.trunk, rows)
    return model.values(hidden_at(hidden_RTD, shared.last_places.to(hidden_RTD.device)))


def completion_logprobs(model: Transformer, rows: Sequence[Sequence[Text]], *, per_token: bool) -> Tensor:
    """log pi(completion | prompt), float32 (S,), row by row: the sum over its tokens, or their mean."""
    shared, hidden_RTD = read_rows(model, rows)
    device, texts = hidden_RTD.device, [text for row in rows for text in row]
    lengths_S = torch.tensor([len(text.completion_ids) for text in texts], device=device)
    sources_N = torch.from_numpy(np.concatenate([span.sources for span in shared.spans])).to(device)
    targets_N = torch.tensor([token for text in texts for token in text.completion_ids], device=device)
    logprobs_N = model.logprobs(hidden_at(hidden_RTD, sources_N), targets_N)[0]
    text_N = torch.repeat_interleave(torch.arange(len(texts), device=device), lengths_S)
    sums_S = logprobs_N.new_zeros(len(texts)).index_add(0, text_N, logprobs_N)
    return sums_S / lengths_S if per_token else sums_S


def read_rows(model: Transformer, rows: Sequence[Sequence[Text]]) -> tuple[SharedRows, Tensor]:
    """Where the texts stand, and the hidden states (R, T, D) of their rows."""
    shared, device = lay_out(rows), model.embed_tokens.weight.device
    return shared, model(shared.tokens_RT.to(device), documents_BT=shared.documents_RT.to(device), shared_prefix=True)


@torch.no_grad()
def pair_sums(chosen_B: Tensor, rejected_B: Tensor) -> dict[str, float]:
    """Sums over pairs of what is logged of them."""
    return {
        "accuracy": float((chosen_B > rejected_B).sum()),
        "margin": float((chosen_B - rejected_B).sum()),
        "chosen_reward": float(chosen_B.sum()),
        "rejected_reward": float(rejected_B.sum()),
    }

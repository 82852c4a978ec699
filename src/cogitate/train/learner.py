"""The policy and its optimiser: one `update` is one or more optimiser steps over a batch of graded rollouts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from cogitate.algorithms.policy_loss import (
    AVERAGES,
    BatchTotals,
    RatioStatistics,
    grpo_loss,
    logprob_gap,
    truncated_importance_weights,
)
from cogitate.config import RLConfig
from cogitate.errors import TrainingDivergedError
from cogitate.model.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.train.checkpoint import load_checkpoint, restore_training_tensors, save_checkpoint, training_tensors
from cogitate.train.packing import length_batches
from cogitate.train.schedule import warmup_constant
from cogitate.train.supervised import make_adamw
from cogitate.types import Rollout

MICRO_BATCH_TOKENS = 8192  # padded tokens of one forward and backward pass


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Right-padded rollouts of similar length, with everything the loss reads; only completion tokens are in the mask.

    Attributes:
        tokens_BT: prompt + completion; positions t of the next four predict token t + 1, so they have T - 1 columns.
        mask_BT, sampler_logprobs_BT: loss mask and the sampler's logprobs of the predicted tokens.
        old_logprobs_BT: of the policy before the first update on this batch; None while there has been none.
        ref_logprobs_BT: of the reference; None where KL is not asked for.
    """

    tokens_BT: Tensor
    mask_BT: Tensor
    sampler_logprobs_BT: Tensor
    advantages_B: Tensor
    old_logprobs_BT: Tensor | None = None
    ref_logprobs_BT: Tensor | None = None


class PolicyLearner:
    """GRPO's learner on one device.

    Where a batch is used for a single optimiser step, the policy that sampled is the policy that learns, so old logprobs are
    the current ones and are not computed twice (ratio 1, unchanged gradient).
    """

    def __init__(self, model: Transformer, config: RLConfig):
        self.model = model
        self.config = config
        self.optimiser = make_adamw(model, config.learning_rate, config.weight_decay)
        self.reference = copy.deepcopy(model).requires_grad_(False) if config.kl_beta > 0 else None
        self.steps_done = 0
        self.model.train()

    def update(self, rollouts: Sequence[Rollout], advantages: Sequence[float]) -> dict[str, float]:
        """All optimiser steps of one rollout batch; rollouts of dead groups and without a verdict must have been left out.

        Raises:
            TrainingDivergedError: a loss is NaN or infinite; the weights are those before that step.
        """
        parts = split_evenly(len(rollouts), self.config.minibatches)
        single = len(parts) * self.config.inner_epochs == 1
        prepared = []
        for part in parts:
            batches = self._micro_batches([rollouts[i] for i in part], [advantages[i] for i in part], with_old=not single)
            prepared.append(batches)
        rows = [self._optimiser_step(batches) for _ in range(self.config.inner_epochs) for batches in prepared]
        return {name: (max if name.endswith("_max") else fmean)([row[name] for row in rows]) for name in rows[0]}

    def _micro_batches(self, rollouts: list[Rollout], advantages: list[float], *, with_old: bool) -> list[MicroBatch]:
        """Pad, and score by the frozen models, in micro-batches of similar length."""
        lengths = [len(r.prompt_ids) + len(r.completion_ids) for r in rollouts]
        batches = []
        for indices in length_batches(lengths, max(MICRO_BATCH_TOKENS, max(lengths))).batches:
            batch = pad([rollouts[i] for i in indices], [advantages[i] for i in indices], next(self.model.parameters()).device)
            old = ref = None
            with torch.no_grad():
                if with_old:
                    old, _ = self._logprobs(self.model, batch)
                if self.reference is not None:
                    ref, _ = self._logprobs(self.reference, batch)
            batches.append(
                MicroBatch(batch.tokens_BT, batch.mask_BT, batch.sampler_logprobs_BT, batch.advantages_B, old, ref)
            )
        return batches

    def _logprobs(self, model: Transformer, batch: MicroBatch) -> tuple[Tensor, Tensor]:
        """Logprobs (B, T - 1) of the predicted tokens at the sampling temperature, 0 outside the mask, and their entropies."""
        hidden_BTD = model(batch.tokens_BT[:, :-1])
        mask = batch.mask_BT.bool()
        logprobs_N, entropy_N = model.logprobs(
            hidden_BTD[mask], batch.tokens_BT[:, 1:][mask], temperature=self.config.temperature
        )
        return torch.zeros_like(batch.sampler_logprobs_BT).masked_scatter(mask, logprobs_N.float()), entropy_N

    def _optimiser_step(self, batches: Sequence[MicroBatch]) -> dict[str, float]:
        config = self.config
        totals = BatchTotals(
            sum(int(b.mask_BT.any(1).sum()) for b in batches), sum(int(b.mask_BT.sum()) for b in batches), config.max_new_tokens
        )
        loss = entropy = gap = 0.0
        gap_max = 0.0
        statistics: RatioStatistics | None = None
        self.optimiser.zero_grad(set_to_none=True)
        for batch in batches:
            logprobs_BT, entropy_N = self._logprobs(self.model, batch)
            old = logprobs_BT.detach() if batch.old_logprobs_BT is None else batch.old_logprobs_BT
            part = grpo_loss(
                logprobs_BT,
                batch.old_logprobs_BT,
                batch.advantages_B,
                batch.mask_BT,
                clip_eps_low=config.clip_eps_low,
                clip_eps_high=config.clip_eps_high,
                average=AVERAGES[config.loss_average],
                totals=totals,
                ref_logprobs_BT=batch.ref_logprobs_BT,
                kl_beta=config.kl_beta,
                importance_weights_BT=truncated_importance_weights(
                    old, batch.sampler_logprobs_BT, batch.mask_BT, cap=config.importance_cap
                ),
            )
            part.loss.backward()
            loss += float(part.loss.detach())
            entropy += float(entropy_N.sum()) / totals.tokens
            gap_sum, gap_here = logprob_gap(old, batch.sampler_logprobs_BT, batch.mask_BT)
            gap += float(gap_sum) / totals.tokens
            gap_max = max(gap_max, float(gap_here))
            statistics = part.statistics if statistics is None else statistics + part.statistics
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip))
        if not (abs(loss) < float("inf") and norm < float("inf")):
            raise TrainingDivergedError(f"the loss is {loss} and its gradient norm {norm}; lower the learning rate")
        rate = warmup_constant(self.steps_done, peak=config.learning_rate, warmup_steps=config.warmup_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.steps_done += 1
        if self.reference is not None and self.steps_done % config.reference_refresh_steps == 0:
            self.reference.load_state_dict(self.model.state_dict())
        assert statistics is not None
        return {
            "loss": loss,
            **statistics.metrics(),
            "entropy": entropy,
            "logprob_gap": gap,
            "logprob_gap_max": gap_max,
            "gradient_norm": norm,
            "learning_rate": rate,
        }

    def save(self, path: Path) -> None:
        """A checkpoint directory under `path`; see train/checkpoint.py."""
        self.save_with(path, self.steps_done, {})

    def save_with(self, path: Path, step: int, state: dict[str, object]) -> None:
        """A checkpoint that also carries the loop's own state and step."""
        tensors = training_tensors(self.model, self.optimiser)
        if self.reference is not None:
            tensors |= {f"reference.{name}": tensor for name, tensor in self.reference.state_dict().items()}
        save_checkpoint(path, step, tensors, {**state, "optimiser_steps": self.steps_done})

    def load(self, path: Path) -> None:
        """From a checkpoint directory."""
        tensors, state = load_checkpoint(path)
        restore_training_tensors(self.model, self.optimiser, tensors)
        if self.reference is not None:
            prefix = "reference."
            self.reference.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
        self.steps_done = int(state["optimiser_steps"])

    def save_weights(self, path: Path) -> None:
        """The policy alone, as a Hugging Face directory."""
        save_model(self.model, path)


def pad(rollouts: Sequence[Rollout], advantages: Sequence[float], device: torch.device) -> MicroBatch:
    """Rollouts as right-padded tensors; column t of mask and logprobs belongs to token t + 1."""
    width = max(len(r.prompt_ids) + len(r.completion_ids) for r in rollouts)
    tokens_BT = torch.zeros(len(rollouts), width, dtype=torch.long)
    mask_BT = torch.zeros(len(rollouts), width - 1)
    logprobs_BT = torch.zeros(len(rollouts), width - 1)
    for row, rollout in enumerate(rollouts):
        start, stop = len(rollout.prompt_ids), len(rollout.prompt_ids) + len(rollout.completion_ids)
        tokens_BT[row, :stop] = torch.tensor(rollout.prompt_ids + rollout.completion_ids)
        mask_BT[row, start - 1 : stop - 1] = torch.tensor(rollout.loss_mask, dtype=torch.float32)
        logprobs_BT[row, start - 1 : stop - 1] = torch.tensor(rollout.logprobs)
    return MicroBatch(tokens_BT.to(device), mask_BT.to(device), logprobs_BT.to(device), torch.tensor(advantages).to(device))


def split_evenly(count: int, parts: int) -> list[range]:
    """0..count-1 as at most `parts` consecutive ranges whose sizes differ by at most one."""
    parts = min(parts, count)
    bounds = [count * i // parts for i in range(parts + 1)]
    return [range(a, b) for a, b in pairwise(bounds)]

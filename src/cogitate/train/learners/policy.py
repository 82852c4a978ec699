"""The policy and its optimiser: one `update` is one or more optimiser steps over a batch of graded rollouts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

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
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.train.checkpoint import load_checkpoint, restore_training_tensors, save_checkpoint, training_tensors
from cogitate.train.optimisers.master_weights import clip_gradients, optimiser_for
from cogitate.train.optimisers.schedule import warmup_constant
from cogitate.train.shared_prompts import PromptRows, prompt_rows
from cogitate.train.supervised import make_adamw
from cogitate.types import Rollout

MICRO_BATCH_TOKENS = 4096  # padded tokens of one forward and backward pass, at most
ACTIVATION_BYTES = 1 << 29  # that a pass keeps for its backward pass, about
ROW_TOKENS = 2048  # a row holds a prompt and completions of it up to about this length
LEAST_TOKENS = 256  # of a pass of a model, however large it is


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows of rollouts with everything the loss reads, (S, L) like the rows' mask.

    Attributes:
        old_logprobs_SL: of the policy before the first update on this batch; None while there has been none.
        ref_logprobs_SL: of the reference; None where KL is not asked for.
    """

    rows: PromptRows
    advantages_S: Tensor
    old_logprobs_SL: Tensor | None
    ref_logprobs_SL: Tensor | None


class PolicyLearner:
    """GRPO's learner on one device.

    Where a batch is used for a single optimiser step, the policy that sampled is the policy that learns, so old logprobs are
    the current ones and are not computed twice (ratio 1, unchanged gradient).
    """

    def __init__(self, model: Transformer, config: RLConfig):
        self.model = model
        self.config = config
        self.reference = copy.deepcopy(model).requires_grad_(False) if config.kl_beta > 0 else None
        self.optimiser = optimiser_for(model, lambda trained: make_adamw(trained, config.learning_rate, config.weight_decay))
        self.steps_done = 0
        self.model.train()
        self.pass_tokens = fit_pass(self.model)

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

    @torch.no_grad()
    def _micro_batches(self, rollouts: list[Rollout], advantages: list[float], *, with_old: bool) -> list[MicroBatch]:
        """Lay the rollouts out in rows and score them by the frozen models."""
        device = next(self.model.parameters()).device
        batches = []
        for rows in prompt_rows(rollouts, row_tokens=min(ROW_TOKENS, self.pass_tokens), batch_tokens=self.pass_tokens):
            rows = rows.to(device)
            old = self._logprobs(self.model, rows)[0] if with_old else None
            ref = None if self.reference is None else self._logprobs(self.reference, rows)[0]
            batches.append(MicroBatch(rows, torch.tensor([advantages[i] for i in rows.indices], device=device), old, ref))
        return batches

    def _logprobs(self, model: Transformer, rows: PromptRows) -> tuple[Tensor, Tensor]:
        """Logprobs (S, L) of the counted tokens at the sampling temperature, 0 elsewhere, and their entropies (N,)."""
        hidden_RTD = model(rows.tokens_RT, documents_BT=rows.documents_RT, shared_prefix=True)
        logprobs_N, entropy_N = model.logprobs(rows.sources_of(hidden_RTD), rows.targets_N, temperature=self.config.temperature)
        return torch.zeros_like(rows.mask_SL).masked_scatter(rows.mask_SL.bool(), logprobs_N.float()), entropy_N

    def _optimiser_step(self, batches: Sequence[MicroBatch]) -> dict[str, float]:
        config = self.config
        totals = BatchTotals(
            sequences=sum(int(batch.rows.mask_SL.any(1).sum()) for batch in batches),
            tokens=sum(int(batch.rows.mask_SL.sum()) for batch in batches),
            max_new_tokens=config.max_new_tokens,
        )
        loss = entropy = gap = 0.0
        gap_max = 0.0
        statistics: RatioStatistics | None = None
        self.optimiser.zero_grad(set_to_none=True)
        for batch in batches:
            mask_SL, sampler_SL = batch.rows.mask_SL, batch.rows.sampler_logprobs_SL
            logprobs_SL, entropy_N = self._logprobs(self.model, batch.rows)
            old = logprobs_SL.detach() if batch.old_logprobs_SL is None else batch.old_logprobs_SL
            part = grpo_loss(
                logprobs_SL,
                batch.old_logprobs_SL,
                batch.advantages_S,
                mask_SL,
                clip_eps_low=config.clip_eps_low,
                clip_eps_high=config.clip_eps_high,
                average=AVERAGES[config.loss_average],
                totals=totals,
                ref_logprobs_BT=batch.ref_logprobs_SL,
                kl_beta=config.kl_beta,
                importance_weights_BT=truncated_importance_weights(old, sampler_SL, mask_SL, cap=config.importance_cap),
            )
            part.loss.backward()
            loss += float(part.loss.detach())
            entropy += float(entropy_N.sum()) / totals.tokens
            gap_sum, gap_here = logprob_gap(old, sampler_SL, mask_SL)
            gap += float(gap_sum) / totals.tokens
            gap_max = max(gap_max, float(gap_here))
            statistics = part.statistics if statistics is None else statistics + part.statistics
        norm = clip_gradients(self.model, self.optimiser, config.gradient_clip)
        if not (abs(loss) < float("inf") and norm < float("inf")):
            raise TrainingDivergedError(f"the loss is {loss} and its gradient norm {norm}")
        rate = warmup_constant(self.steps_done, peak=config.learning_rate, warmup_steps=config.warmup_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.steps_done += 1
        self.refresh_reference()
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
        save_checkpoint(path, step, self.tensors(), {**state, "optimiser_steps": self.steps_done})

    def load(self, path: Path) -> dict[str, Any]:
        """From a checkpoint directory; returns the loop's state and step that were saved with it."""
        tensors, state = load_checkpoint(path)
        self.restore(tensors, path)
        self.steps_done = int(state.pop("optimiser_steps"))
        return state

    def tensors(self) -> dict[str, Tensor]:
        """Everything large that a checkpoint holds."""
        tensors = training_tensors(self.model, self.optimiser)
        if self.reference is not None:
            tensors |= {f"reference.{name}": tensor for name, tensor in self.reference.state_dict().items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor], path: Path) -> None:
        """The inverse of `tensors`, in place, from those of the checkpoint `path`."""
        restore_training_tensors(self.model, self.optimiser, tensors, path)
        if self.reference is not None:
            prefix = "reference."
            self.reference.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})

    def refresh_reference(self) -> None:
        """Replace the reference by the policy where it is time to."""
        if self.reference is not None and self.steps_done % self.config.reference_refresh_steps == 0:
            self.reference.load_state_dict(self.model.state_dict())

    def save_weights(self, path: Path) -> None:
        """The policy alone, as a Hugging Face directory."""
        save_model(self.model, path)


def fit_pass(*models: Transformer) -> int:
    """Set large models to compute their layers again in the backward pass; returns the tokens of a pass of these models.

    They are MICRO_BATCH_TOKENS, fewer only of the very largest. A model is large where such a pass would keep more than
    ACTIVATION_BYTES. With 135 M parameters computing again (gradient checkpointing) takes less time than several small
    passes, whose products have few rows and whose gradients have to be added up.
    """
    for model in models:
        if MICRO_BATCH_TOKENS * kept_bytes(model) > ACTIVATION_BYTES:
            model.gradient_checkpointing = True
    return min(MICRO_BATCH_TOKENS, max(LEAST_TOKENS, ACTIVATION_BYTES // max(map(kept_bytes, models))))


def kept_bytes(model: Transformer) -> int:
    """What a token keeps for the backward pass, about: all of each layer, or the input of each layer and all of one."""
    config, recompute = model.config, model.gradient_checkpointing
    of_layer = 8 * config.hidden_size + 3 * config.intermediate_size
    numbers = config.num_hidden_layers * (config.hidden_size if recompute else of_layer) + of_layer * recompute
    return numbers * model.head_weight.dtype.itemsize


def split_evenly(count: int, parts: int) -> list[range]:
    """0..count-1 as at most `parts` consecutive ranges whose sizes differ by at most one."""
    parts = min(parts, count)
    bounds = [count * i // parts for i in range(parts + 1)]
    return [range(a, b) for a, b in pairwise(bounds)]

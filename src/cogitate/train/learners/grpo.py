"""GRPO's learner (DeepSeekMath, arXiv:2402.03300, section 4.1), with the variants that RLConfig names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cogitate.algorithms.policy_loss import (
    AVERAGES,
    RatioStatistics,
    grpo_loss,
    logprob_gap,
    truncated_importance_weights,
)
from cogitate.config import RLConfig
from cogitate.errors import TrainingDivergedError
from cogitate.train.learners.policy import ReferencedPolicy
from cogitate.train.optimisers.master_weights import clip_gradients
from cogitate.train.shared_prompts import PromptRows


@dataclass(frozen=True, slots=True)
class GRPOBatch:
    """Rows of rollouts with everything the loss reads, (S, L) like the rows' mask.

    Attributes:
        old_logprobs_SL: of the policy before the first update on this batch; None while there has been none.
        ref_logprobs_SL: of the reference; None where KL is not asked for.
    """

    rows: PromptRows
    advantages_S: Tensor
    old_logprobs_SL: Tensor | None
    ref_logprobs_SL: Tensor | None


class GRPOLearner(ReferencedPolicy[GRPOBatch, RLConfig]):
    """One advantage for all tokens of a rollout.

    Where a batch is used for a single optimiser step, the policy that sampled is the policy that learns, so old logprobs are
    the current ones and are not computed twice (ratio 1, unchanged gradient).
    """

    @torch.no_grad()
    def micro_batch(self, rows: PromptRows, advantages: Sequence[float], *, single: bool) -> GRPOBatch:
        old = None if single else self.logprobs(self.model, rows)[0]
        ref = None if self.reference is None else self.logprobs(self.reference, rows)[0]
        return GRPOBatch(rows, torch.tensor(advantages, device=rows.mask_SL.device), old, ref)

    def optimiser_step(self, batches: Sequence[GRPOBatch]) -> dict[str, float]:
        config, totals = self.config, self.totals(batches)
        loss = entropy = gap = 0.0
        gap_max = 0.0
        statistics: RatioStatistics | None = None
        self.optimiser.zero_grad(set_to_none=True)
        for batch in batches:
            mask_SL, sampler_SL = batch.rows.mask_SL, batch.rows.sampler_logprobs_SL
            logprobs_SL, entropy_N = self.logprobs(self.model, batch.rows)
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
        rate = self.move()
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

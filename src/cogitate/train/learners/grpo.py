"""The learner of GRPO (DeepSeekMath, arXiv:2402.03300, section 4.1) and of the other methods in `config/methods.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cogitate.algorithms.advantages import with_kl_penalty
from cogitate.algorithms.kl import KL_ESTIMATORS
from cogitate.algorithms.policy_loss import AVERAGES, LOSSES, PolicyLoss, RatioStatistics
from cogitate.algorithms.sampler_gap import logprob_gap, truncated_importance_weights
from cogitate.config import RLConfig
from cogitate.config.methods import METHODS
from cogitate.errors import TrainingDivergedError
from cogitate.model.transformer import Transformer
from cogitate.train.learners.policy import ReferencedPolicy
from cogitate.train.optimisers.master_weights import clip_gradients
from cogitate.train.shared_prompts import PromptRows


@dataclass(frozen=True, slots=True)
class GRPOBatch:
    """Rows of rollouts with everything the loss reads, (S, L) like the rows' mask.

    Attributes:
        advantages: (S,), one for all tokens of a rollout, or (S, L) where the KL is in the reward.
        old_logprobs_SL: of the policy before the first update on this batch; None while there has been none.
        ref_logprobs_SL: of the reference; None where KL is not asked for.
    """

    rows: PromptRows
    advantages: Tensor
    old_logprobs_SL: Tensor | None
    ref_logprobs_SL: Tensor | None


class GRPOLearner(ReferencedPolicy[GRPOBatch, RLConfig]):
    """One advantage for all tokens of a rollout, lowered token by token where the KL is in the reward.

    Where a batch is used for a single optimiser step, the policy that sampled is the policy that learns, so old logprobs are
    the current ones and are not computed twice (ratio 1, unchanged gradient).
    """

    def __init__(self, model: Transformer, config: RLConfig):
        super().__init__(model, config)
        self.policy_loss = policy_loss_of(config)

    @torch.no_grad()
    def micro_batch(self, rows: PromptRows, advantages: Sequence[float], *, single: bool) -> GRPOBatch:
        config = self.config
        penalised = self.reference is not None and config.kl_place == "reward"
        old = None if single and not penalised else self.logprobs(self.model, rows)[0]
        ref = None if self.reference is None else self.logprobs(self.reference, rows)[0]
        of_tokens = torch.tensor(advantages, device=rows.mask_SL.device)
        if penalised:
            assert old is not None
            assert ref is not None
            kl_SL = KL_ESTIMATORS[config.kl_estimator](old, ref)
            of_tokens = with_kl_penalty(of_tokens, kl_SL, rows.mask_SL, kl_beta=config.kl_beta)
        return GRPOBatch(rows, of_tokens, old, ref)

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
            part = self.policy_loss(
                logprobs_SL,
                batch.old_logprobs_SL,
                batch.advantages,
                mask_SL,
                totals=totals,
                ref_logprobs_BT=batch.ref_logprobs_SL,
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


def policy_loss_of(config: RLConfig) -> Callable[..., PolicyLoss]:
    """The loss of the method, with its settings."""
    method = METHODS[config.method]
    bounds = {name: getattr(config, name) for name in ("clip_eps_low", "clip_eps_high") if name not in method.ignores}
    return partial(
        LOSSES[method.loss],
        average=AVERAGES[config.loss_average],
        kl_beta=config.kl_beta if config.kl_place == "loss" else 0.0,
        kl_estimate=KL_ESTIMATORS[config.kl_estimator],
        **bounds,
    )

"""The learner of GRPO (DeepSeekMath, arXiv:2402.03300, section 4.1) and of the other methods in `config/methods.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cogitate.algorithms.advantages import with_kl_penalty
from cogitate.algorithms.averages import AVERAGES
from cogitate.algorithms.covariance_loss import covariances, drawn_covariances, highest_covariances
from cogitate.algorithms.kl import KL_ESTIMATORS
from cogitate.algorithms.loss_parts import PolicyLoss, RatioStatistics, per_token
from cogitate.algorithms.numbers import added, as_floats
from cogitate.algorithms.policy_loss import LOSSES
from cogitate.algorithms.sampler_gap import IMPORTANCE_WEIGHTS, logprob_gap
from cogitate.config import RLConfig
from cogitate.config.methods import METHODS
from cogitate.device import send
from cogitate.errors import TrainingDivergedError
from cogitate.model.transformer import Transformer
from cogitate.runtime import derive_seed
from cogitate.train.learners.policy import Prepared, ReferencedPolicy
from cogitate.train.learners.whitening import whitened_together
from cogitate.train.optimisers.master_weights import clip_gradients
from cogitate.train.rows.shared_prompts import PromptRows
from cogitate.train.sharded.ranks import ALONE, Ranks


@dataclass(frozen=True, slots=True)
class GRPOBatch:
    """Rows of rollouts with everything the loss reads, (S, L) like the rows' mask.

    Attributes:
        advantages: (S,), one for all tokens of a rollout, or (S, L) where the KL is in the reward or tokens are whitened.
        old_logprobs_SL: of the policy before the first update on this batch; None while there has been none.
        ref_logprobs_SL: of the reference; None where KL is not asked for.
        chosen_SL: the tokens that the loss restricts for their covariance, of methods that do.
    """

    rows: PromptRows
    advantages: Tensor
    old_logprobs_SL: Tensor | None
    ref_logprobs_SL: Tensor | None
    chosen_SL: Tensor | None = None


class GRPOLearner(ReferencedPolicy[GRPOBatch, RLConfig]):
    """One advantage for all tokens of a rollout, lowered token by token where the KL is in the reward.

    Where a batch is used for a single optimiser step, the policy that sampled is the policy that learns, so old logprobs are
    the current ones and are not computed twice (ratio 1, unchanged gradient).
    """

    def __init__(self, model: Transformer, config: RLConfig, ranks: Ranks = ALONE):
        super().__init__(model, config, ranks)
        self.policy_loss = policy_loss_of(config)

    @torch.no_grad()
    def micro_batch(self, rows: PromptRows, advantages: Sequence[float], *, single: bool) -> GRPOBatch:
        config = self.config
        penalised = self.reference is not None and config.kl_place == "reward"
        needs_old = penalised or chooses_tokens(config)
        old = None if single and not needs_old else self.logprobs(self.model, rows)[0]
        ref = None if self.reference is None else self.logprobs(self.reference, rows)[0]
        of_tokens = send(torch.tensor(advantages), rows.mask_SL.device)
        if penalised:
            assert old is not None
            assert ref is not None
            kl_SL = KL_ESTIMATORS[config.kl_estimator](old, ref)
            of_tokens = with_kl_penalty(of_tokens, kl_SL, rows.mask_SL, kl_beta=config.kl_beta)
        return GRPOBatch(rows, of_tokens, old, ref)

    def prepared(self, minibatches: Sequence[Sequence[GRPOBatch]]) -> Prepared[GRPOBatch]:
        """Advantages whitened, and tokens chosen by their covariance, over the whole rollout batch where that is asked for."""
        batches = [batch for part in minibatches for batch in part]
        if self.config.whiten_tokens:
            pairs = [(per_token(b.advantages, b.rows.mask_SL).expand_as(b.rows.mask_SL), b.rows.mask_SL) for b in batches]
            whitened = whitened_together([a for a, _ in pairs], [mask for _, mask in pairs], self.ranks)
            batches = [replace(batch, advantages=a) for batch, a in zip(batches, whitened, strict=True)]
        if chooses_tokens(self.config):
            chosen = choose_tokens(batches, self.config, draw=self.steps_done, ranks=self.ranks)
            batches = [replace(batch, chosen_SL=c) for batch, c in zip(batches, chosen, strict=True)]
        rest = iter(batches)
        return Prepared([[next(rest) for _ in part] for part in minibatches], {})

    def optimiser_step(self, batches: Sequence[GRPOBatch]) -> dict[str, float]:
        config, totals = self.config, self.totals(batches)
        measured: list[Tensor] = []  # five numbers of each micro-batch
        statistics: RatioStatistics | None = None
        self.optimiser.zero_grad(set_to_none=True)
        for batch in batches:
            mask_SL, sampler_SL = batch.rows.mask_SL, batch.rows.sampler_logprobs_SL
            logprobs_SL, entropy_N = self.logprobs(self.model, batch.rows)
            old = logprobs_SL.detach() if batch.old_logprobs_SL is None else batch.old_logprobs_SL
            weights_SL = IMPORTANCE_WEIGHTS[config.importance_correction](old, sampler_SL, mask_SL, cap=config.importance_cap)
            part = self.policy_loss(
                logprobs_SL,
                batch.old_logprobs_SL,
                batch.advantages,
                mask_SL,
                totals=totals,
                ref_logprobs_BT=batch.ref_logprobs_SL,
                importance_weights_BT=weights_SL,
                **({} if batch.chosen_SL is None else {"chosen_BT": batch.chosen_SL}),
            )
            part.loss.backward()
            masked_here = ((weights_SL == 0) & mask_SL.bool()).sum()
            measured += (part.loss.detach(), entropy_N.sum(), masked_here, *logprob_gap(old, sampler_SL, mask_SL))
            statistics = part.statistics if statistics is None else statistics + part.statistics
        norm = clip_gradients(self.model, self.optimiser, config.gradient_clip, self.ranks)
        numbers = as_floats(measured)
        losses, entropies, maskeds, gaps, gap_maxima = (numbers[first::5] for first in range(5))
        means = (added(each / totals.tokens for each in sums) for sums in (entropies, maskeds, gaps))
        loss, entropy, masked, gap = self.ranks.added([added(losses), *means])
        if not (abs(loss) < float("inf") and norm < float("inf")):
            raise TrainingDivergedError(f"the loss is {loss} and its gradient norm {norm}")
        rate = self.move()
        assert statistics is not None
        return {
            "loss": loss,
            **statistics.metrics(self.ranks.added, self.ranks.highest),
            "entropy": entropy,
            "logprob_gap": gap,
            "logprob_gap_max": self.ranks.highest([max(gap_maxima)])[0],
            "gradient_norm": norm,
            "learning_rate": rate,
            **({"importance_masked_share": masked} if config.importance_correction.endswith("mask") else {}),
        }


def chooses_tokens(config: RLConfig) -> bool:
    """Whether the loss restricts some tokens for their covariance."""
    return "covariance_share" in METHODS[config.method].reads


def choose_tokens(batches: Sequence[GRPOBatch], config: RLConfig, *, draw: int, ranks: Ranks = ALONE) -> list[Tensor]:
    """The tokens (S, L) of each micro-batch that the loss restricts, chosen from all tokens of the rollout batch together.

    Covariances are those of the policy before the first update on the batch. What is drawn depends on the order of tokens,
    which is another one for each number of ranks.

    Args:
        draw: what Clip-Cov's choice is drawn with; another one for each rollout batch.
    """
    masks = [batch.rows.mask_SL.bool() for batch in batches]
    olds = [batch.old_logprobs_SL for batch in batches]
    logprobs_N = torch.cat([old[mask] for old, mask in zip(olds, masks, strict=True) if old is not None])
    of_tokens = [per_token(batch.advantages, batch.rows.mask_SL).expand_as(batch.rows.mask_SL) for batch in batches]
    advantages_N = torch.cat([advantages[mask] for advantages, mask in zip(of_tokens, masks, strict=True)])
    (all_N, mine), (all_advantages_N, _) = ranks.gathered(logprobs_N), ranks.gathered(advantages_N)
    covariances_N = covariances(all_N, all_advantages_N)
    if "covariance_low" in METHODS[config.method].reads:
        chosen_N = drawn_covariances(
            covariances_N, share=config.covariance_share, low=config.covariance_low, high=config.covariance_high,
            generator=torch.Generator().manual_seed(derive_seed("covariances", draw)),
        )  # fmt: skip
    else:
        chosen_N = highest_covariances(covariances_N, share=config.covariance_share)
    of_batches = chosen_N[mine].split([int(mask.sum()) for mask in masks])
    return [torch.zeros_like(mask).masked_scatter(mask, chosen) for mask, chosen in zip(masks, of_batches, strict=True)]


def policy_loss_of(config: RLConfig) -> Callable[..., PolicyLoss]:
    """The loss of the method, with its settings."""
    method = METHODS[config.method]
    of_loss = [name for name in ("clip_eps_low", "clip_eps_high") if name not in method.ignores]
    of_loss += [name for name in ("covariance_kl", "log_ratio_penalty") if name in method.reads]
    settings: dict[str, Any] = {name: getattr(config, name) for name in of_loss}
    return partial(
        LOSSES[method.loss],
        average=AVERAGES[config.loss_average],
        kl_beta=config.kl_beta if config.kl_place == "loss" else 0.0,
        kl_estimate=KL_ESTIMATORS[config.kl_estimator],
        **settings,
    )

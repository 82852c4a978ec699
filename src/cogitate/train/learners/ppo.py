"""PPO's learner: a policy, a critic and the SFT model it is kept close to (InstructGPT, arXiv:2203.02155, section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from cogitate.algorithms.advantages import gae, token_rewards
from cogitate.algorithms.averages import AVERAGES
from cogitate.algorithms.kl import k1_kl
from cogitate.algorithms.loss_parts import RatioStatistics
from cogitate.algorithms.numbers import added, as_floats
from cogitate.algorithms.policy_loss import grpo_loss
from cogitate.algorithms.sampler_gap import IMPORTANCE_WEIGHTS, logprob_gap
from cogitate.algorithms.value_loss import value_loss
from cogitate.config import PPOConfig
from cogitate.device import send
from cogitate.errors import TrainingDivergedError
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.train.checkpoint import restore_training_tensors, training_tensors
from cogitate.train.learners.policy import Prepared, ReferencedPolicy, fit_pass
from cogitate.train.learners.whitening import whitened_together
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.optimisers.master_weights import clip_gradients, optimiser_for
from cogitate.train.rows.shared_prompts import PromptRows, hidden_of
from cogitate.train.sharded.parts import Pieces
from cogitate.train.sharded.ranks import ALONE, Ranks

CRITIC = "critic."


@dataclass(frozen=True, slots=True)
class PPOBatch:
    """Rows of rollouts with everything the losses read, (S, L) like the rows' mask, all from before the first update.

    Attributes:
        kl_SL: log(pi / pi_SFT) of the sampled tokens.
        returns_SL: what the critic should have said.
    """

    rows: PromptRows
    old_logprobs_SL: Tensor
    old_values_SL: Tensor
    kl_SL: Tensor
    advantages_SL: Tensor
    returns_SL: Tensor


class PPOLearner(ReferencedPolicy[PPOBatch, PPOConfig]):
    """Policy and critic. The KL to the SFT model (the policy at the start) is in the reward, not in the loss.

    `update` is given the reward of each rollout; what each of its tokens earned of it is found out with the critic.
    """

    def __init__(self, model: Transformer, critic: ValueModel, config: PPOConfig, ranks: Ranks = ALONE):
        super().__init__(model, config, ranks)
        self.critic = ranks.shard(critic).train()
        self.pass_tokens = fit_pass(model, critic.trunk)
        rate, decay = config.critic_learning_rate, config.weight_decay
        self.critic_optimiser = optimiser_for(critic, lambda trained: make_adamw(trained, rate, decay))

    @torch.no_grad()
    def micro_batch(self, rows: PromptRows, advantages: Sequence[float], *, single: bool) -> PPOBatch:
        config, mask_SL = self.config, rows.mask_SL
        old_SL, values_SL = self.logprobs(self.model, rows)[0], self._values(rows)
        kl_SL = torch.zeros_like(old_SL)
        if self.reference is not None:
            kl_SL = k1_kl(old_SL, self.logprobs(self.reference, rows)[0])
        rewards_S = send(torch.tensor(advantages, dtype=torch.float32), mask_SL.device)
        earned_SL = token_rewards(rewards_S, kl_SL, mask_SL, kl_beta=config.kl_beta)
        advantages_SL, returns_SL = gae(earned_SL, values_SL, mask_SL, gamma=config.gamma, lam=config.gae_lambda)
        return PPOBatch(rows, old_SL, values_SL, kl_SL, advantages_SL, returns_SL)

    def prepared(self, minibatches: Sequence[Sequence[PPOBatch]]) -> Prepared[PPOBatch]:
        """Advantages are whitened over the whole batch where scale_by_std asks for it."""
        batches = [batch for part in minibatches for batch in part]
        before = explained(batches, self.ranks)
        if self.config.scale_by_std:
            advantages, masks = [b.advantages_SL for b in batches], [b.rows.mask_SL for b in batches]
            whitened = iter(whitened_together(advantages, masks, self.ranks))
            minibatches = [[replace(batch, advantages_SL=next(whitened)) for batch in part] for part in minibatches]
        return Prepared(minibatches, before)

    def _values(self, rows: PromptRows) -> Tensor:
        """The critic's value (S, L) before each counted token is taken, 0 elsewhere."""
        hidden_RTD = hidden_of(self.critic.trunk, rows)
        values_N = self.critic.values(rows.sources_of(hidden_RTD))
        return rows.spread(values_N)

    def optimiser_step(self, batches: Sequence[PPOBatch]) -> dict[str, float]:
        """One step of the policy and one of the critic."""
        config, totals = self.config, self.totals(batches)
        measured: list[Tensor] = []  # seven numbers of each micro-batch
        statistics = list[RatioStatistics]()
        self.optimiser.zero_grad(set_to_none=True)
        self.critic_optimiser.zero_grad(set_to_none=True)
        for batch in batches:
            mask_SL, sampler_SL = batch.rows.mask_SL, batch.rows.sampler_logprobs_SL
            logprobs_SL, entropy_N = self.logprobs(self.model, batch.rows)
            policy = grpo_loss(
                logprobs_SL, batch.old_logprobs_SL, batch.advantages_SL, mask_SL,
                clip_eps_low=config.clip_eps_low, clip_eps_high=config.clip_eps_high,
                average=AVERAGES[config.loss_average], totals=totals,
                importance_weights_BT=IMPORTANCE_WEIGHTS[config.importance_correction](
                    batch.old_logprobs_SL, sampler_SL, mask_SL, cap=config.importance_cap
                ),
            )  # fmt: skip
            critic, clipped = value_loss(
                self._values(batch.rows), batch.old_values_SL, batch.returns_SL, mask_SL,
                clip_eps=config.value_clip_eps, totals=totals,
            )  # fmt: skip
            policy.loss.backward()
            critic.backward()
            statistics.append(policy.statistics)
            kl, gaps = (batch.kl_SL * mask_SL).sum(), logprob_gap(batch.old_logprobs_SL, sampler_SL, mask_SL)
            measured += (policy.loss.detach(), critic.detach(), clipped, entropy_N.sum(), kl, *gaps)
        numbers = as_floats(measured)
        *of_sums, gap_maxima = (numbers[first::7] for first in range(7))
        sums = {name: added(each) for name, each in zip(("loss", "value_loss"), of_sums[:2], strict=True)}
        shares = zip(("value_clip_share", "entropy", "kl", "logprob_gap"), of_sums[2:], strict=True)
        sums |= {name: added(each / totals.tokens for each in values) for name, values in shares}
        sums = dict(zip(sums, self.ranks.added([*sums.values()]), strict=True))
        norms = self._move_both(sums)
        ratios = sum(statistics[1:], statistics[0]).metrics(self.ranks.added, self.ranks.highest)
        return {**ratios, **sums, "logprob_gap_max": self.ranks.highest([max(gap_maxima)])[0], **norms}

    def _move_both(self, losses: dict[str, float]) -> dict[str, float]:
        """Let both optimisers take their step; returns gradient norms and the rate."""
        clip, bound = self.config.gradient_clip, float("inf")
        norm = clip_gradients(self.model, self.optimiser, clip, self.ranks)
        critic_norm = clip_gradients(self.critic, self.critic_optimiser, clip, self.ranks)
        for name, value in (*losses.items(), ("gradient norm", norm), ("critic's gradient norm", critic_norm)):
            if not abs(value) < bound:
                raise TrainingDivergedError(f"the {name.replace('_', ' ')} is {value}")
        self.critic_optimiser.step()
        return {"gradient_norm": norm, "critic_gradient_norm": critic_norm, "learning_rate": self.move()}

    def tensors(self) -> dict[str, Tensor]:
        of_critic = training_tensors(self.critic, self.critic_optimiser)
        return super().tensors() | {f"{CRITIC}{name}": tensor for name, tensor in of_critic.items()}

    def restore(self, tensors: Pieces, path: Path) -> None:
        restore_training_tensors(self.critic, self.critic_optimiser, tensors.below(CRITIC), path)
        super().restore(tensors, path)


def explained(batches: Sequence[PPOBatch], ranks: Ranks = ALONE) -> dict[str, float]:
    """How well the critic foresaw the returns: 1 - var(return - value) / var(return); 0 where returns are equal."""
    returns_N = ranks.gathered(torch.cat([batch.rows.counted(batch.returns_SL) for batch in batches]))[0]
    values_N = ranks.gathered(torch.cat([batch.rows.counted(batch.old_values_SL) for batch in batches]))[0]
    spread, unexplained, value, earned = as_floats(
        [returns_N.var(correction=0), (returns_N - values_N).var(correction=0), values_N.mean(), returns_N.mean()]
    )
    return {
        "value": value,
        "return": earned,
        "explained_variance": 1.0 - unexplained / spread if spread > 1e-12 else 0.0,
    }

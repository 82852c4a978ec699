"""How much better than expected each completion was: group baselines (GRPO and its variants) and GAE (PPO).

Rewards stand as (P, G): one row per prompt, one column per rollout. A rollout without a verdict is marked False in
`valid_PG`: it takes part in no mean and no deviation, gets 0, and its reward may be anything, NaN included.
All sums run in float64; results have the dtype of the rewards.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EQUAL_REWARDS = 1e-6  # a spread below this share of max(1, |reward|) is rounding, not signal


def group_advantages(rewards_PG: Tensor, *, scale_by_std: bool = True, valid_PG: Tensor | None = None) -> Tensor:
    """Score each rollout against its siblings: A = (r - mean) / std over the group (arXiv:2402.03300, section 4.1.2).

    The paper does not say which deviation it means. Here it is the sample deviation (divisor n - 1), as in TRL, verl and
    OpenRLHF, so that their learning rates carry over. Nothing is added to it: rewards that are equal up to rounding
    are recognised as such (see `dead_groups`) instead of being divided by an epsilon.

    Args:
        rewards_PG: float (P, G), one row per prompt.
        scale_by_std: False is Dr. GRPO (arXiv:2503.20783): a group's weight no longer depends on its spread.
        valid_PG: bool (P, G), False where there is no verdict; None is all True.

    Returns:
        float (P, G); a row of equal rewards, or with fewer than two verdicts, becomes zeros.
    """
    rewards, valid = _checked(rewards_PG, valid_PG)
    centred = _centred_on_group(rewards, valid)
    if scale_by_std:
        degrees = (valid.sum(1, keepdim=True) - 1).clamp(min=1)
        std_P1 = (centred.square().sum(1, keepdim=True) / degrees).sqrt()
        centred = centred / torch.where(std_P1 > 0, std_P1, 1.0)
    return _without_dead_groups(centred, rewards, valid).to(_result_dtype(rewards_PG))


def rloo(rewards_PG: Tensor, *, valid_PG: Tensor | None = None) -> Tensor:
    """REINFORCE leave-one-out: each reward minus the mean of its siblings' (arXiv:2402.14740).

    Equal to n / (n - 1) times the Dr. GRPO advantage for n verdicts in the group.

    Returns:
        float (P, G); a row of equal rewards, or with fewer than two verdicts, becomes zeros.
    """
    rewards, valid = _checked(rewards_PG, valid_PG)
    verdicts_P1 = valid.sum(1, keepdim=True)
    advantages = _centred_on_group(rewards, valid) * verdicts_P1 / (verdicts_P1 - 1).clamp(min=1)
    return _without_dead_groups(advantages, rewards, valid).to(_result_dtype(rewards_PG))


def rewards_themselves(rewards_PG: Tensor, *, valid_PG: Tensor | None = None) -> Tensor:
    """REINFORCE++: no group baseline; the learner subtracts the KL of each token and normalises over all tokens of the batch
    (arXiv:2501.03262, equations 8 to 10; see `with_kl_penalty` and `whiten`).

    Returns:
        float (P, G); zeros where the whole batch has one reward.
    """
    rewards, valid = _checked(rewards_PG, valid_PG)
    return torch.where(_dead(rewards.view(1, -1), valid.view(1, -1)), 0.0, rewards).to(_result_dtype(rewards_PG))


def remax(rewards_PG: Tensor, greedy_P: Tensor, *, valid_PG: Tensor | None = None) -> Tensor:
    """ReMax: each reward minus that of the greedy completion of its prompt (arXiv:2310.10505).

    Args:
        greedy_P: float (P,); NaN where the greedy completion has no verdict: then its group has no baseline.

    Returns:
        float (P, G); zeros in groups without a baseline, and where a reward is that of the baseline up to rounding.
    """
    rewards, valid = _checked(rewards_PG, valid_PG)
    greedy_P1 = greedy_P.double()[:, None]
    advantages = torch.where(valid & greedy_P1.isfinite(), rewards - greedy_P1, 0.0)
    largest = torch.maximum(rewards.abs(), greedy_P1.nan_to_num().abs())
    return torch.where(_spread_is_rounding(advantages.abs(), largest), 0.0, advantages).to(_result_dtype(rewards_PG))


def reinforce_plus_plus_baseline(rewards_PG: Tensor, *, valid_PG: Tensor | None = None) -> Tensor:
    """REINFORCE++ with group baseline: r - group mean, then divided by the deviation of the whole batch (arXiv:2501.03262).

    Returns:
        float (P, G); a row of equal rewards, or with fewer than two verdicts, is zeros before the normalisation and
        left out of it, so that dead groups do not shrink the deviation.
    """
    rewards, valid = _checked(rewards_PG, valid_PG)
    alive = valid & ~_dead(rewards, valid)[:, None]
    return _normalised_over_batch(_centred_on_group(rewards, valid), alive).to(_result_dtype(rewards_PG))


ADVANTAGES: dict[str, Callable[..., Tensor]] = {
    "group": group_advantages,
    "rloo": rloo,
    "reward": rewards_themselves,
    "reinforce_pp_baseline": reinforce_plus_plus_baseline,
    "remax": remax,
}


def dead_groups(rewards_PG: Tensor, valid_PG: Tensor | None = None) -> Tensor:
    """Groups that teach nothing: all rewards equal up to rounding, or fewer than two verdicts.

    The test is on the spread (max - min), not on a floating-point deviation, which is rarely exactly zero.

    Returns:
        bool (P,).
    """
    return _dead(*_checked(rewards_PG, valid_PG))


def token_rewards(rewards_B: Tensor, kl_BT: Tensor, mask_BT: Tensor, *, kl_beta: float) -> Tensor:
    """InstructGPT's per-token reward: -beta * KL at every token, the reward added at the last (arXiv:2203.02155, section 3.5).

    Args:
        rewards_B: float (B,).
        kl_BT: float (B, T), usually k1: log pi - log pi_ref of the sampled tokens, without gradient.
        mask_BT: (B, T), 1 for completion tokens; each row needs at least one.

    Returns:
        float (B, T), zero outside the mask.
    """
    mask = mask_BT.bool()
    if not bool(mask.any(1).all()):
        raise ValueError("token_rewards needs a completion token in every row; drop empty completions first")
    last_B = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    shaped = torch.where(mask, -kl_beta * kl_BT, 0.0)
    return shaped.scatter_add(1, last_B[:, None], rewards_B.to(shaped.dtype)[:, None])


def with_kl_penalty(advantages_B: Tensor, kl_BT: Tensor, mask_BT: Tensor, *, kl_beta: float) -> Tensor:
    """KL in the reward without a critic: A_t = A - beta (KL_t + KL_{t+1} + ... + KL_T), arXiv:2501.03262, equation 8.

    REINFORCE++ normalises after this (`whiten`), so that its beta is in units of the reward; where A is normalised already,
    beta is in units of the advantage.

    Args:
        advantages_B: float (B,), one per completion.
        kl_BT: float (B, T), k1 of the policy that sampled, without gradient.
        mask_BT: (B, T), 1 for completion tokens; each row needs at least one.

    Returns:
        float (B, T), zero outside the mask.
    """
    rewards_BT = token_rewards(advantages_B, kl_BT, mask_BT, kl_beta=kl_beta)
    return gae(rewards_BT, torch.zeros_like(rewards_BT), mask_BT, gamma=1.0, lam=1.0)[0]


def gae(
    rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, *, gamma: float = 1.0, lam: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (arXiv:1506.02438, equation 16) over right-padded completions.

    delta_t = r_t + gamma V_{t+1} - V_t, A_t = delta_t + gamma lambda A_{t+1}. The value after the last completion token
    is 0: a completion ends the episode. Tokens outside the mask (padding, text inserted by a tool) are passed over:
    the next value and advantage are those of the next token inside it.

    Args:
        rewards_BT: float (B, T), e.g. from `token_rewards`.
        values_BT: float (B, T), the critic's value before each token is taken.
        mask_BT: (B, T), 1 for completion tokens.
        gamma: discount per token; InstructGPT uses 1.
        lam: 1 gives Monte-Carlo returns minus the value, 0 one-step temporal differences.

    Returns:
        advantages (B, T) and returns (B, T) = advantages + values, the critic's target; both zero outside the mask.
    """
    mask = mask_BT.bool()
    rewards, values = rewards_BT.double(), torch.where(mask, values_BT.detach(), 0.0).double()
    advantages_of = gae_by_token if mask.is_cpu else gae_by_doubling
    advantages_BT = advantages_of(rewards, values, mask, gamma, lam)
    returns_BT = torch.where(mask, advantages_BT + values, 0.0)
    return advantages_BT.to(values_BT.dtype), returns_BT.to(values_BT.dtype)


def gae_by_token(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensor:
    """The advantages of `gae`, token by token from the end; values are 0 outside the mask."""
    next_value_B, next_advantage_B = torch.zeros_like(values[:, 0]), torch.zeros_like(values[:, 0])
    advantages_BT = torch.zeros_like(values)
    for t in reversed(range(values.shape[1])):
        delta_B = rewards[:, t] + gamma * next_value_B - values[:, t]
        advantage_B = delta_B + gamma * lam * next_advantage_B
        next_value_B = torch.where(mask[:, t], values[:, t], next_value_B)
        next_advantage_B = torch.where(mask[:, t], advantage_B, next_advantage_B)
        advantages_BT[:, t] = torch.where(mask[:, t], advantage_B, 0.0)
    return advantages_BT


def gae_by_doubling(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensor:
    """The same in log2(T) steps of a few kernels, for devices: after step n each token has its sum over the next 2^n.

    A_t = f_t A_{t+1} + d_t for all tokens, where f is gamma lambda and d is delta inside the mask, 1 and 0 outside.
    """
    tokens = mask.shape[1]
    places_BT = torch.where(mask, torch.arange(tokens, device=mask.device), tokens)
    from_here_BT = places_BT.flip(1).cummin(1).values.flip(1)  # the first place inside the mask
    next_BT = torch.nn.functional.pad(from_here_BT[:, 1:], (0, 1), value=tokens)
    next_values_BT = torch.nn.functional.pad(values, (0, 1)).gather(1, next_BT)
    sums_BT = torch.where(mask, rewards + gamma * next_values_BT - values, 0.0)
    factors_BT = torch.ones_like(sums_BT).masked_fill(mask, gamma * lam)
    reach = 1
    while reach < tokens:
        sums_BT = sums_BT + factors_BT * torch.nn.functional.pad(sums_BT[:, reach:], (0, reach))
        factors_BT = factors_BT * torch.nn.functional.pad(factors_BT[:, reach:], (0, reach))
        reach *= 2
    return torch.where(mask, sums_BT, 0.0)


def whiten(advantages_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """The normalisation of PPO and REINFORCE++: mean 0 and deviation 1 over all tokens inside the mask, zeros outside.

    All are zeros where all are equal. Over the whole batch, before it is cut into micro-batches.
    """
    mask = mask_BT.bool()
    return _normalised_over_batch(torch.where(mask, advantages_BT, 0.0).double(), mask).to(advantages_BT.dtype)


def _checked(rewards_PG: Tensor, valid_PG: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rewards in float64 with 0 where there is no verdict, and the bool mask of verdicts."""
    if rewards_PG.dim() != 2:
        raise ValueError(f"rewards must be (prompts, rollouts), got shape {tuple(rewards_PG.shape)}")
    if rewards_PG.shape[1] < 2:
        raise ValueError(f"group_size must be at least 2, got {rewards_PG.shape[1]}: rollouts of one prompt are compared")
    valid = torch.ones_like(rewards_PG, dtype=torch.bool) if valid_PG is None else valid_PG.bool()
    if valid.shape != rewards_PG.shape:
        raise ValueError(f"valid has shape {tuple(valid.shape)}, rewards {tuple(rewards_PG.shape)}: they must be equal")
    rewards = torch.where(valid, rewards_PG.double(), 0.0)
    if not bool(rewards.isfinite().all()):
        raise ValueError("a reward with a verdict is NaN or infinite; mark rollouts without a verdict in valid_PG")
    return rewards, valid


def _centred_on_group(rewards: Tensor, valid: Tensor) -> Tensor:
    mean_P1 = rewards.sum(1, keepdim=True) / valid.sum(1, keepdim=True).clamp(min=1)
    return torch.where(valid, rewards - mean_P1, 0.0)


def _normalised_over_batch(values: Tensor, valid: Tensor) -> Tensor:
    """(v - mean) / sample deviation over all entries with valid; zeros elsewhere, or where the valid ones are equal."""
    kept = values[valid]
    if kept.numel() < 2 or _spread_is_rounding(kept.max() - kept.min(), kept.abs().max()):
        return torch.zeros_like(values)
    return torch.where(valid, (values - kept.mean()) / kept.std(), 0.0)


def _without_dead_groups(advantages: Tensor, rewards: Tensor, valid: Tensor) -> Tensor:
    return torch.where(_dead(rewards, valid)[:, None], 0.0, advantages)


def _dead(rewards: Tensor, valid: Tensor) -> Tensor:
    low_P = torch.where(valid, rewards, torch.inf).amin(1)
    high_P = torch.where(valid, rewards, -torch.inf).amax(1)
    return (valid.sum(1) < 2) | _spread_is_rounding(high_P - low_P, rewards.abs().amax(1))


def _spread_is_rounding(spread: Tensor, largest: Tensor) -> Tensor:
    return spread <= EQUAL_REWARDS * largest.clamp(min=1.0)


def _result_dtype(rewards_PG: Tensor) -> torch.dtype:
    return rewards_PG.dtype if rewards_PG.is_floating_point() else torch.get_default_dtype()

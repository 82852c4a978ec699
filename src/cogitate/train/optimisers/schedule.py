"""Learning-rate schedules: pure functions of the step, so that a resumed run needs to remember nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cogitate.train.optimisers.master_weights import Optimiser


def warmup_cosine(step: int, *, steps: int, peak: float, final: float, warmup_steps: int) -> float:
    """Linear from 0 to `peak` over the warm-up, then half a cosine down to `final` at the last step.

    Args:
        step: 0 for the first optimiser step.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - 1 - warmup_steps)
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * min(1.0, progress)))


def warmup_constant(step: int, *, peak: float, warmup_steps: int) -> float:
    """Linear from 0 to `peak` over the warm-up, then constant: what RL uses."""
    return peak * (step + 1) / warmup_steps if step < warmup_steps else peak


def warmup_stable_decay(step: int, *, steps: int, stable: int, peak: float, final: float, warmup_steps: int) -> float:
    """Linear from 0 to `peak` over the warm-up, constant for the steps below `stable`, then down to `final` at the last step
    as 1 less the square root of the way that is done (arXiv:2405.18392, section 3.1). Before `stable` it does not depend on
    `steps`."""
    if step < stable:
        return warmup_constant(step, peak=peak, warmup_steps=warmup_steps)
    return final + (peak - final) * (1 - math.sqrt((step + 1 - stable) / (steps - stable)))


def warmup_over_tokens(tokens: int, *, peak: float, warmup_tokens: int) -> float:
    """Linear in the generated tokens, this batch's included, then constant: what RL uses under a token budget."""
    return peak * tokens / warmup_tokens if tokens < warmup_tokens else peak


def set_learning_rate(optimiser: Optimiser, rate: float) -> None:
    """The rate of the next step, for all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate

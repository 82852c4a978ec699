"""Factors: the numbers that formulas leave open, as a prior says and as published rows move it; each figure's interval.

A factor is positive and is fitted as its logarithm. A prior is what a reader of frameworks' sources and reports would guess
before seeing a row, and how sure he would be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Z_OF_INTERVAL = 1.2816  # an interval is meant to hold eight of ten


@dataclass(frozen=True, slots=True)
class Prior:
    """A guess at a factor, the deviation of its logarithm, and what it is."""

    guess: float
    deviation: float
    meaning: str


PRIORS: dict[str, Prior] = {
    # memory
    "states": Prior(1.05, 0.1, "states of training over their exact size: flat buffers, reduced gradients"),
    "saved": Prior(1.0, 0.05, "inputs of layers kept for recomputation, over tokens x width x 2 bytes"),
    "inner_bytes": Prior(8.0, 0.4, "bytes of one layer's work for each token and inner number"),
    "width_bytes": Prior(40.0, 0.6, "bytes of one layer's work for each token and number of its width"),
    "routed_bytes": Prior(16.0, 0.5, "bytes of one layer's work for each routed copy of a token and number of its width"),
    "layers_held": Prior(3.0, 0.4, "whole layers in 16 bits that a process holds beside its shards"),
    "compiled_share": Prior(0.3, 0.6, "bytes of a layer's work where layers are compiled, over the same where they are not"),
    "logit_bytes": Prior(16.0, 0.3, "bytes of plain logits, their upcast and gradients, for each token and word"),
    "fixed_gib": Prior(0.3, 0.5, "GiB of a process whatever it does"),
    # time of a training step
    "matrix_efficiency": Prior(0.55, 0.3, "share of the peak that matrix products of training reach"),
    "flash2": Prior(0.6, 0.3, "share of the peak that FlashAttention 2 reaches on its own generation"),
    "flash2_later": Prior(0.4, 0.4, "the same on later generations, for which it was not written"),
    "flash3": Prior(0.65, 0.25, "share of the peak that FlashAttention 3 reaches on Hopper"),
    "work_passes": Prior(3.0, 0.6, "how often the bytes of a layer's work go through memory, over all passes"),
    "link_efficiency": Prior(0.6, 0.4, "share of the links' speed that gathering weights reaches"),
    "expert_call_us": Prior(60.0, 0.6, "microseconds of a pass over one expert where experts are called one by one"),
    "lora_slowdown": Prior(1.1, 0.2, "adapters' extra passes, over the time of the frozen model's"),
    "blackwell_share": Prior(0.7, 0.3, "share of Blackwell's peak and bandwidth that training gets, over the same on Hopper"),
    "fused_seconds": Prior(0.15, 0.7, "seconds of a micro-batch whose logits are made in pieces, for log-probabilities"),
    "step_seconds": Prior(0.05, 0.7, "seconds of a training step whatever it holds"),
    # time of generation and of a step of RL
    "decode_bandwidth": Prior(0.6, 0.25, "share of the memory's speed that decoding reaches"),
    "decode_layer_us": Prior(60.0, 0.5, "microseconds of a layer of a decoding step whatever it holds"),
    "message_us": Prior(20.0, 0.5, "microseconds of a sum among eight tensor-parallel processes of a node"),
    "rl_slowdown": Prior(1.5, 0.4, "updates and log-probabilities of RL over the same tokens in plain training"),
    "transfer_gb_s": Prior(40.0, 0.5, "GB a second at which a whole model goes from training to generation"),
    "rl_rest": Prior(1.1, 0.1, "a step of RL over its phases: grading that is not hidden, packing, logging"),
    # of what this project does on a processor
    "token_us": Prior(20.0, 1.0, "microseconds of a token that is drawn, beside its share of a decoding step's products"),
    "holes": Prior(0.3, 0.7, "holes that many updates of passes of uneven size leave between activations, over these"),
    "stage_growth_mib": Prior(30.0, 0.7, "MiB by which a process grows with the logarithm of its stages"),
    "preference_slowdown": Prior(1.0, 0.3, "steps over pairs or labelled texts, over as many tokens in full rows"),
    "stage_seconds": Prior(2.0, 0.7, "seconds of a stage whatever it does: problems, models and engine made, files written"),
    "prompt_ms": Prior(2.0, 0.7, "milliseconds of a prompt beside its tokens: encoded, and read with few others at a time"),
    "completion_ms": Prior(1.0, 0.7, "milliseconds of a completion beside its tokens: its text, its row in a file"),
    "verdict_ms": Prior(1.0, 0.7, "milliseconds of a verdict by rules, which takes the engine's processors"),
    "measured_us": Prior(20.0, 0.7, "microseconds of a token of a puzzle's completion, whose steps an evaluation counts"),
}  # fmt: skip
NAMES = tuple(PRIORS)


@dataclass(frozen=True, slots=True)
class Factors:
    """Values of all factors and what is known about their errors.

    Attributes:
        values: by name of PRIORS.
        covariance: of the logarithms, rows and columns as in NAMES.
        residuals: group of figures (memory, step, rl, ...) -> deviation of the logarithm of published over predicted.
        fitted_on: ids of the rows that they were fitted on.
    """

    values: Mapping[str, float]
    covariance: tuple[tuple[float, ...], ...] = ()
    residuals: Mapping[str, float] = field(default_factory=dict)
    fitted_on: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def with_values(self, **changed: float) -> Factors:
        return Factors({**self.values, **changed}, self.covariance, self.residuals, self.fitted_on)


def prior_factors(priors: Mapping[str, Prior] = PRIORS) -> Factors:
    """The guesses alone."""
    n = len(NAMES)
    diagonal = [priors[name].deviation ** 2 for name in NAMES]
    covariance = tuple(tuple(diagonal[i] if i == j else 0.0 for j in range(n)) for i in range(n))
    return Factors({name: priors[name].guess for name in NAMES}, covariance)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the interval that should hold it eight times of ten."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    @property
    def half_width(self) -> float:
        """Half the interval, as a share of the figure."""
        return (self.high - self.low) / 2 / self.value if self.value else 0.0

    def as_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def estimate(figure: Callable[[Factors], float], factors: Factors, group: str, *, further: float = 0.0) -> Estimate:
    """A figure and its interval: from the factors' covariance, the residuals of its group, and a further deviation.

    Args:
        further: deviation of the logarithm that comes from a guess outside the factors, a length that nobody gave, say.
    """
    value = figure(factors)
    if value <= 0:
        return Estimate(value, value, value)
    variance = factors.residuals.get(group, 0.0) ** 2 + further**2 + _variance(figure, factors, value)
    width = Z_OF_INTERVAL * math.sqrt(variance)
    return Estimate(value, value * math.exp(-width), value * math.exp(width))


class UsedNames(dict[str, float]):
    """Values that remember which of them were asked for."""

    def __init__(self, values: Mapping[str, float]):
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> float:
        self.names.add(name)
        return super().__getitem__(name)


def gradient(figure: Callable[[Factors], float], factors: Factors, value: float) -> list[float]:
    """Derivatives of the figure's logarithm by the logarithms of the factors."""
    step, used = 1e-4, UsedNames(factors.values)
    figure(Factors(used))
    slopes = []
    for name in NAMES:
        if name not in used.names:
            slopes.append(0.0)
            continue
        moved = figure(factors.with_values(**{name: factors[name] * math.exp(step)}))
        slopes.append((math.log(moved) - math.log(value)) / step)
    return slopes


def _variance(figure: Callable[[Factors], float], factors: Factors, value: float) -> float:
    if not factors.covariance:
        return 0.0
    slopes = gradient(figure, factors, value)
    used = [index for index, slope in enumerate(slopes) if slope]
    return sum(slopes[i] * slopes[j] * factors.covariance[i][j] for i in used for j in used)

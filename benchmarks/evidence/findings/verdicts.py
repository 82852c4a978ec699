"""From a figure to a verdict, and to what would settle it: the rules, each a few lines.

A part of a finding is a statement with a *margin*: how far the measured value lies on the statement's side, with its 95 %
interval. A margin of 0 is the statement's bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from cogitate.evals.metrics import Estimate

SETTLED, UNDECIDED, NOT_SEEN, NOT_MEASURED = "settled", "undecided", "not seen", "not measured"
RULES = {
    SETTLED: "the measured value is on the statement's side, the whole 95 % interval is, too, and there are several seeds.",
    UNDECIDED: "the measured value is on the statement's side, but its interval reaches to the other, or there is one seed, "
    "which says nothing of others, or the comparison is not fair.",
    NOT_SEEN: "it was measured, and the value is not on the statement's side.",
    NOT_MEASURED: "no result file of the repository has the figure.",
}
ROUNDING = 1e-9  # of figures that are equal on paper
MOST_REPETITIONS = 100  # above this, more of the same is no way to settle anything


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a part shows.

    Attributes:
        unit: "percent" (a rate), "points" (a difference of rates), "number" or "change" (a difference of numbers).
    """

    name: str
    estimate: Estimate
    unit: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a statement.

    Attributes:
        margin: above 0 on the statement's side, in the units of its figures.
        figures: for readers.
        seeds: that the interval is over.
        source: the result file, from the directory of results or of experiments.
        unfair: why the comparison cannot settle the statement whatever it gives; "" where it can.
    """

    margin: Estimate
    figures: Sequence[Figure]
    seeds: int
    source: str
    unfair: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A statement of which no result file says anything: why, and what would measure it."""

    why: str
    measure: str


@dataclass(frozen=True, slots=True)
class Part:
    """A statement of a finding, for one model."""

    statement: str
    known: Measured | Missing

    @property
    def verdict(self) -> str:
        known = self.known
        if isinstance(known, Missing):
            return NOT_MEASURED
        if known.margin.value <= ROUNDING:
            return NOT_SEEN
        return SETTLED if known.seeds > 1 and not known.unfair and low_of(known.margin) > ROUNDING else UNDECIDED

    @property
    def to_settle(self) -> str:
        """What would settle it; "" where it is settled."""
        known = self.known
        if isinstance(known, Missing):
            return known.measure
        if self.verdict == NOT_SEEN:
            return against(known.margin)
        wanted = ["a fair comparison"] if known.unfair else []
        wanted += ["more seeds"] if known.seeds == 1 else []
        wanted += [more_data(known.margin)] if low_of(known.margin) <= ROUNDING else []
        return "; ".join(wanted)

    def as_json(self) -> dict[str, Any]:
        """The part as findings.json has it."""
        known = self.known
        told: dict[str, Any] = {"statement": self.statement, "verdict": self.verdict, "to settle": self.to_settle}
        if isinstance(known, Missing):
            return {**told, "why": known.why}
        figures = {figure.name: figure.estimate.as_json() for figure in known.figures}
        told |= {"margin": known.margin.as_json(), "figures": figures, "seeds": known.seeds, "source": known.source}
        return {**told, "unfair": known.unfair} if known.unfair else told


def verdict_of(parts: Sequence[Part]) -> str:
    """A finding says all its parts together: one that is not seen denies it, and it is settled where each part is.

    Where some parts are measured and others are not, it is undecided.

    Raises:
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("a finding without parts has no verdict")
    verdicts = {part.verdict for part in parts}
    if NOT_SEEN in verdicts:
        return NOT_SEEN
    return verdicts.pop() if len(verdicts) == 1 else UNDECIDED


def counts_of(parts: Sequence[Part]) -> Mapping[str, int]:
    """Verdict -> how many of the parts have it; in the order of RULES, without those that none has."""
    counts = {verdict: sum(part.verdict == verdict for part in parts) for verdict in RULES}
    return {verdict: count for verdict, count in counts.items() if count}


def low_of(margin: Estimate) -> float:
    """The lower limit; a value without an interval excludes nothing."""
    return -float("inf") if margin.low is None else margin.low


def against(margin: Estimate) -> str:
    """What to do where the value is on the other side."""
    if margin.high is not None and margin.high < -ROUNDING:
        return "the interval excludes it at these settings: other settings, a larger model or other problems"
    return "no difference was measured: problems on which one can arise" if abs(margin.value) <= ROUNDING else more_data(margin)


def more_data(margin: Estimate) -> str:
    """How much more of the same would move the limit of the interval to the bound, if the value stayed what it is.

    A half width shrinks with the square root of the data, so the factor is the square of half width over distance.
    """
    limit = margin.low if margin.value > 0 else margin.high
    if limit is None:
        return "more problems"
    factor = ((margin.value - limit) / margin.value) ** 2
    if factor > MOST_REPETITIONS:
        return f"a larger effect: it would take over {MOST_REPETITIONS} times the problems and seeds"
    return f"about {max(2, ceil(round(factor, 6)))} times the problems and seeds, if the value stays"

"""Each verdict on both sides of its line, and what would settle it, by hand-worked numbers."""

import pytest

from benchmarks.evidence.findings.verdicts import (
    NOT_MEASURED,
    NOT_SEEN,
    SETTLED,
    UNDECIDED,
    Figure,
    Measured,
    Missing,
    Part,
    counts_of,
    verdict_of,
)
from cogitate.evals.metrics import Estimate


def part(value: float, low: float | None, high: float | None, *, seeds: int = 3, unfair: str = "") -> Part:
    margin = Estimate(value, low, high)
    return Part("it rises", Measured(margin, [Figure("difference", margin, "points")], seeds, "r.json", unfair))


MISSING = Part("it rises", Missing("nobody measured it", "`make evidence`"))


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (part(0.2, 0.1, 0.3), SETTLED),
        (part(0.2, 0.0, 0.4), UNDECIDED),  # the interval touches the bound
        (part(0.2, None, None), UNDECIDED),  # no interval excludes nothing
        (part(0.2, 0.1, 0.3, seeds=1), UNDECIDED),  # one seed says nothing of others
        (part(0.2, 0.1, 0.3, unfair="less time"), UNDECIDED),
        (part(0.0, -0.1, 0.1), NOT_SEEN),
        (part(-0.1, -0.3, 0.1), NOT_SEEN),
        (part(-0.2, -0.3, -0.1, seeds=1), NOT_SEEN),
        (MISSING, NOT_MEASURED),
    ],
)
def test_a_verdict_follows_from_value_interval_and_seeds(given: Part, verdict: str) -> None:
    assert given.verdict == verdict


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (part(0.2, 0.1, 0.3), ""),
        (part(0.2, 0.1, 0.3, seeds=1), "more seeds"),
        (part(0.1, -0.2, 0.4), "about 9 times the problems and seeds, if the value stays"),  # (.3 / .1)^2
        (part(-0.1, -0.4, 0.1), "about 4 times the problems and seeds, if the value stays"),  # upwards: (.2 / .1)^2
        (part(0.01, -0.2, 0.2), "a larger effect: it would take over 100 times the problems and seeds"),  # 441
        (part(0.0, -0.1, 0.1), "no difference was measured: problems on which one can arise"),
        (
            part(-0.2, -0.3, -0.1),
            "the interval excludes it at these settings: other settings, a larger model or other problems",
        ),
        (part(0.2, None, None), "more problems"),
        (part(0.1, 0.05, 0.2, seeds=1, unfair="less time"), "a fair comparison; more seeds"),
        (MISSING, "`make evidence`"),
    ],
)
def test_what_would_settle_it_follows_from_what_is_lacking(given: Part, wanted: str) -> None:
    assert given.to_settle == wanted


SETTLES, OPEN, DENIES = part(0.2, 0.1, 0.3), part(0.2, -0.1, 0.5), part(-0.2, -0.3, 0.1)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([SETTLES, SETTLES], SETTLED),
        ([SETTLES, OPEN], UNDECIDED),
        ([SETTLES, MISSING], UNDECIDED),
        ([OPEN, OPEN], UNDECIDED),
        ([SETTLES, OPEN, MISSING, DENIES], NOT_SEEN),  # one denies what all say together
        ([MISSING, MISSING], NOT_MEASURED),
    ],
)
def test_a_finding_says_all_its_parts_together(parts: list[Part], verdict: str) -> None:
    assert verdict_of(parts) == verdict


def test_a_finding_without_parts_is_an_error() -> None:
    with pytest.raises(ValueError, match="without parts"):
        verdict_of([])


def test_parts_are_counted_by_verdict() -> None:
    assert counts_of([SETTLES, MISSING, SETTLES]) == {SETTLED: 2, NOT_MEASURED: 1}

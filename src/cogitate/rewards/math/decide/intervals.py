"""Intervals of real numbers and what can be done with sets of them."""

from __future__ import annotations

from dataclasses import dataclass

from cogitate.rewards.math.decide.equality import close
from cogitate.rewards.math.decide.functions import Number, mp


@dataclass(frozen=True, slots=True)
class Interval:
    """Real numbers between two ends; an end is -inf or inf where there is none."""

    low: Number
    high: Number
    low_closed: bool
    high_closed: bool


def common_part(parts: list[list[Interval]]) -> list[Interval]:
    """What all of several sets share."""
    common = parts[0]
    for part in parts[1:]:
        pairs = [(a, b) for a in merged_intervals(common) for b in merged_intervals(part)]
        common = [cut for a, b in pairs if (cut := overlap(a, b)) is not None]
    return common


def overlap(a: Interval, b: Interval) -> Interval | None:
    low = max((a.low, not a.low_closed), (b.low, not b.low_closed))
    high = min((a.high, a.high_closed), (b.high, b.high_closed))
    if low[0] > high[0] or (low[0] == high[0] and (low[1] or not high[1])):
        return None
    return Interval(low[0], high[0], not low[1], high[1])


def without_points(whole: list[Interval], removed: list[Interval]) -> list[Interval] | None:
    if any(interval.low != interval.high for interval in removed):
        return None
    for point in (interval.low for interval in removed):
        cut: list[Interval] = []
        for interval in whole:
            if interval.low < point < interval.high:
                cut += [
                    Interval(interval.low, point, interval.low_closed, False),
                    Interval(point, interval.high, False, interval.high_closed),
                ]
            else:
                cut.append(interval)
        whole = cut
    return whole


def merged_intervals(intervals: list[Interval]) -> list[Interval]:
    """The same set as disjoint intervals from left to right."""
    merged: list[Interval] = []
    for interval in sorted(intervals, key=lambda interval: (interval.low, not interval.low_closed)):
        last = merged[-1] if merged else None
        if last is not None and (
            interval.low < last.high or (interval.low == last.high and (interval.low_closed or last.high_closed))
        ):
            high = max((last.high, last.high_closed), (interval.high, interval.high_closed))
            merged[-1] = Interval(last.low, high[0], last.low_closed, high[1])
        else:
            merged.append(interval)
    return merged


def same_interval(a: Interval, b: Interval) -> bool:
    ends = _same_end(a.low, b.low) and _same_end(a.high, b.high)
    return ends and (a.low_closed, a.high_closed) == (b.low_closed, b.high_closed)


def _same_end(a: Number, b: Number) -> bool:
    return bool(a == b) if mp.isinf(a) or mp.isinf(b) else close(a, b)

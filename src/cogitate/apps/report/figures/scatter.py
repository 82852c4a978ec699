"""Points with their intervals as inline SVG: one measure over another, joined where they are of one series."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from cogitate.apps.report.figures.charts import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Frame,
    Series,
    legend,
    nice_ticks,
    path,
    tick_text,
)
from cogitate.apps.report.words import Unit
from cogitate.evals.metrics import Estimate


@dataclass(frozen=True, slots=True)
class Point:
    """A place with the interval of either number, where it has one."""

    x: Estimate
    y: Estimate


@dataclass(frozen=True, slots=True)
class PointSeries:
    """Points of one colour, in order."""

    name: str
    points: Sequence[Point]


def exactly(value: float) -> Estimate:
    """A number without an interval: a setting."""
    return Estimate(value, None, None)


def scatter_chart(
    series: Sequence[PointSeries],
    *,
    x: str,
    y: str,
    x_unit: Unit = "number",
    y_unit: Unit = "number",
    title: str,
    log_x: bool = False,
) -> str:
    """An SVG picture; "" of no points. The axes hold all intervals and need not begin at 0.

    Args:
        log_x: powers of ten along x; then every x is above 0.
    """
    points = [point for line in series for point in line.points]
    if not points:
        return ""
    across: Callable[[float], float] = math.log10 if log_x else float
    x_low, x_high = bounds([across(max(value, 1e-300)) if log_x else value for p in points for value in sides(p.x)])
    y_low, y_high = bounds([value for p in points for value in sides(p.y)])
    y_ticks = nice_ticks(y_low, y_high, 4)
    x_ticks = [float(n) for n in range(math.floor(x_low), math.ceil(x_high) + 1)] if log_x else nice_ticks(x_low, x_high, 5)
    frame = Frame(min(x_low, x_ticks[0]), max(x_high, x_ticks[-1]), min(y_low, y_ticks[0]), max(y_high, y_ticks[-1]))
    parts = [grid(frame, x_ticks, y_ticks, x_unit, y_unit, log_x), names_of_axes(x, y)]
    for index, line in enumerate(series):
        colour = f"c{index % COLOURS}"
        places = [(across(point.x.value), point.y.value) for point in line.points]
        if len(places) > 1:
            parts.append(f'<path class="thick {colour}" d="{path(places, frame)}"/>')
        for point, place in zip(line.points, places, strict=True):
            at_x, at_y = frame.place(place)
            low, high = (frame.place((place[0], value))[1] for value in (sides(point.y)[0], sides(point.y)[-1]))
            left, right = (frame.place((across(value), place[1]))[0] for value in (sides(point.x)[0], sides(point.x)[-1]))
            parts.append(f'<path class="thin {colour}" d="M{at_x} {low}L{at_x} {high}M{left} {at_y}L{right} {at_y}"/>')
            parts.append(f'<circle class="dot {colour}" cx="{at_x}" cy="{at_y}" r="3"/>')
    told = "; ".join(f"{line.name}: " + ", ".join(f"{p.x.value:.4g} {p.y.value:.4g}" for p in line.points) for line in series)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}: {escape(told)}</title>'
        f"{''.join(parts)}</svg>{legend([Series(line.name, []) for line in series])}"
    )


def sides(estimate: Estimate) -> list[float]:
    """The interval's ends with the value between them."""
    return [value for value in (estimate.low, estimate.value, estimate.high) if value is not None]


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest, apart from each other."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def grid(frame: Frame, x_ticks: list[float], y_ticks: list[float], x_unit: Unit, y_unit: Unit, log_x: bool) -> str:
    parts = []
    for tick in y_ticks:
        _, at = frame.place((frame.x_low, tick))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        text = tick_text(tick, y_ticks, y_unit)
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 3.5}" text-anchor="end">{text}</text>')
    for tick in x_ticks:
        at, _ = frame.place((tick, frame.y_low))
        text = f"1e{tick:.0f}" if log_x else tick_text(tick, x_ticks, x_unit)
        parts.append(f'<text class="tick" x="{at}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{text}</text>')
    return "".join(parts)


def names_of_axes(x: str, y: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x)}</text>'
        f'<text class="axis" transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{escape(y)}</text>'
    )

"""Small line charts and time bars as inline SVG and HTML; colours are classes of report.css, for light and dark."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cogitate.apps.report.words import Unit, write_number

Points = list[tuple[float, float]]
WIDTH, HEIGHT = 380, 210
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 36
SMOOTH = 5  # steps whose mean the thick line of a single run shows
COLOURS = 8  # classes c0 .. c7 of report.css
MOST_POINTS = 400  # of a line; longer runs are thinned by averaging neighbours


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: a curve for each run (seed)."""

    name: str
    curves: list[Points]


def line_chart(
    series: Sequence[Series], *, x: str, y: str, unit: Unit, title: str, flagged: Sequence[float] = (), bands: bool = False
) -> str:
    """An SVG picture. One run: each step thin, a running mean thick. Several: runs thin, their mean thick, their range shaded.

    With several series only the thick lines are drawn, as running means, and the ranges where `bands` asks for them. Steps that
    are `flagged` are marked.
    """
    series = [Series(line.name, [thin(curve, MOST_POINTS) for curve in line.curves]) for line in series]
    points = [point for line in series for curve in line.curves for point in curve]
    x_low, x_high = min(p[0] for p in points), max(p[0] for p in points)
    y_low, y_high = y_range([p[1] for p in points], unit)
    y_ticks, x_ticks = nice_ticks(y_low, y_high, 4), nice_ticks(x_low, x_high, 5, whole=True)
    y_low, y_high = min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])
    frame = Frame(x_low, x_high if x_high > x_low else x_low + 1, y_low, y_high)
    parts = [axes(frame, x_ticks, y_ticks, x=x, y=y, unit=unit), flags(frame, flagged)]
    main = [main_line(line.curves) for line in series]
    if len(series) > 1:  # many lines in one picture are read by their trend
        main = [running_mean(line, SMOOTH) for line in main]
    for index, line in enumerate(series):
        if len(series) == 1:
            parts.append(
                f'<path class="band c{index % COLOURS}" d="{band_path(line.curves, frame)}"/>' if len(line.curves) > 1 else ""
            )
            parts.extend(f'<path class="thin c{index % COLOURS}" d="{path(curve, frame)}"/>' for curve in line.curves)
        if bands and len(series) > 1 and len(line.curves) > 1:
            parts.append(f'<path class="band c{index % COLOURS}" d="{band_path(line.curves, frame)}"/>')
        parts.append(f'<path class="thick c{index % COLOURS}" d="{path(main[index], frame)}"/>')
        if len(main[index]) == 1:
            at_x, at_y = frame.place(main[index][0])
            parts.append(f'<circle class="dot c{index % COLOURS}" cx="{at_x}" cy="{at_y}" r="3"/>')
    shown = {
        "x": x,
        "unit": unit,
        "frame": [frame.x_low, frame.x_high],
        "margins": [LEFT, RIGHT, TOP, BOTTOM],
        "series": [[line.name, dense(line.curves)] for line in series],
    }
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" data-chart="{escape(json.dumps(shown))}">'
        f"<title>{escape(title)}: {escape(summary(series, main, unit))}{flags_told(flagged)}</title>{''.join(parts)}</svg>"
        f"{legend(series, flagged=bool(flagged))}"
    )


def time_bar(parts: Sequence[tuple[str, float]]) -> str:
    """A bar cut in proportion to seconds, with a legend that holds the numbers."""
    total = sum(seconds for _, seconds in parts)
    if total <= 0:
        return ""
    cuts, keys = [], []
    for index, (name, seconds) in enumerate(parts):
        text = f"{name}: {write_number(seconds, 'seconds')}, {100 * seconds / total:.0f} %"
        cuts.append(f'<span class="f{index % COLOURS}" style="flex-grow:{seconds / total:.5f}" title="{escape(text)}"></span>')
        keys.append(f'<li><i class="f{index % COLOURS}"></i>{escape(text)}</li>')
    return f'<div class="bar" aria-hidden="true">{"".join(cuts)}</div><ul class="legend">{"".join(keys)}</ul>'


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle of the picture that data is drawn in."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - self.x_low) / (self.x_high - self.x_low)
        up = (point[1] - self.y_low) / (self.y_high - self.y_low)
        return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)


def flags(frame: Frame, flagged: Sequence[float]) -> str:
    """A band from top to bottom for each flagged step."""
    at = [frame.place((step, frame.y_low))[0] for step in flagged]
    return "".join(f'<line class="flag" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>' for x in at)


def flags_told(flagged: Sequence[float]) -> str:
    return f"; flagged at {len(flagged)} steps, first at {flagged[0]:.0f}" if flagged else ""


def axes(frame: Frame, x_ticks: list[float], y_ticks: list[float], *, x: str, y: str, unit: Unit) -> str:
    parts = []
    for tick in y_ticks:
        _, at = frame.place((frame.x_low, tick))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{at + 3.5}" text-anchor="end">{tick_text(tick, y_ticks, unit)}</text>'
        )
    for tick in x_ticks:
        at, _ = frame.place((tick, frame.y_low))
        parts.append(f'<text class="tick" x="{at}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{tick:,.0f}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x)}</text>'
    )
    parts.append(f'<text class="axis" transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{escape(y)}</text>')
    return "".join(parts)


def tick_text(tick: float, ticks: list[float], unit: Unit) -> str:
    """A tick's label: as many digits as the distance between ticks needs."""
    factor = 100 if unit == "share" else 1
    scaled, step = factor * tick, factor * (ticks[1] - ticks[0])
    if abs(tick) < step / 1e6:
        return "0"
    if max(abs(ticks[0]), abs(ticks[-1])) * factor >= 1e6 or step < 1e-4:
        digits = math.floor(math.log10(abs(scaled)) + 1e-9) - math.floor(math.log10(step) + 1e-9)
        mantissa, _, power = f"{scaled:.{max(0, digits)}e}".partition("e")
        return f"{mantissa}e{int(power)}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{scaled:,.{digits}f}{' %' if unit == 'share' else ''}"


def nice_ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    """About `count` round numbers from at most `low` to at least `high`; whole ones stay within low and high instead."""
    if high <= low:
        return [low, low + 1] if not whole else [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.8 * rough)
    if whole:
        step = max(1.0, round(step))
        return [index * step for index in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def y_range(values: Sequence[float], unit: Unit) -> tuple[float, float]:
    """With zero in it, so that small changes do not look large."""
    low, high = min(*values, 0.0), max(*values, 0.0)
    return (low, high) if high > low else (0.0, 0.01 if unit == "share" else 1.0)


def path(curve: Points, frame: Frame) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in map(frame.place, curve))


def band_path(curves: list[Points], frame: Frame) -> str:
    """The range between runs at each step that at least two of them reached."""
    spread = [(x, values) for x, values in by_step(curves) if len(values) > 1]
    if not spread:
        return "M0 0"
    return path([(x, max(values)) for x, values in spread] + [(x, min(values)) for x, values in reversed(spread)], frame) + "Z"


def main_line(curves: list[Points]) -> Points:
    """The mean of several runs, or the running mean of one."""
    return running_mean(curves[0], SMOOTH) if len(curves) == 1 else mean_over_runs(curves)


def mean_over_runs(curves: list[Points]) -> Points:
    """At each step the mean of the runs that reached it; [] of no runs."""
    return [(x, sum(values) / len(values)) for x, values in by_step(curves)]


def by_step(curves: list[Points]) -> list[tuple[float, list[float]]]:
    """(step, the runs' values), in order."""
    at: dict[float, list[float]] = {}
    for curve in curves:
        for x, y in curve:
            at.setdefault(x, []).append(y)
    return sorted(at.items())


def running_mean(curve: Points, window: int) -> Points:
    """Each point the mean of up to `window` points around it; a short curve stays as it is."""
    if len(curve) < 2 * window:
        return curve
    half = window // 2
    near = [curve[max(0, i - half) : i + half + 1] for i in range(len(curve))]
    return [(x, sum(y for _, y in around) / len(around)) for (x, _), around in zip(curve, near, strict=True)]


def thin(curve: Points, most: int) -> Points:
    """At most `most` points, each the mean of equally many neighbours."""
    size = math.ceil(len(curve) / most)
    if size <= 1:
        return curve
    chunks = [curve[start : start + size] for start in range(0, len(curve), size)]
    return [(chunk[len(chunk) // 2][0], sum(y for _, y in chunk) / len(chunk)) for chunk in chunks]


def dense(curves: list[Points]) -> list[list[float]]:
    """[step, mean over runs] pairs for the pointer to read out."""
    return [[x, float(f"{y:.5g}")] for x, y in mean_over_runs(curves)]


def summary(series: Sequence[Series], main: list[Points], unit: Unit) -> str:
    """What a reader who cannot see the picture is told."""
    told = []
    for line, mean in zip(series, main, strict=True):
        name = f"{line.name} " if len(series) > 1 else ""
        told.append(f"{name}from {write_number(mean[0][1], unit)} to {write_number(mean[-1][1], unit)}")
    return "; ".join(told)


def legend(series: Sequence[Series], *, flagged: bool = False) -> str:
    if len(series) < 2 and not flagged:
        return ""
    keys = "".join(f'<li><i class="f{index % COLOURS}"></i>{escape(line.name)}</li>' for index, line in enumerate(series))
    keys += '<li><i class="flagged"></i>flagged steps</li>' if flagged else ""
    return f'<ul class="legend">{keys}</ul>'

"""From the points of `make bench-curves` to growth exponents, verdicts, tables and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

BEGIN, END = "<!-- bench-curves: begin -->", "<!-- bench-curves: end -->"
LAST = 3  # points whose growth counts beside that of all: a fixed cost hides the growth of the first ones
FLAT, LINEAR, QUADRATIC = 0.1, 1.25, 1.85  # linear: n log n, too, and what outgrows a cache on its way
WORDS = (
    (-FLAT, "falling"), (FLAT, "flat"), (2 - LINEAR, "less than linear"), (LINEAR, "linear"), (QUADRATIC, "more than linear"),
)  # fmt: skip
BARS = {"flat": FLAT, "linear": LINEAR}
CHART_COLUMNS = 3
UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))

Check = dict[str, Any]  # what, value, bar (text), holds


def growth(points: Sequence[tuple[float, float]]) -> float:
    """The exponent b of the power law y = a x^b that fits best: the least-squares slope of log y over log x."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    x_mean, y_mean = fmean(xs), fmean(ys)
    covariance = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return covariance / sum((x - x_mean) ** 2 for x in xs)


def word(exponent: float) -> str:
    """What one calls such a growth."""
    return next((name for bound, name in WORDS if exponent <= bound), "quadratic or more")


def judged(curve: Mapping[str, Any]) -> dict[str, Any]:
    """The curve with its exponents over all points and over the last ones; its bar must hold for both."""
    points = [(float(size), each["median"]) for size, each in curve["points"].items()]
    whole, end = growth(points), growth(points[-LAST:])
    return {
        **curve,
        "exponent": round(whole, 3),
        "exponent_at_the_end": round(end, 3),
        "growth": word(end),
        "holds": max(whole, end) <= BARS[curve["bar"]],
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": short(median(values)), "min": short(min(values)), "max": short(max(values))}


def check(what: str, value: float, bar: float | None, *, at_least: bool = False, exact: bool = False) -> Check:
    """A number beside its bar (at most, at least or exactly so much); without one it is only told."""
    if bar is None:
        return {"what": what, "value": short(value), "bar": "", "holds": None}
    holds = value == bar if exact else (value >= bar if at_least else value <= bar)
    sign = "" if exact else ("at least " if at_least else "at most ")
    return {"what": what, "value": short(value), "bar": f"{sign}{bar:g}", "holds": bool(holds)}


def reward_gap(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], block: int) -> dict[str, Any]:
    """Two sides' mean rewards over the steps, compared block by block.

    The noise is what runs of one side differ by: the standard deviation of their block means, pooled over blocks and sides,
    as the standard error of the difference of two means.

    Args:
        ours, theirs: a run for each seed, at least two: the mean reward of each step.
        block: steps.

    Returns:
        blocks: [mean of ours, mean of theirs] of each block; gap: the largest difference; standard_error; gap_in_errors.
    """
    sides = [[block_means(run, block) for run in runs] for runs in (ours, theirs)]
    columns = [list(zip(*side, strict=True)) for side in sides]
    variance = fmean([stdev(means) ** 2 for side in columns for means in side])
    error = math.sqrt(variance * sum(1 / len(side) for side in sides))
    blocks = [[fmean(a), fmean(b)] for a, b in zip(*columns, strict=True)]
    gap = max(abs(a - b) for a, b in blocks)
    return {
        "blocks": [[short(value) for value in pair] for pair in blocks],
        "gap": short(gap),
        "standard_error": short(error),
        "gap_in_errors": short(gap / error) if error else math.inf,
    }


def block_means(values: Sequence[float], block: int) -> list[float]:
    return [fmean(values[start : start + block]) for start in range(0, len(values), block)]


def as_markdown(result: Mapping[str, Any], charts: Mapping[str, str]) -> str:
    """The generated part of docs/performance.md."""
    machine = result["machine"]
    lines = [
        f"Measured on {result['date']}: {machine['cpu']}, {machine['threads']} threads, {machine['memory_gb']} GB, "
        f"every point warmed up and measured {result['rounds']} times in turn; medians.",
    ]
    if result["curves"]:
        lines += ["", f"![cost over size]({charts['curves']})", ""]
        lines += ["| cost | over | from - to | of a | least | greatest | exponent | at the end | growth | bar | holds |"]
        lines += ["|---|---|---|---|---|---|---|---|---|---|---|"]
        lines += [curve_row(curve) for curve in result["curves"].values()]
    for heading, part in (("Memory of the cache", "memory"), ("Quality is equal", "quality")):
        if result[part]:
            lines += ["", f"**{heading}**", "", "| what | measured | bar | holds |", "|---|---|---|---|"]
            lines += [check_row(each) for each in result[part]]
    if result["rewards"]:
        lines += ["", f"![mean reward of a step]({charts['rewards']})"]
    return "\n".join(lines)


def curve_row(curve: Mapping[str, Any]) -> str:
    sizes = list(curve["points"])
    first, last = (curve["points"][size]["median"] for size in (sizes[0], sizes[-1]))
    cells = [
        curve["title"], curve["over"], f"{int(sizes[0]):,} - {int(sizes[-1]):,}", curve["of"], seconds(first), seconds(last),
        f"{curve['exponent']:.2f}", f"{curve['exponent_at_the_end']:.2f}", curve["growth"], curve["bar"], yes(curve["holds"]),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def check_row(each: Check) -> str:
    return f"| {each['what']} | {each['value']:g} | {each['bar']} | {yes(each['holds'])} |"


def yes(holds: bool | None) -> str:
    return {True: "yes", False: "**no**", None: ""}[holds]


def seconds(value: float) -> str:
    """With a unit in which it is at least 1."""
    unit, size = next((pair for pair in UNITS if value >= pair[1]), UNITS[-1])
    return f"{value / size:.3g} {unit}"


def draw_curves(curves: Mapping[str, Any], path: Path) -> None:
    """Every curve in a small picture of its own, both scales logarithmic."""
    rows = -(-len(curves) // CHART_COLUMNS)
    figure = new_figure(3.4 * CHART_COLUMNS, 2.5 * rows)
    for place, curve in enumerate(curves.values(), 1):
        axes = figure.add_subplot(rows, CHART_COLUMNS, place)
        sizes = [int(size) for size in curve["points"]]
        middle, low, high = ([each[name] for each in curve["points"].values()] for name in ("median", "min", "max"))
        axes.fill_between(sizes, low, high, color="#4c72b0", alpha=0.25, linewidth=0)
        axes.plot(sizes, middle, marker="o", markersize=3, color="#4c72b0")
        axes.set(xscale="log", yscale="log", ylim=(min(low) / 3, max(high) * 3), xlabel=curve["over"])
        axes.set_title(f"{curve['title']}:\nseconds for a {curve['of']}, {curve['growth']}", fontsize=7)
        axes.xaxis.label.set_fontsize(7)
        axes.tick_params(labelsize=6, which="both")
    save(figure, path)


def draw_rewards(rewards: Mapping[str, Sequence[Sequence[float]]], path: Path) -> None:
    """The mean reward of every step of every run."""
    figure = new_figure(6.0, 3.0)
    axes = figure.add_subplot()
    for (side, runs), colour in zip(rewards.items(), ("#4c72b0", "#c44e52"), strict=False):
        for number, run in enumerate(runs):
            axes.plot(range(len(run)), run, color=colour, linewidth=1, label=side if number == 0 else None)
    axes.set(xlabel="step", ylabel="mean reward")
    axes.legend()
    save(figure, path)


def new_figure(width: float, height: float) -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def short(value: float) -> float:
    """To six digits: no clock says more."""
    return float(f"{value:.6g}")

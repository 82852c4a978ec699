"""`cogitate plan --validate ROWS`: every figure beside what was published, errors, intervals, and the page of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogitate.apps.plan.published.fit import group_of
from cogitate.apps.plan.published.row import Row
from cogitate.apps.plan.published.rows import Left
from cogitate.costs.factors import Estimate, Factors, estimate
from cogitate.costs.hardware import GIB

GROUPS = ("memory", "step_time", "whole_run")
UNITS = {"memory": (GIB, "GiB"), "step_time": (1.0, "s"), "whole_run": (1.0, "GPU h")}
SHARES = ("median_error", "p90_error", "covered", "median_half_width")  # of a summary
TITLES = {"memory": "Peak memory of one GPU", "step_time": "Time of a step", "whole_run": "GPU hours of a whole run"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One predicted figure of a row; `published` is None where the row has none."""

    predicted: Estimate
    published: float | None

    @property
    def error(self) -> float | None:
        """Relative, with its sign."""
        return None if self.published is None else self.predicted.value / self.published - 1

    @property
    def is_covered(self) -> bool:
        return self.published is not None and self.predicted.low <= self.published <= self.predicted.high

    def as_json(self) -> dict[str, Any]:
        error = self.error
        found = {**self.predicted.as_json(), "published": self.published, "error": error}
        return found if error is None else {**found, "factor": error + 1, "in_interval": self.is_covered}


@dataclass(frozen=True, slots=True)
class Checked:
    """A row with its figures.

    Attributes:
        fits: what is predicted: whether the lower end of memory's interval fits, and the kernels exist; None without memory.
        why: the term that is too large, or the kernel that is missing; "" where it fits.
    """

    row: Row
    figures: dict[str, Figure]
    fits: bool | None
    why: str

    @property
    def is_right(self) -> bool:
        return self.fits is self.row.fits

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"id": self.row.id, "what": self.row.what, "fitted_on": self.row.is_fitted}
        found |= {name: figure.as_json() for name, figure in self.figures.items()}
        if self.row.fits is not None:
            found["fits"] = {"published": self.row.fits, "predicted": self.fits, "right": self.is_right, "why": self.why}
        return {**found, "notes": list(self.row.notes)}


def check_rows(rows: Sequence[Row], factors: Factors) -> list[Checked]:
    """Predict every figure of the rows."""
    return [check_row(row, factors) for row in rows]


def check_row(row: Row, factors: Factors) -> Checked:
    figures = {
        name: Figure(
            estimate(figure, factors, group_of(row, name), further=row.further_memory if name == "memory" else row.further),
            row.published.get(name),
        )
        for name, figure in row.figures.items()
    }
    memory = figures.get("memory")
    if memory is None or not row.capacity:
        return Checked(row, figures, None, "")
    fits = memory.predicted.low <= row.capacity and not row.cannot
    why = row.cannot
    if not fits and not why:
        largest = row.memory(factors).largest if row.memory is not None else "memory"
        why = f"{memory.predicted.value / GIB:.0f} GiB of {row.capacity / GIB:.0f}, most of it {largest}"
    return Checked(row, figures, fits, why)


def validation(checked: Sequence[Checked], left: Sequence[Left]) -> dict[str, Any]:
    """The JSON that the command prints: all rows together, those that nothing was fitted on, and row by row."""
    unseen = [each for each in checked if not each.row.is_fitted]
    return {
        **summary(checked),
        "not_fitted_on": summary(unseen),
        "rows": [each.as_json() for each in checked],
        "left_out": [{"line": each.line, "id": each.id, "why": each.why} for each in left],
    }


def summary(checked: Sequence[Checked]) -> dict[str, Any]:
    """Errors by group of figures, and how often it was right whether a row fits."""
    told = [each for each in checked if each.row.fits is not None]
    fits = {"rows": len(told), "right": sum(each.is_right for each in told)}
    return {**{group: errors_of(group, checked) for group in GROUPS}, "fits": fits}


def errors_of(group: str, checked: Sequence[Checked]) -> dict[str, Any]:
    figures = [each.figures[group] for each in checked if group in each.figures and each.figures[group].published is not None]
    if not figures:
        return {"median_error": None, "p90_error": None, "rows": 0, "covered": None, "median_half_width": None}
    errors = [abs(figure.error or 0.0) for figure in figures]
    return {
        "median_error": float(np.median(errors)),
        "p90_error": float(np.quantile(errors, 0.9)),
        "rows": len(errors),
        "covered": sum(figure.is_covered for figure in figures) / len(figures),
        "median_half_width": float(np.median([figure.predicted.half_width for figure in figures])),
    }


def validation_text(content: dict[str, Any]) -> str:
    """The errors in a few lines."""
    lines = []
    for name, part in (("all rows", content), ("rows that nothing was fitted on", content["not_fitted_on"])):
        lines.append(f"{name}:")
        for group in GROUPS:
            found = part[group]
            if found["rows"]:
                median, tail, covered, width = (100 * found[key] for key in SHARES)
                lines.append(
                    f"  {group:<10} median error {median:5.1f} %, nine of ten below {tail:5.1f} %, {found['rows']} rows; "
                    f"{covered:.0f} % in their intervals, of median half-width {width:.0f} %"
                )
        lines.append(f"  fits       {part['fits']['right']} of {part['fits']['rows']} right")
    lines += [f"left out: line {each['line']} ({each['id']}): {each['why']}" for each in content["left_out"]]
    return "\n".join(lines)


def errors_page(checked: Sequence[Checked], left: Sequence[Left]) -> str:
    """Every row as Markdown, the worst first in each table."""
    lines = ["# Errors of the planner, row by row", ""]
    lines += [
        "Made by `cogitate plan --validate ROWS.jsonl --page FILE.md`. Factors are fitted on the rows marked *fitted*; the",
        "",
    ]
    lines[-2] += " others are tests."
    for part, rows in (("All rows", checked), ("Rows that nothing was fitted on", [c for c in checked if not c.row.is_fitted])):
        lines += [
            f"## {part}",
            "",
            "| figure | rows | median error | nine of ten below | in the interval | median half-width |",
        ]
        lines += ["|---|---|---|---|---|---|"]
        for group in GROUPS:
            found = errors_of(group, rows)
            if found["rows"]:
                shares = [f"{100 * found[key]:.1f} %" for key in SHARES]
                lines.append(f"| {TITLES[group]} | {found['rows']} | {' | '.join(shares)} |")
        fits = summary(rows)["fits"]
        lines += ["", f"Fits or not: {fits['right']} of {fits['rows']} right.", ""]
    for group in GROUPS:
        lines += table_of(group, checked)
    return "\n".join([*lines, *fits_table(checked), *left_lines(left)]).rstrip() + "\n"


def table_of(group: str, checked: Sequence[Checked]) -> list[str]:
    unit, name = UNITS[group]
    found = [(each, each.figures[group]) for each in checked if group in each.figures and each.figures[group].published]
    found.sort(key=lambda pair: -abs(pair[1].error or 0.0))
    lines = [
        f"## {TITLES[group]}",
        "",
        f"| row | published, {name} | predicted | interval | factor | in it | |",
        "|---|---|---|---|---|---|---|",
    ]
    for each, figure in found:
        low, value, high = (write(x / unit) for x in (figure.predicted.low, figure.predicted.value, figure.predicted.high))
        published, factor = write((figure.published or 0) / unit), (figure.error or 0) + 1
        note = cell("; ".join(["fitted"] * each.row.is_fitted + list(each.row.notes)))
        covered = "yes" if figure.is_covered else "no"
        lines.append(f"| {cell(each.row.id)} | {published} | {value} | {low} to {high} | {factor:.2f} | {covered} | {note} |")
    return [*lines, ""]


def fits_table(checked: Sequence[Checked]) -> list[str]:
    told = [each for each in checked if each.row.fits is not None]
    told.sort(key=lambda each: (each.is_right, bool(each.row.fits)))
    lines = ["## Fits or not", "", "| row | it ran | predicted | why |", "|---|---|---|---|"]
    words = {True: "fits", False: "does not", None: "-"}
    for each in told:
        predicted = f"{words[each.fits]}{'' if each.is_right else ' (wrong)'}"
        lines.append(f"| {cell(each.row.id)} | {words[each.row.fits]} | {predicted} | {each.why} |")
    return [*lines, ""]


def cell(text: str) -> str:
    """A text as a cell of a table may hold it."""
    return " ".join(text.replace("|", "\\|").split())


def left_lines(left: Sequence[Left]) -> list[str]:
    return ["## Left out", "", *(f"- line {each.line}, {each.id}: {each.why}" for each in left), ""] if left else []


def write(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"

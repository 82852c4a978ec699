"""The table of `cogitate eval`: tasks by metrics on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cogitate.apps.report.words import task_title, write_number
from cogitate.evals.paired import Difference

WIDE = 110  # characters: room for every column; what goes into a file has it


@dataclass(frozen=True, slots=True)
class Column:
    """`metric` of results.json.

    Attributes:
        wide: left out on a terminal narrower than WIDE.
        unless_like: left out where it equals this metric for every task.
    """

    metric: str
    heading: str
    unit: Literal["share", "interval", "tokens"] = "share"
    wide: bool = False
    unless_like: str = ""


COLUMNS = (
    Column("pass@1", "pass@1"),
    Column("pass@1", "95 %\ninterval", "interval"),
    Column("score", "mean\nscore", unless_like="pass@1"),
    Column("pass@{k}", "pass@{k}"),
    Column("longest_third", "longest\nthird", wide=True),
    Column("thinking_tokens", "thinking\ntokens", "tokens"),
    Column("completion_tokens", "all\ntokens", "tokens"),
    Column("truncated_share", "cut\noff"),
    Column("format_rate", "format\nkept"),
    Column("reflection_rate", "reflec-\ntion"),
    Column("language_mix_rate", "languages\nmixed", wide=True),
    Column("no_verdict_share", "no\nverdict", wide=True),
)


def rich_table(tasks: Mapping[str, Mapping[str, Any]], title: str, width: int) -> Table:
    """Tasks by metrics, shares in percent; pass@k is left out where there is one sample a problem."""
    samples = tasks["all"]["samples"]
    columns = [
        column
        for column in COLUMNS
        if (width >= WIDE or not column.wide) and (samples > 1 or column.metric != "pass@{k}") and says_something(column, tasks)
    ]
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    shown.add_column("task", no_wrap=True)
    shown.add_column("n", justify="right", no_wrap=True)
    for column in columns:
        shown.add_column(column.heading.format(k=samples), justify="right", no_wrap=True)
    for task, metrics in tasks.items():
        cells = [cell(metrics.get(column.metric.format(k=samples)), column) for column in columns]
        shown.add_row(task_title(task), str(metrics["problems"]), *cells, style="bold" if task == "all" else None)
    return shown


def says_something(column: Column, tasks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a column is not merely another one again."""
    return not column.unless_like or any(row.get(column.metric) != row.get(column.unless_like) for row in tasks.values())


def difference_table(differences: Mapping[str, Difference], title: str) -> Table:
    """Points of pass@1 by task, with their 95 % intervals."""
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("task", no_wrap=True)
    for heading in ("problems", "difference", "95 % interval"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for task, difference in differences.items():
        estimate = difference.estimate
        known = estimate.low is not None and estimate.high is not None
        interval = f"{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}" if known else "-"  # type: ignore[operator]
        cells = (task_title(task), str(difference.problems), f"{100 * estimate.value:+.1f}", interval)
        shown.add_row(*cells, style="bold" if task == "all" else None)
    return shown


def cell(measured: Mapping[str, Any] | None, column: Column) -> str:
    """A value as a person writes it; a dash where nothing could be measured."""
    if measured is None:
        return "-"
    if column.unit == "tokens":
        return write_number(measured["value"], "tokens")
    if column.unit == "share":
        return f"{100 * measured['value']:.1f}"
    low, high = measured["ci95"]
    return "-" if low is None else f"{100 * low:.1f}-{100 * high:.1f}"

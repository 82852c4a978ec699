"""The table of `cogitate eval`: tasks by metrics on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cogitate.apps.report.words import task_title, write_number
from cogitate.evals.levels import EXTRAPOLATION, OF_LEVEL
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


@dataclass(frozen=True, slots=True)
class Detail:
    """A column of the table of puzzles: a value with its 95 % interval beneath."""

    metric: str
    heading: str
    unit: Literal["share", "number"] = "share"


STEPS = (
    Detail("tries", "tries", "number"),
    Detail("rejecting_rate", "rejects\na try"),
    Detail("self_correction_rate", "corrects\nitself"),
    Detail("step_accuracy", "steps\nright"),
)


def puzzle_tables(tasks: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """pass@1 by level with the number of problems in brackets, and the measures of steps; none without such problems."""
    found = dict.fromkeys(metric for row in tasks.values() for metric in row if metric.startswith(OF_LEVEL))
    levels = sorted(int(metric.removeprefix(OF_LEVEL)) for metric in found)
    by_level = [Detail(f"{OF_LEVEL}{level}", f"level {level}") for level in levels] + [Detail(EXTRAPOLATION, "extrapolation")]
    titles = (
        ("pass@1 by level in percent, problems in brackets; 95 % intervals beneath", by_level),
        ("the steps of puzzles; shares in percent, 95 % intervals beneath", STEPS),
    )
    return [made for title, columns in titles if (made := detail_table(tasks, columns, title)) is not None]


def detail_table(tasks: Mapping[str, Mapping[str, Any]], columns: Sequence[Detail], title: str) -> Table | None:
    """The columns and tasks that have any value; None where nothing has."""
    columns = [column for column in columns if any(column.metric in row for row in tasks.values())]
    if not columns:
        return None
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("task", no_wrap=True)
    for column in columns:
        shown.add_column(column.heading, justify="right", no_wrap=True)
    for task, metrics in tasks.items():
        if any(column.metric in metrics for column in columns):
            cells = [detail(metrics.get(column.metric), column) for column in columns]
            shown.add_row(task_title(task), *cells, style="bold" if task == "all" else None)
    return shown


def detail(measured: Mapping[str, Any] | None, column: Detail) -> str:
    """`45.0 (12)` and `38.1-52.3` beneath; a dash where nothing could be measured."""
    if measured is None:
        return "-"
    factor, digits = (100, 1) if column.unit == "share" else (1, 2)
    count = f" ({measured['problems']})" if "problems" in measured else ""
    low, high = measured["ci95"]
    interval = "-" if low is None else f"{factor * low:.{digits}f}-{factor * high:.{digits}f}"
    return f"{factor * measured['value']:.{digits}f}{count}\n{interval}"


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

"""The report's table of what each stage took beside what the run's plan said, where the run had a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from cogitate.apps.report.data import Run
from cogitate.apps.report.words import stage_title, write_seconds
from cogitate.costs.factors import Estimate
from cogitate.costs.hardware import GIB
from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.planned import Compared, compared


def beside_plan(runs: Sequence[Run]) -> str:
    """A table for each run that has a plan and a finished stage in it; "" where there is none."""
    return "".join(table_of(run, runs) for run in runs)


def table_of(run: Run, runs: Sequence[Run]) -> str:
    try:
        rows = compared(run.path)
    except ArtifactError as error:
        return f'<p class="soft">{escape(str(error))}</p>'
    if not rows:
        return ""
    of = f", seed {run.seed}" if len(runs) > 1 else ""
    measured, planned = sum(row.seconds for row in rows), sum(row.plan.seconds.value for row in rows)
    cells = (write_seconds(measured), write_seconds(planned), error_text(measured, planned), "", "", "")
    return "".join(
        [
            f"<h3>Beside the plan{of}</h3><p class='soft small'>What each stage took, and what the plan made at the start of ",
            "the run said, with the interval that should hold eight of ten. Memory is the most that the process had.</p>",
            "<div class='scroll'><table><thead><tr><th>Stage</th><th>Time</th><th>Planned</th><th>Error</th>",
            "<th>Memory, GiB</th><th>Planned</th><th>Error</th></tr></thead><tbody>",
            *(row_of(row, runs) for row in rows),
            f"<tr><th>All</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr></tbody></table></div>",
        ]
    )


def row_of(row: Compared, runs: Sequence[Run]) -> str:
    seconds, memory = row.plan.seconds, row.plan.memory
    cells = [write_seconds(row.seconds), with_interval(seconds, write_seconds), error_text(row.seconds, seconds.value)]
    if row.peak is None:
        cells += ["", with_interval(memory, gib_text), ""]
    else:
        cells += [gib_text(row.peak), with_interval(memory, gib_text), error_text(row.peak, memory.value)]
    return f"<tr><th>{escape(stage_title(row.stage, runs))}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def with_interval(figure: Estimate, write: Callable[[float], str]) -> str:
    return f"{write(figure.value)}<br><span class='soft small'>{write(figure.low)} to {write(figure.high)}</span>"


def gib_text(size: float) -> str:
    return f"{size / GIB:.2f}"


def error_text(measured: float, planned: float) -> str:
    """How much more or less was measured than planned."""
    return f"{100 * (measured / planned - 1):+.0f}\u00a0%" if planned else ""

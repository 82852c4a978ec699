"""The report of one or several runs: a single HTML file that opens anywhere, offline, and the picture for a README.

Several run directories are several seeds of one recipe: tables are pooled, curves carry the range between seeds. Runs of
other settings are never averaged (same_recipe.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cogitate.apps.report.beside_plan import beside_plan
from cogitate.apps.report.cards.section import page_link, stages_section
from cogitate.apps.report.completions import browser_data
from cogitate.apps.report.data import Run, curves_of, logged_names, stage_names
from cogitate.apps.report.figures.charts import Series, line_chart, time_bar
from cogitate.apps.report.figures.picture import write_curve_png
from cogitate.apps.report.figures.plots import GROUPS, Plot, expand, unlisted
from cogitate.apps.report.notices import notices
from cogitate.apps.report.same_recipe import load_seeds
from cogitate.apps.report.sets import data_section
from cogitate.apps.report.stages import is_fine_tuning
from cogitate.apps.report.story import headline, story, tiles
from cogitate.apps.report.tables import by_task_tables, levels_table, measures_table, prompts_note, staged_table, students_table
from cogitate.apps.report.turns import turns_link, turns_section
from cogitate.apps.report.words import plain, stage_title, write_number, write_seconds
from cogitate.runtime import atomic_write

__all__ = ["write_curve_png", "write_report"]

HERE = Path(__file__).parent


def write_report(run_directories: Sequence[Path], out: Path) -> Path:
    """Write the report; a run under way is reported as far as it is.

    Raises:
        ArtifactError: a directory is no run directory, a file in it is damaged, or the runs are not seeds of one recipe.
    """
    runs = load_seeds(run_directories)
    data, turns = browser_data(runs), turns_section(runs)
    page = fill_template(
        (HERE / "report.html").read_text(encoding="utf-8"),
        {
            "title": escape(f"Cogitate: {names(runs)}"),
            "style": (HERE / "report.css").read_text(encoding="utf-8"),
            "script": (HERE / "report.js").read_text(encoding="utf-8"),
            "run_line": run_line(runs),
            "headline": escape(headline(runs)),
            "story": "".join(f"<p>{escape(sentence)}</p>" for sentence in story(runs)),
            "notices": notices(runs),
            "tiles": tiles(runs),
            "stages": stages_section(runs, out),
            "tables": tables(runs, out),
            "curves": curves(runs),
            "turns": turns,
            "turns_link": turns_link(turns),
            "sets": data_section(runs),
            "time": time_section(runs),
            "browser": browser(data),
            "footer": footer(),
            "data": json_for_html(data),
        },
    )
    with atomic_write(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out


def fill_template(template: str, values: dict[str, str]) -> str:
    """Replace {{name}} once; what is filled in is not looked at again, so a completion may contain {{title}}."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match.group(1)], template)


def json_for_html(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it can close the element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def run_line(runs: Sequence[Run]) -> str:
    seeds = ", ".join(str(run.seed) for run in runs)
    return f"Cogitate · <code>{escape(names(runs))}</code> · {'seed' if len(runs) == 1 else 'seeds'} {seeds}"


def names(runs: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(run.path.resolve().name for run in runs))


def tables(runs: Sequence[Run], out: Path) -> str:
    pooled = f" Values are means of {len(runs)} seeds; intervals include their spread." if len(runs) > 1 else ""
    intro = (
        "The chance that one completion is right, on problems that are in no training data. Beneath each value is its 95 % "
        f"interval, clustered by problem (completions of one problem are not independent).{pooled} How models are measured: "
        f"{page_link('stages/evaluate.md', out)}, {page_link('metrics.md', out)}."
    )
    return (
        f'<p class="soft">{intro}</p>{staged_table(runs)}{prompts_note(runs)}{students_table(runs)}{levels_table(runs)}'
        f"{measures_table(runs)}{by_task_tables(runs)}"
    )


def curves(runs: Sequence[Run]) -> str:
    """Every number that was logged, as small pictures grouped by question; reinforcement learning first, pretraining last."""
    how = (
        "Thin lines are single runs, the thick line is their mean, the shade their range."
        if len(runs) > 1
        else "The thin line is each step, the thick line the mean of five neighbouring steps."
    )
    learning = {name: "reward" in logged_names(runs, name) for name in stage_names(runs)}
    stages = sorted(learning, key=lambda name: not learning[name])
    if not stages:
        return '<p class="soft">No stage has logged a step yet.</p>'
    sections = [f'<p class="soft">{how} Point at a picture, or focus it and use the arrow keys, to read values.</p>']
    first = True  # the others are folded: a run of the whole recipe has five such stages
    for stage in stages:
        groups = [*GROUPS, ("Also logged", unlisted(logged_names(runs, stage)))]
        drawn = "".join(group(runs, stage, title, plots) for title, plots in groups)
        drawn += constants(runs, stage, [plot for _, plots in groups for plot in plots])
        count = max(len(run.stages[stage].rows) for run in runs if stage in run.stages)
        title = f"{escape(stage_title(stage, runs))} <span class='soft small'>{count:,} steps logged</span>"
        opened = " open" if learning[stage] and first else ""
        first = first and not opened
        sections.append(f'<details{opened}><summary class="stage">{title}</summary>{drawn}</details>')
    return "".join(sections) + fine_tuning(runs)


def fine_tuning(runs: Sequence[Run]) -> str:
    """The losses of all stages that learn from conversations in one picture; nothing with fewer than two."""
    names = [name for name in stage_names(runs) if is_fine_tuning(name, runs)]
    series = [Series(stage_title(name, runs), curves_of(runs, name, "loss")) for name in names if curves_of(runs, name, "loss")]
    if len(series) < 2:
        return ""
    drawn = line_chart(series, x="step", y="nats per token", unit="number", title="Loss of fine-tuning")
    meaning = "Surprise at the next token of what the assistant says; a lower level here is easier data, not a better model."
    return (
        '<h4 class="soft" style="margin-top:18px">Fine-tuning side by side</h4><div class="charts"><figure><figcaption>'
        f"<h4>Loss</h4><p>{meaning}</p></figcaption>{drawn}</figure></div>"
    )


def group(runs: Sequence[Run], stage: str, title: str, plots: Sequence[Plot]) -> str:
    figures = "".join(figure(runs, stage, plot) for plot in plots)
    return (
        f'<h4 class="soft" style="margin-top:18px">{escape(title)}</h4><div class="charts">{figures}</div>' if figures else ""
    )


def figure(runs: Sequence[Run], stage: str, plot: Plot) -> str:
    """One picture with its title and sentence; nothing where none of its metrics was logged, or all are constant."""
    series = series_of(runs, stage, plot)
    if not series or all(constant_of(line) is not None for line in series):
        return ""
    flagged = sorted({x for curve in curves_of(runs, stage, plot.flag) for x, y in curve if y}) if plot.flag else []
    drawn = line_chart(series, x="step", y=plot.y, unit=plot.unit, title=plot.title, flagged=flagged)
    return f"<figure><figcaption><h4>{escape(plot.title)}</h4><p>{escape(plot.meaning)}</p></figcaption>{drawn}</figure>"


def series_of(runs: Sequence[Run], stage: str, plot: Plot) -> list[Series]:
    return [Series(name, curves_of(runs, stage, metric)) for metric, name in expand(plot, logged_names(runs, stage))]


def constant_of(line: Series) -> float | None:
    """The one value that a line has at two or more steps of every run; None where it varies."""
    values = {y for curve in line.curves for _, y in curve}
    return values.pop() if len(values) == 1 and all(len(curve) > 1 for curve in line.curves) else None


def constants(runs: Sequence[Run], stage: str, plots: Sequence[Plot]) -> str:
    """What needs no picture: clip shares with one optimiser step a batch, a learning rate without a schedule, and so on."""
    told = []
    for plot in plots:
        values = [(line.name, constant_of(line)) for line in series_of(runs, stage, plot)]
        known = [(name, value) for name, value in values if value is not None]
        if not known or len(known) < len(values):
            continue
        if len({value for _, value in known}) == 1:
            told.append(f"{plot.title} {write_number(known[0][1], plot.unit)}")
        else:
            parts = ", ".join(f"{name} {write_number(value, plot.unit)}" for name, value in known)
            told.append(f"{plot.title} ({parts})")
    return f'<p class="soft small">The same at every step: {escape("; ".join(told))}.</p>' if told else ""


def time_section(runs: Sequence[Run]) -> str:
    """The whole run by stage, then each RL stage by phase; means over runs."""
    whole: dict[str, float] = {}
    for run in runs:
        for stage, seconds in run.results.get("seconds", {}).items():
            whole[stage_title(stage, runs)] = whole.get(stage_title(stage, runs), 0.0) + seconds / len(runs)
    parts = []
    if sum(whole.values()) > 0:
        spent = [(name, seconds) for name, seconds in whole.items() if seconds > 0]
        parts.append(f"<h3>The whole run: {write_seconds(sum(whole.values()))}</h3>{time_bar(spent)}")
    shipped = dict.fromkeys(
        name for run in runs for name, origin in run.results.get("origins", {}).items() if origin == "shipped"
    )
    if shipped:
        names_of = ", ".join(stage_title(name, runs) for name in shipped)
        parts.append(f'<p class="soft small">Shipped with the package, not made in this run: {escape(names_of)}.</p>')
    for stage in stage_names(runs):
        phases = phase_seconds(runs, stage)
        if phases:
            total = sum(seconds for _, seconds in phases)
            parts.append(f"<h3>{escape(stage_title(stage, runs))} by phase: {write_seconds(total)}</h3>{time_bar(phases)}")
    parts.append(beside_plan(runs))
    return "".join(parts) or '<p class="soft">No times were recorded.</p>'


def phase_seconds(runs: Sequence[Run], stage: str) -> list[tuple[str, float]]:
    """Seconds of each phase over all steps, and what the phases leave over; [] where phases were not logged."""
    phases = [name for name in logged_names(runs, stage) if name.startswith("seconds.")]
    sums = [(plain(name.removeprefix("seconds.")), total(runs, stage, name)) for name in phases]
    rest = total(runs, stage, "seconds") - sum(seconds for _, seconds in sums)
    return [*sums, ("Other", rest)] if sums and rest > 0 else sums


def total(runs: Sequence[Run], stage: str, metric: str) -> float:
    return sum(y for curve in curves_of(runs, stage, metric) for _, y in curve) / len(runs)


def browser(data: dict[str, Any]) -> str:
    """Controls of the browser of completions; report.js fills it."""
    if not data["columns"]:
        return '<p class="soft">No completions were kept.</p>'
    tasks = sorted({problem["task"] for problem in data["problems"]})
    left = f" {data['left_out']:,} more are in the run's transcripts.jsonl files." if data["left_out"] else ""
    return "".join(
        [
            f'<p class="soft">{len(data["completions"]):,} sampled completions, side by side. Thinking is dimmed; words of ',
            f"reflection are marked. A filter keeps the problems that have a matching completion in a chosen column.{left}</p>",
            column_buttons(data["columns"]),
            '<div class="toolbar" role="search">',
            select("task", "Task", [("", "all tasks"), *((task, task) for task in tasks)]),
            select("verdict", "Verdict", VERDICTS),
            select("habit", "Habit", HABITS),
            select("sort", "Order", ORDERS),
            '<label>Words<input id="by-words" type="search" placeholder="wait, 等等, sort …" autocomplete="off"></label>',
            '<button type="button" class="primary" id="aha">Find “aha” moments</button>',
            '<button type="button" id="all">Show all</button></div>',
            '<p class="found" id="found" role="status"></p><div id="problems"></div>',
            '<button type="button" id="more">Show more</button>',
            "<noscript><p>The browser of completions needs JavaScript; the run's transcripts.jsonl files hold the same ",
            "texts.</p></noscript>",
        ]
    )


def column_buttons(columns: Sequence[dict[str, str]]) -> str:
    """A row of buttons for each group of columns."""
    groups: dict[str, list[str]] = {}
    for index, column in enumerate(columns):
        button = f'<button type="button" data-column="{index}" aria-pressed="false">{escape(column["name"])}</button>'
        groups.setdefault(column["group"], []).append(button)
    return "".join(
        f'<div class="columns" role="group" aria-label="{escape(name)}"><span class="small soft">{escape(name)}:</span>'
        f"{''.join(buttons)}</div>"
        for name, buttons in groups.items()
    )


VERDICTS = (("", "any"), ("right", "right"), ("wrong", "wrong"), ("none", "no verdict"))
HABITS = (("", "any"), ("reflection", "reflects"), ("mixed", "mixes languages"), ("cut", "cut off"))
ORDERS = (
    ("order", "as sampled"),
    ("reflections", "most reflection"),
    ("longest", "longest"),
    ("shortest", "shortest"),
    ("reward", "highest reward"),
)


def select(name: str, label: str, options: Sequence[tuple[str, str]]) -> str:
    made = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{label}<select id="by-{name}">{made}</select></label>'


def footer() -> str:
    return (
        f"<p>Made by Cogitate {escape(version('cogitate'))} from results.json and the stages' metrics.jsonl and "
        "transcripts.jsonl. Definitions of every metric are in docs/metrics.md. This file loads nothing from anywhere.</p>"
    )

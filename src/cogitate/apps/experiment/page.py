"""The page of an experiment: one HTML file that opens anywhere, offline, and the same numbers as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path

from cogitate.apps import report
from cogitate.apps.experiment.analysis import Analysis
from cogitate.apps.experiment.definition import LOG, SUMMARY, WHOLE_LOG
from cogitate.apps.experiment.results import Results, collapsed
from cogitate.apps.report.data import curves_of
from cogitate.apps.report.figures.charts import Series, line_chart
from cogitate.apps.report.figures.plots import GROUPS
from cogitate.apps.report.figures.scatter import Point, PointSeries, scatter_chart
from cogitate.apps.report.tables import number, table
from cogitate.apps.report.words import Unit, measure_words, plain, write_number, write_seconds
from cogitate.config import flatten
from cogitate.evals.metrics import Estimate
from cogitate.runtime import atomic_write, write_json

STYLE = Path(report.__file__).with_name("report.css")
NUMBERS = "experiment.json"
SAFE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_page(results: Results, out: Path, found: Analysis | None = None) -> Path:
    """experiment.json, then experiment.html, which is returned."""
    analysed = {"analysis": {results.experiment.config.analysis: dict(found.content)}} if found else {}
    write_json(out / NUMBERS, {**results.as_json(), **analysed})
    page = out / "experiment.html"
    with atomic_write(page) as temporary:
        temporary.write_text(html_of(results, found), encoding="utf-8")
    return page


def html_of(results: Results, found: Analysis | None = None) -> str:
    """The whole page."""
    config = results.experiment.config
    title = config.title or f"Experiment {results.experiment.name}"
    sections = [
        ("claims", "What is claimed", claims(results)),
        *([("analysis", escape(found.title), found.html)] if found else []),
        ("table", "What was measured", measured(results)),
        ("plots", "One over the other", plots(results)),
        ("curves", "How it got there", curves(results)),
        ("cost", "What it cost", cost(results)),
        ("settings", "What differs", settings(results)),
    ]
    body = "".join(
        f'<section id="{name}"><h2>{heading}</h2>{content}</section>' for name, heading, content in sections if content
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{SAFE}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f'<header class="top"><h1>Cogitate · {escape(title)}</h1>{opening(results)}{notices(results)}</header>'
        f"<main>{body}</main><footer><p>Made by Cogitate {escape(version('cogitate'))} from the runs of this experiment; "
        f"experiment.json holds the same numbers. This file loads nothing from anywhere.</p></footer></body></html>"
    )


def opening(results: Results) -> str:
    """What was done, in a few sentences."""
    config = results.experiment.config
    finished = sum(each.finished for each in results.outcomes)
    seeds = f"{'seed' if len(config.seeds) == 1 else 'seeds'} {', '.join(map(str, config.seeds))}"
    budget = (
        f"Each may generate {config.budget.tokens:,} tokens in <code>{escape(config.budget.stage)}</code>, those of replaced "
        "groups and greedy completions included, and stops in the step that reaches them."
        if config.budget
        else "There is no budget: stages are as long as the settings have them."
    )
    return (
        f"<p>{len(config.variants)} variants of <code>{escape(config.recipe)}</code> at {seeds}; {finished} of "
        f"{len(results.outcomes)} runs are finished. {budget} Disk budget: {config.disk_gib:g} GiB.</p>"
    )


def notices(results: Results) -> str:
    """Failed runs, missing ones, and those that did not spend their budget."""
    lines = [f"{each.variant}, seed {each.seed} failed: {each.error}" for each in results.outcomes if each.error]
    missing = [f"{each.variant}, seed {each.seed}" for each in results.outcomes if not each.finished and not each.error]
    lines += [f"not finished: {'; '.join(missing)}"] if missing else []
    lines += [
        f"{each.variant}, seed {each.seed} ended after {tokens:,.0f} generated tokens, short of the budget"
        for each, tokens in results.short_of_budget()
    ]
    return f'<ul class="notices">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


def claims(results: Results) -> str:
    """Each claim, the difference and whether its interval settles it."""
    rows = "".join(
        f'<tr><th class="sentence">{escape(claim.text)}</th>'
        f"<td>{signed(claim.difference, words_of(claim.config.metric)[1])}</td>"
        f"<td>{claim.seeds}</td><td>{escape(claim.verdict)}</td></tr>"
        for claim in results.claims
    )
    heads = "<th>Claim</th><th>Difference, 95 % interval</th><th>Seeds</th><th>Verdict</th>"
    return table(heads, rows) if rows else ""


def measured(results: Results) -> str:
    """A row for each variant: each measure, and beneath it the difference from the baseline."""
    config, baseline = results.experiment.config, results.experiment.baseline
    titles = [words_of(measure)[0] for measure in config.measure]
    heads = "<th>Variant</th><th>Runs</th>" + "".join(f"<th>{escape(title)}</th>" for title in titles)
    rows = ""
    for name in config.variants:
        cells = "".join(cell(results, name, measure) for measure in config.measure)
        note = '<span class="soft">baseline</span>' if name == baseline else ""
        rows += f"<tr><th>{escape(name)}{note}</th><td>{len(results.of(name))} of {len(config.seeds)}</td>{cells}</tr>"
    intro = (
        f"Means over seeds with 95 % intervals that include their spread; beneath, the difference from {escape(baseline)}: of "
        "pass@1 paired by seed and problem, of the others by seed. The end of training is the last quarter of its steps. "
        f"What is not of training is of the evaluation of {models_text(results)}, or what a stage says of itself."
    )
    return f'<p class="soft">{intro}</p>{table(heads, rows)}'


def models_text(results: Results) -> str:
    """The models that are measured, with their variants where these have different ones."""
    named = {variant: results.experiment.model(variant) for variant in results.experiment.config.variants}
    if len(set(named.values())) == 1:
        return f"<code>{escape(next(iter(named.values())))}</code>"
    return ", ".join(f"<code>{escape(model)}</code> ({escape(variant)})" for variant, model in named.items())


def plots(results: Results) -> str:
    """One measure over another: a point for each variant, with both intervals."""
    figures = ""
    for plot in results.experiment.config.plots:
        found = {name: (values[plot.x], values[plot.y]) for name, values in results.values.items()}
        series = [PointSeries(name, [Point(x, y)]) for name, (x, y) in found.items() if x and y]
        (x_title, x_unit), (y_title, y_unit) = words_of(plot.x), words_of(plot.y)
        drawn = scatter_chart(series, x=x_title, y=y_title, x_unit=x_unit, y_unit=y_unit, title=f"{y_title} over {x_title}")
        figures += f"<figure>{drawn}</figure>" if drawn else ""
    return f'<div class="charts">{figures}</div>' if figures else ""


def cell(results: Results, variant: str, measure: str) -> str:
    unit = words_of(measure)[1]
    below = ""
    if variant != results.experiment.baseline:
        below = f'<div class="small soft">{signed(results.differences[variant][measure], unit)}</div>'
    return f'<td class="measure">{number(results.values[variant][measure], unit)}{below}</td>'


def signed(difference: Estimate | None, unit: Unit) -> str:
    """`+3.0 (+0.4 to +5.6)`, shares in points of a hundred."""
    if difference is None:
        return "–"
    scale, form = (100, "+.1f") if unit == "share" else (1, "+.3g")
    text = f"{scale * difference.value:{form}}"
    if difference.low is None or difference.high is None:
        return f"{text} (no interval)"
    return f"{text} ({scale * difference.low:{form}} to {scale * difference.high:{form}})"


def words_of(measure: str) -> tuple[str, Unit]:
    """Title and unit."""
    if measure.startswith(SUMMARY):
        return plain(measure.removeprefix(SUMMARY)), "number"
    if not measure.startswith((LOG, WHOLE_LOG)):
        title, unit, _ = measure_words(measure)
        return title, unit
    name = measure.removeprefix(LOG).removeprefix(WHOLE_LOG)
    unit = next((plot.unit for _, plots in GROUPS for plot in plots if name in dict(plot.metrics)), "number")
    return f"{plain(name)} {'at the end of' if measure.startswith(LOG) else 'over the whole of'} training", unit


def curves(results: Results) -> str:
    """Each measure of the log over the steps: the mean of the seeds, and their range as a band."""
    figures = ""
    for measure in results.experiment.config.measure:
        lines = series_of(results, measure.removeprefix(LOG)) if measure.startswith(LOG) else []
        if not lines:
            continue
        title, unit = words_of(measure)
        drawn = line_chart(lines, x="step", y=plain(measure.removeprefix(LOG)).lower(), unit=unit, title=title, bands=True)
        figures += f"<figure><figcaption><h4>{escape(title)}</h4></figcaption>{drawn}</figure>"
    if not figures:
        return ""
    intro = "Lines are means over seeds, as running means of five steps; bands are the seeds' range."
    return f'<p class="soft">{intro}</p><div class="charts">{figures}</div>'


def series_of(results: Results, metric: str) -> list[Series]:
    """A line for each variant that logged the metric."""
    stage = results.experiment.stage
    found = [
        Series(name, curves_of([each.run for each in results.of(name) if each.run], stage, metric))
        for name in results.experiment.config.variants
    ]
    return [line for line in found if line.curves]


def cost(results: Results) -> str:
    """Means over the finished runs of each variant, and how many of these collapsed; "" where no RL stage is looked at."""
    stage = results.experiment.stage
    if not any(each.log(stage, "tokens_generated") for each in results.outcomes if each.finished):
        return ""
    titles = ("Variant", "Steps", "Tokens generated", "Tokens trained", "Time of the stage", "Collapsed")
    heads = "".join(f"<th>{title}</th>" for title in titles)
    rows = ""
    for name in results.experiment.config.variants:
        runs = [each for each in results.of(name) if each.log(stage, "tokens_generated")]
        if not runs:  # nothing yet, or a variant without this stage
            continue
        steps = mean([len(each.log(stage, "tokens_generated")) for each in runs])
        generated = mean([each.generated(stage) for each in runs])
        trained = mean([sum(each.log(stage, "tokens_trained")) for each in runs])
        seconds = mean([float(each.run.results.get("seconds", {}).get(stage, 0.0)) for each in runs if each.run])
        fallen = f"{sum(collapsed(each.log(stage, 'reward')) for each in runs)} of {len(runs)}"
        cells = (write_number(steps, "number"), f"{generated:,.0f}", f"{trained:,.0f}", write_seconds(seconds), fallen)
        rows += f"<tr><th>{escape(name)}</th>{''.join(f'<td>{each}</td>' for each in cells)}</tr>"
    intro = "A run collapsed where its reward in the last quarter of the steps is under half of that in its best quarter."
    return f'<p class="soft">{intro}</p>{table(heads, rows)}' if rows else ""


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def settings(results: Results) -> str:
    """What each variant sets."""
    rows = ""
    for name, table_of in results.experiment.config.variants.items():
        said = ", ".join(f"{key} = {value}" for key, value in flatten(table_of).items()) or "as the recipe"
        rows += f"<tr><th>{escape(name)}</th><td>{escape(said)}</td></tr>"
    return table("<th>Variant</th><th>Settings</th>", rows)

"""benchmarks.html: models side by side, what is sure of their differences, what it cost, and what others have published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from cogitate.apps import report
from cogitate.apps.benchmark.result import BITS, Result, differences_in_settings
from cogitate.apps.benchmark.table import METRICS, consensus, interval, name_of_model, percent, percent_of
from cogitate.apps.report.tables import table
from cogitate.evals.benchmarks.definition import Benchmark
from cogitate.evals.benchmarks.published import Published, read_published
from cogitate.evals.metrics import Estimate
from cogitate.evals.paired import paired_by_task
from cogitate.runtime import atomic_write

PAGE = "benchmarks.html"
STYLE = Path(report.__file__).with_name("report.css")
SAFE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
DASH = "–"
# A narrow screen has a row's cells beneath each other, each with the heading of its column.
NARROW = """@media (max-width: 640px) {
.scroll table, .scroll tbody { display: block; min-width: 0; }
.scroll thead { display: none; }
.scroll tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 6px 12px; padding: 12px 0;
  border-bottom: 1px solid var(--line); }
.scroll th, .scroll td { border: 0; padding: 0; white-space: normal; overflow-wrap: anywhere; }
.scroll th { grid-column: 1 / -1; }
.scroll td::before { content: attr(data-label); display: block; font-size: 12px; color: var(--soft); }
}"""

COSTS = ("Model", "Tokens of prompts", "Tokens generated", "Mean of a completion", "Cut off, %")


def write_page(results: Sequence[Result], benchmarks: Sequence[Benchmark], out: Path) -> Path:
    """The page of all results; it loads nothing from anywhere."""
    page = out / PAGE
    with atomic_write(page) as temporary:
        temporary.write_text(html_of(results, benchmarks), encoding="utf-8")
    return page


def html_of(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    """The whole page."""
    sections = (
        ("figures", "What was measured", figures(results, benchmarks)),
        ("differences", "Differences, paired by problem", differences(results, benchmarks)),
        ("categories", "By category", categories(results, benchmarks)),
        ("published", "Published figures, not measured here", published(benchmarks)),
        ("cost", "What it cost", cost(results, benchmarks)),
        ("data", "Data, prompts and what is left out", data(results, benchmarks)),
    )
    body = "".join(f'<section id="{name}"><h2>{head}</h2>{content}</section>' for name, head, content in sections if content)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{SAFE}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Benchmarks</title>'
        f"<style>{STYLE.read_text(encoding='utf-8')}{NARROW}</style></head><body>"
        '<header class="top"><h1>Cogitate · Benchmarks</h1></header>'
        f"<main>{body}</main><footer><p>Shares in percent with 95 % intervals over problems. The result.json of each model and "
        "benchmark holds the same numbers. This file loads nothing from anywhere.</p></footer></body></html>"
    )


def models_of(results: Sequence[Result]) -> dict[str, str]:
    """model_id -> name, in the order of the results."""
    return {one.model_id: name_of_model(one, results) for one in results}


def cell(label: str, content: str) -> str:
    """A cell of a table; `label` is the heading of its column."""
    return f'<td data-label="{escape(label)}">{content}</td>'


def found(results: Sequence[Result], benchmark: Benchmark, model_id: str) -> Result | None:
    return next((one for one in results if (one.benchmark, one.model_id) == (benchmark.name, model_id)), None)


def figures(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    """A row for each benchmark, a column for each model."""
    models = models_of(results)
    rows = ""
    for benchmark in benchmarks:
        cells = "".join(cell(name, figure_cell(found(results, benchmark, one), benchmark)) for one, name in models.items())
        head = f'{escape(benchmark.title)}<div class="small soft">{METRICS[benchmark.metric]}</div>'
        rows += f'<tr><th scope="row">{head}</th>{cells}</tr>'
    heads = '<th scope="col">Benchmark</th>' + "".join(f'<th scope="col">{escape(name)}</th>' for name in models.values())
    return table(heads, rows)


def figure_cell(result: Result | None, benchmark: Benchmark) -> str:
    """`71.0 (68.1-73.8)`, and beneath how much it was measured on."""
    if result is None:
        return DASH
    value, every = result.value(benchmark), result.metrics["all"]
    beneath = [f"{every['problems']} problems, k = {every['samples']}"]
    if consensus(result) != "-":
        beneath.append(f"cons@{every['samples']} {consensus(result)}")
    beneath += result.shortfalls()
    overlap = result.further.get("contamination")
    if overlap and overlap["overlapping"]:
        beneath.append(f"{overlap['overlapping']} problems overlap with training data")
    return f'{percent(value)} ({interval(value)})<div class="small soft">{escape("; ".join(beneath))}</div>'


def differences(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    """Each model less the first one, in points; models that were asked in other ways are not compared."""
    models = models_of(results)
    if len(models) < 2:
        return ""
    first, *others = models
    compared = {other: f"{models[other]} less {models[first]}" for other in others}
    rows = ""
    for benchmark in benchmarks:
        base = found(results, benchmark, first)
        cells = "".join(cell(name, difference_cell(base, found(results, benchmark, other))) for other, name in compared.items())
        rows += f'<tr><th scope="row">{escape(benchmark.title)}</th>{cells}</tr>'
    heads = '<th scope="col">Benchmark</th>' + "".join(f'<th scope="col">{escape(name)}</th>' for name in compared.values())
    intro = "Points of the benchmark's measure on the problems that both have; an interval that holds 0 settles nothing."
    return f'<p class="soft">{intro}</p>{table(heads, rows)}'


def difference_cell(base: Result | None, other: Result | None) -> str:
    if base is None or other is None:
        return DASH
    if differing := differences_in_settings(base, other):
        return f'<span class="soft">not compared: {escape("; ".join(differing))}</span>'
    compared = paired_by_task(other.right, base.right).get("all")
    if compared is None:
        return DASH
    return f'{signed(compared.estimate)}<div class="small soft">{compared.problems} problems</div>'


def signed(estimate: Estimate) -> str:
    """`+3.0 (+0.4 to +5.6)`."""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:+.1f} (no interval)"
    return f"{100 * estimate.value:+.1f} ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


def categories(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    """A table for each benchmark that has categories."""
    models = models_of(results)
    shown = ""
    for benchmark in benchmarks:
        own = [one for one in results if one.benchmark == benchmark.name]
        names = sorted({name for one in own for name in one.metrics if name != "all"})
        if not benchmark.category or not names:
            continue
        rows = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(
                cell(model, category_cell(found(results, benchmark, one), benchmark, name)) for one, model in models.items()
            )
            + "</tr>"
            for name in names
        )
        heads = f'<th scope="col">{escape(benchmark.category)}</th>' + "".join(
            f'<th scope="col">{escape(name)}</th>' for name in models.values()
        )
        shown += f"<h3>{escape(benchmark.title)}</h3>{table(heads, rows)}"
    return shown


def category_cell(result: Result | None, benchmark: Benchmark, category: str) -> str:
    value = None if result is None else result.value(benchmark, category)
    if result is None or value is None:
        return DASH
    return f'{percent(value)} ({interval(value)})<div class="small soft">{result.metrics[category]["problems"]} problems</div>'


def published(benchmarks: Sequence[Benchmark]) -> str:
    """Others' figures of these benchmarks: other prompts, data and judges, so that no difference is taken."""
    titles = {benchmark.name: benchmark.title for benchmark in benchmarks}
    own = [row for row in read_published() if row.benchmark in titles]
    if not own:
        return ""
    intro = "As their authors report them, in percent: other prompts, settings and judges than ours, and no intervals."
    sources = dict.fromkeys(row.source for row in own)
    tables = (published_by(source, [row for row in own if row.source == source], titles) for source in sources)
    return f'<p class="soft">{intro}</p>{"".join(tables)}'


def published_by(source: str, own: Sequence[Published], titles: Mapping[str, str]) -> str:
    """The table of one source. `titles` of the benchmarks, by name."""
    models = list(dict.fromkeys(model for row in own for model in row.values))
    rows = "".join(
        f'<tr><th scope="row">{escape(titles[row.benchmark])}<div class="small soft">{escape(row.measure)}</div></th>'
        + "".join(cell(model, str(row.values.get(model, DASH))) for model in models)
        + "</tr>"
        for row in own
    )
    heads = '<th scope="col">Benchmark</th>' + "".join(f'<th scope="col">{escape(model)}</th>' for model in models)
    return f"<h3>{escape(source)}</h3>{table(heads, rows)}"


def cost(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    """Tokens read and generated."""
    titles = {benchmark.name: benchmark.title for benchmark in benchmarks}
    rows = ""
    for one in results:
        mean, cut = one.metrics["all"]["completion_tokens"]["value"], one.metrics["all"]["truncated_share"]["value"]
        cells = (
            name_of_model(one, results),
            f"{one.tokens['prompt']:,}",
            f"{one.tokens['completion']:,}",
            f"{mean:,.0f}",
            percent_of(cut),
        )
        rows += (
            f'<tr><th scope="row">{escape(titles[one.benchmark])}</th>'
            + "".join(cell(name, escape(content)) for name, content in zip(COSTS, cells, strict=True))
            + "</tr>"
        )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Benchmark", *COSTS))
    return table(heads, rows)


def data(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    """Each benchmark's licence and files; each result's prompt, and what was left out of it."""
    shown = ""
    for benchmark in benchmarks:
        own = [one for one in results if one.benchmark == benchmark.name]
        if not own:
            continue
        shown += (
            f"<h3>{escape(benchmark.title)}</h3><p>{escape(benchmark.about)} Licence of the rows: {escape(benchmark.licence)}."
        )
        shown += f" Source: {escape(benchmark.source)}.</p><ul>"
        shown += "".join(f"<li>{escape(line)}</li>" for line in lines_of_all(own)) + "</ul>"
    return shown


def lines_of_all(own: Sequence[Result]) -> list[str]:
    """The lines of each result, then those that all of them have."""
    listed = [lines_of(one) for one in own]
    shared = [line for line in listed[0] if all(line in lines for lines in listed)] if len(own) > 1 else []
    return [*(line for lines in listed for line in lines if line not in shared), *shared]


def lines_of(result: Result) -> list[str]:
    """What a reader of the figure must know."""
    settings, rows = result.settings, result.data
    lines = [
        f"{result.model} ({result.model_id}): prompt {settings['prompt']}, {settings['shots']} solved examples, contract "
        f"{settings['contract']}, temperature {settings['temperature']}, top-p {settings['top_p']}, at most "
        f"{settings['max_new_tokens']:,} tokens, seed {settings['seed']}, {settings['dtype']}"
        + "".join(f", {name} {settings[name]}" for name in ("engine", *BITS) if name in settings)
    ]
    if settings.get("instruction"):
        lines.append(f"asked beside the question: “{' '.join(settings['instruction'].split())}”")
    if differs := rows.get("differs"):
        lines.append(f"read from {rows['layout']}: {differs}")
    if commit := rows.get("commit"):
        lines.append(f"fetched from the hub, {rows['layout'].split()[0]} at commit {commit[:12]}")
    lines += [f"{file['file']}: {file['rows']} rows, SHA-256 {file['sha256'][:16]}…" for file in rows["files"][:4]]
    if len(rows["files"]) > 4:
        lines.append(f"and {len(rows['files']) - 4} more files")
    if rows["ungradable"]["rows"]:
        lines.append(f"{rows['ungradable']['rows']} rows cannot be graded: {rows['ungradable']['first']}")
    if too_long := result.further.get("too_long"):
        lines.append(f"{too_long['left_out']} prompts are too long and left out; the first: {too_long['first']}")
    if overlap := result.further.get("contamination"):
        without = overlap["value_without"]
        figure = "" if without is None else f"; without them {percent_of(without['value'])}"
        if overlap["not_compared"]:
            lines.append(f"training data not compared: {', '.join(overlap['not_compared'])}")
        lines.append(
            f"{overlap['overlapping']} of {overlap['problems']} problems overlap with training data ({overlap['rule']}){figure}"
        )
    if judge := result.further.get("judge"):
        lines.append(
            f"judged by {judge['judge']}: no opinion on {judge['no_opinion']}; mean characters {judge['mean_characters']:.0f}, "
            f"of the baseline {judge['mean_characters_of_baseline']:.0f}"
        )
    if kept := result.further.get("instructions"):
        lines.append("; ".join(f"{name.replace('_', ', ')} {percent_of(value['value'])}" for name, value in kept.items()))
    return lines

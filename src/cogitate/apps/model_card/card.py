"""The text of a model card. It says what is known, and as plainly what is not: figures that nobody measured, licences that
nobody stated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cogitate import __version__
from cogitate.apps.benchmark.result import Result
from cogitate.apps.benchmark.table import METRICS, interval, percent
from cogitate.apps.model_card.facts import CORPUS, ModelFacts, StageFacts, gather_facts
from cogitate.apps.report.words import measure_words, task_title
from cogitate.evals.benchmarks.definition import Benchmark, benchmark_names, find_benchmark
from cogitate.evals.metrics import Estimate
from cogitate.runtime import atomic_write

CARD = "README.md"
QUANTISED = ("q8_0", "q4_0")
SHOWN = ("pass@1", "helpfulness", "safety")  # of a run's own evaluation
UNMEASURED = (
    "How it behaves in long conversations, in languages that the tables do not name, and with tools.",
    "Whether it is safe to offer to the public, beyond the figures above.",
    "Bias and memorised personal data.",
)


def write_card(source: Path, out: Path, *, results: Path | None = None, form: str = "") -> Path:
    """Write README.md into the directory `out` of an exported model. `form` as in `text_of`. Raises as `gather_facts`."""
    facts = gather_facts(source, results)
    card = out / CARD
    with atomic_write(card) as temporary:
        temporary.write_text(text_of(facts, form), encoding="utf-8")
    return card


def text_of(facts: ModelFacts, form: str = "") -> str:
    """The whole card.

    Args:
        form: the type of the numbers in the exported file, where it may differ from the source's: then the figures are said to
            be the source's. Those of a quantised file have no place in the hub's metadata.
    """
    sections = {
        "How it was made": recipe(facts),
        "Data and licences": data(facts),
        "Figures": figures(facts, form),
        "What was not measured": (f"- {line}" for line in unmeasured(facts)),
    }
    lines = ["---", *metadata(facts, quantised=form in QUANTISED), "---", "", f"# {facts.name}", "", *opening(facts), ""]
    for heading, content in sections.items():
        lines += [f"## {heading}", "", *content, ""]
    return "\n".join(lines)


def metadata(facts: ModelFacts, *, quantised: bool) -> Iterator[str]:
    """The hub's YAML: each value is JSON, which is YAML too."""
    yield "library_name: transformers"
    yield "pipeline_tag: text-generation"
    yield "license: unknown"
    yield f"tags: {json.dumps(['cogitate', *([str(facts.config['model_type'])] if 'model_type' in facts.config else [])])}"
    measured = [find_benchmark(name) for name in facts.results if name in benchmark_names()]
    if sets := [layout.hub for benchmark in measured for layout in benchmark.layouts[:1] if layout.hub]:
        yield f"# measured on: {', '.join(sets)}"
    rows = [*benchmark_metadata(facts), *evaluation_metadata(facts)]
    if rows and not quantised:
        yield "model-index:"
        yield f"- name: {json.dumps(facts.name)}"
        yield "  results:"
        for name, kind, metric, value in rows:
            yield "  - task: {type: text-generation}"
            yield f"    dataset: {json.dumps({'name': name, 'type': kind})}"
            yield f"    metrics: {json.dumps([{'type': metric, 'value': round(100 * value, 2), 'name': metric}])}"


def benchmark_metadata(facts: ModelFacts) -> Iterator[tuple[str, str, str, float]]:
    """(name, type, metric, value) of whole benchmarks: a part of one is not its figure."""
    for benchmark, result in known(facts):
        value = result.value(benchmark)
        if value is not None and not result.shortfalls():
            yield (
                benchmark.title,
                next((one.hub for one in benchmark.layouts), "") or benchmark.name,
                METRICS[benchmark.metric],
                value.value,
            )


def evaluation_metadata(facts: ModelFacts) -> Iterator[tuple[str, str, str, float]]:
    for task, row in facts.evaluation.items():
        if task != "all" and "pass@1" in row:
            yield task_title(task), f"cogitate/{task}", "pass@1", row["pass@1"]["value"]


def known(facts: ModelFacts) -> Iterator[tuple[Benchmark, Result]]:
    """The results, each with its benchmark."""
    for name, result in facts.results.items():
        yield find_benchmark(name) if name in benchmark_names() else own_benchmark(result), result


def own_benchmark(result: Result) -> Benchmark:
    """What a result says of a benchmark of the user's own, whose file is not at hand."""
    title, metric = result.data.get("title", result.benchmark), result.data.get("metric", "pass@1")
    return Benchmark(name=result.benchmark, title=title, metric=metric, about="", source="", licence="", reader="", layouts=())


def opening(facts: ModelFacts) -> Iterator[str]:
    kind = facts.config.get("model_type", "unknown")
    yield f"A language model (`{kind}`), written by Cogitate {__version__}; content {facts.model_id}."
    yield "The licence is not stated: whoever publishes this model has to state it, with those of the data below in mind."


def recipe(facts: ModelFacts) -> Iterator[str]:
    """A row for each stage."""
    if not facts.stages:
        yield "Not known: the directory was not made by a run of this package."
        return
    yield "| stage | from | seed |"
    yield "|---|---|---|"
    for stage in facts.stages:
        seed = "-" if stage.seed is None else stage.seed
        yield f"| {stage.title} (`{stage.name}`) | {start_of(stage)} | {seed} |"
    if facts.made_with:
        yield ""
        yield "Made with " + ", ".join(f"{name} {value}" for name, value in facts.made_with.items()) + "."


def start_of(stage: StageFacts) -> str:
    if stage.inputs is None:
        return "not known: the stage was made again since"
    return ", ".join(f"`{name}`" for name in stage.inputs) or "text alone"


def data(facts: ModelFacts) -> Iterator[str]:
    """What each stage was trained on, as far as its settings say."""
    shown = [line for stage in facts.stages for line in data_of(stage)]
    if not shown:
        yield "Not known."
        return
    yield from ("As the settings of the stages name them:", "", *(f"- {line}" for line in shown))
    yield ""
    yield (
        f"Tasks that are named without a file, and {CORPUS}, are made by programs of this package (Apache-2.0). Files are "
        "named by the hash of their content; their licences are not recorded: state them."
    )


def data_of(stage: StageFacts) -> Iterator[str]:
    for key, value in stage.data.items():
        yield f"`{stage.name}`: {key} = {value}"
    if stage.rows is not None:
        yield f"`{stage.name}`: a data set of {stage.rows:,} rows, made by the run itself"


def figures(facts: ModelFacts, form: str) -> Iterator[str]:
    """Benchmarks, then the run's own evaluation, each with its 95 % interval. `form` as in `text_of`."""
    if not facts.results and not facts.evaluation:
        yield "None: nothing was measured, or its results were not at hand."
        return
    yield "In percent, with 95 % intervals over problems."
    stored = facts.config.get("dtype") or facts.config.get("torch_dtype") or "a type that it does not state"
    if form and form != stored:
        yield ""
        yield f"**Measured on the source, stored in {stored}, not on this file ({form}).**"
    if facts.results:
        yield from (
            "",
            "| benchmark | problems | k | prompt | measure | value | 95 % interval |",
            "|---|---|---|---|---|---|---|",
        )
    for benchmark, result in known(facts):
        every, value = result.metrics["all"], result.value(benchmark)
        part = "".join(f", {reason}" for reason in result.shortfalls())
        cells = (
            f"{benchmark.title}{part}", every["problems"], every["samples"], result.settings["prompt"],
            METRICS[benchmark.metric], percent(value), interval(value),
        )  # fmt: skip
        yield f"| {' | '.join(map(str, cells))} |"
    yield from overlaps(facts)
    if facts.evaluation:
        asked = ", ".join(f"{name} {value}" for name, value in facts.asked.items())
        yield from (
            "",
            f"The run's own evaluation{f' ({asked})' if asked else ''}, problems of this package's tasks or of the user's:",
        )
        yield from ("", "| task | problems | measure | value | 95 % interval |", "|---|---|---|---|---|")
        for task, row in facts.evaluation.items():
            yield from evaluation_rows(task, row)


def evaluation_rows(task: str, row: Mapping[str, Any]) -> Iterator[str]:
    for metric in SHOWN:
        if metric in row:
            value = Estimate(row[metric]["value"], *row[metric]["ci95"])
            cells = (task_title(task), row["problems"], measure_words(metric)[0], percent(value), interval(value))
            yield f"| {' | '.join(map(str, cells))} |"


def overlaps(facts: ModelFacts) -> Iterator[str]:
    """Benchmarks whose problems stand in training data."""
    for benchmark, result in known(facts):
        if overlap := result.further.get("contamination"):
            of = f"{overlap['overlapping']} of {overlap['problems']} problems"
            yield from ("", f"{benchmark.title}: {of} overlap with training data ({overlap['rule']}).")


def unmeasured(facts: ModelFacts) -> Iterator[str]:
    """Every benchmark of the table without a result, and what no benchmark says."""
    missing = [find_benchmark(name).title for name in benchmark_names() if name not in facts.results]
    if missing:
        yield f"Benchmarks: {'; '.join(missing)}."
    unsearched = [benchmark.title for benchmark, result in known(facts) if "contamination" not in result.further]
    if unsearched:
        yield f"Overlap with training data: not looked for in {', '.join(unsearched)}."
    yield from UNMEASURED

"""The table of `cogitate eval --benchmarks` on a terminal: a row for each model and benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cogitate.apps.benchmark.result import Result
from cogitate.evals.benchmarks.definition import Benchmark
from cogitate.evals.metrics import Estimate

METRICS = {"pass@1": "pass@1", "score": "score (F1)", "win_rate": "win rate"}


def result_table(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> Table:
    """Shares in percent with their 95 % intervals over problems; tokens are means of a completion."""
    shown = Table(
        title="shares in percent, 95 % intervals over problems", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    shown.add_column("benchmark", no_wrap=True)
    shown.add_column("model", overflow="fold")
    for heading in ("n", "k", "measure", "value", "95 %\ninterval", "cons@k", "tokens", "cut\noff", "no\nverdict"):
        shown.add_column(heading, justify="left" if heading == "measure" else "right", no_wrap=True)
    by_name = {benchmark.name: benchmark for benchmark in benchmarks}
    for result in results:
        benchmark = by_name[result.benchmark]
        value, every = result.value(benchmark), result.metrics["all"]
        mark = "*" if result.shortfalls() else ""
        shown.add_row(
            f"{benchmark.title}{mark}", name_of_model(result, results), str(every["problems"]), str(every["samples"]),
            METRICS[benchmark.metric], percent(value), interval(value), consensus(result),
            f"{every['completion_tokens']['value']:.0f}", percent_of(every["truncated_share"]["value"]),
            percent_of(missing(result)),
        )  # fmt: skip
    if any("*" in str(cell) for cell in shown.columns[0].cells):
        shown.caption = "* not the whole benchmark, not its own rows, or without some verdicts: the page says what"
    return shown


def name_of_model(result: Result, results: Sequence[Result]) -> str:
    """As the user wrote it; with its id where another model has the same name, as one that was trained again has."""
    same = {one.model_id for one in results if one.model == result.model}
    return f"{result.model} ({result.model_id})" if len(same) > 1 else result.model


def missing(result: Result) -> float:
    """The share of completions without a verdict, or without an opinion of the judge."""
    judge, every = result.further.get("judge"), result.metrics["all"]
    if judge is not None:
        return float(judge["no_opinion"] / (every["problems"] * every["samples"]))
    return float(every["no_verdict_share"]["value"])


def consensus(result: Result) -> str:
    found = next((row for name, row in result.consensus.get("all", {}).items() if name.startswith("cons@")), None)
    return "-" if found is None else percent_of(found["value"])


def percent(estimate: Estimate | None) -> str:
    return "-" if estimate is None else percent_of(estimate.value)


def percent_of(share: float) -> str:
    return f"{100 * share:.1f}"


def interval(estimate: Estimate | None) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{100 * estimate.low:.1f}-{100 * estimate.high:.1f}"

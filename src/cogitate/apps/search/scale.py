"""`cogitate scale`: accuracy over tokens for every method, and for thinking budgets."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cogitate.apps.score_table import WIDE
from cogitate.apps.search.command import NAMES, check_place, share_cells
from cogitate.apps.search.prepare import Prepared, Searching, prepare
from cogitate.errors import ConfigError, Interrupted
from cogitate.evals.metrics import Estimate, mean_number, paired_difference, pool_estimates
from cogitate.recipe.asking import check_thinks
from cogitate.runtime import write_json
from cogitate.search.budgets import BudgetSettings, budget_curve
from cogitate.search.evaluate import BESIDE, METHODS, Evaluator, MethodResult, tree_rows
from cogitate.types import SamplingParams

WITH_TREES = ("step_beam", "mcts")
BASELINE = "majority"


@dataclass(frozen=True, slots=True)
class Point:
    """A method at one n, over seeds.

    Attributes:
        results: of each seed.
    """

    results: Sequence[MethodResult]

    @property
    def method(self) -> str:
        return self.results[0].method

    @property
    def n(self) -> int:
        return self.results[0].n

    @property
    def accuracy(self) -> Estimate | None:
        found = [each for each in (result.accuracy for result in self.results) if each is not None]
        return pool_estimates(found) if found else None

    @property
    def tokens(self) -> float:
        return sum(result.tokens.value for result in self.results) / len(self.results)

    @property
    def rights(self) -> list[list[float]]:
        """Of each problem the values of all seeds that have a verdict."""
        by_problem = zip(*(result.found for result in self.results), strict=True)
        return [[found.right for found in seeds if found.right is not None] for seeds in by_problem]

    def as_json(self) -> dict[str, Any]:
        rows, accuracy = [result.as_json() for result in self.results], self.accuracy
        costs = {key: sum(row[key] for row in rows) / len(rows) for key in ("policy_tokens", "scorer_tokens", "no_verdict")}
        tokens = mean_number([[found.cost.total for result in self.results for found in result.found]])
        return {
            "method": self.method, "n": self.n, "accuracy": accuracy.as_json() if accuracy else None, "tokens": tokens.value,
            **costs, "seconds": round(sum(result.seconds for result in self.results) / len(self.results), 3),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scaling:
    """What is measured.

    Attributes:
        n: at 1, 2, 4 ... up to this.
        seeds: how many, from the settings' seed on.
        budgets: shares of the natural length of thinking; () measures none.
        waits: for the budgets above 1.
    """

    methods: Sequence[str]
    n: int
    seeds: int
    budgets: Sequence[float]
    waits: int


def scale(options: Searching, scaling: Scaling, *, out: Path | None, page: Path | None) -> None:
    """Measure, print the table, and write what is asked for.

    Raises:
        CogitateError: as `prepare`; an unknown method; thinking budgets for a model that knows no thinking.
        Interrupted: Ctrl-C.
    """
    for file in (out, page):
        check_place(file)
    for method in scaling.methods:
        if method not in METHODS:
            raise ConfigError(f"--methods {method}: there are {', '.join(METHODS)}")
    prepared = prepare(options, samples=scaling.n)
    try:
        if scaling.budgets:
            check_thinks(prepared.directory, prepared.tokenizer, prepared.asking.prompt_of(prepared.problems[0]))
        evaluators = evaluators_of(prepared, scaling)
        for method in scaling.methods:
            evaluators[0].check(method)
        points = [
            Point([evaluator.measure(method, n) for evaluator in evaluators])
            for method, n in runs_of(scaling, has_scorer=prepared.workers.scorer is not None)
        ]
        curve = budgets_of(prepared, scaling) if scaling.budgets else None
    except KeyboardInterrupt:
        raise Interrupted("stopped", 128 + signal.SIGINT) from None
    finally:
        prepared.backend.close()
    content = as_json(prepared, scaling, points, curve)
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    for table in tables(content, options.model):
        console.print(table)
    if out is not None:
        write_json(out, content)
    if page is not None:
        from cogitate.apps.search.page import write_page

        write_page(page, content, shown_trees(points, evaluators[0]))


def evaluators_of(prepared: Prepared, scaling: Scaling) -> list[Evaluator]:
    """One for each seed."""
    found = []
    for number in range(scaling.seeds):
        config = prepared.config.model_copy(update={"seed": prepared.config.seed + number})
        found.append(replace(prepared, config=config).evaluator(scaling.n))
    return found


def runs_of(scaling: Scaling, *, has_scorer: bool) -> list[tuple[str, int]]:
    """(method, n), what stands beside them first."""
    counts = [1 << power for power in range(scaling.n.bit_length()) if 1 << power <= scaling.n]
    counts += [scaling.n] if scaling.n not in counts else []
    beside = [(name, 1 if name == "greedy" else scaling.n) for name in (BESIDE[:2])]
    choices = [name for name in BESIDE[2:] if has_scorer or name == "oracle"]
    every = dict.fromkeys([BASELINE, *scaling.methods, *choices])
    return [*beside, *((name, n) for name in every for n in counts)]


def budgets_of(prepared: Prepared, scaling: Scaling) -> dict[str, Any]:
    settings = prepared.config.evaluate
    params = SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens)
    curve = budget_curve(
        prepared.problems, prepared.asking, scaling.budgets,
        BudgetSettings(params, scaling.seeds, scaling.waits, prepared.config.seed), tokenizer=prepared.tokenizer,
        generator=prepared.workers.sampler.generator, grader=prepared.backend.grader(),
    )  # fmt: skip
    return curve.as_json()


def as_json(prepared: Prepared, scaling: Scaling, points: Sequence[Point], curve: dict[str, Any] | None) -> dict[str, Any]:
    votes = [point for point in points if point.method == BASELINE]
    return {
        "schema": 1,
        "model": str(prepared.directory),
        "scorer": prepared.options.scorer,
        "settings": {**prepared.used(), "seeds": scaling.seeds, "waits": scaling.waits},
        "problems": len(prepared.problems),
        **prepared.facts,
        "methods": [{**point.as_json(), **against(point, votes)} for point in points],
        **({"budgets": curve} if curve is not None else {}),
    }


def against(point: Point, votes: Sequence[Point]) -> dict[str, Any]:
    """A method less the majority vote that costs no more, or the cheapest one, paired by problem."""
    if point.method in (BASELINE, *BESIDE[:3]):
        return {}
    affordable = [vote for vote in votes if vote.tokens <= point.tokens] or [min(votes, key=lambda vote: vote.tokens)]
    vote = max(affordable, key=lambda each: each.tokens)
    pairs = [(a, b) for a, b in zip(point.rights, vote.rights, strict=True) if a and b]
    if not pairs:
        return {}
    difference = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
    return {"against_majority": {"n": vote.n, "tokens": vote.tokens, **difference.as_json()}}


def tables(content: dict[str, Any], model: str) -> list[Table]:
    title = (
        f"{model}: {content['problems']} problems, {content['settings']['seeds']} seeds; shares in percent, tokens of a problem"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("", "n", "right", "95 %", "tokens", "less the vote", "of n"):
        table.add_column(name, justify="left" if not name else "right")
    for row in content["methods"]:
        vote = row.get("against_majority")
        cells = (f"{100 * vote['value']:+.1f}", str(vote["n"])) if vote else ("", "")
        table.add_row(NAMES[row["method"]], str(row["n"]), *share_cells(estimate_of(row)), f"{row['tokens']:,.0f}", *cells)
    if "budgets" not in content:
        return [table]
    budgets = Table(title="Thinking budgets, as shares of the natural length", title_justify="left", box=None, pad_edge=False)
    for name in ("share", "thinking", "right", "95 %", "in budget"):
        budgets.add_column(name, justify="right")
    for row in content["budgets"]["points"]:
        thinking = f"{row['thinking_tokens']['value']:.0f}"
        budgets.add_row(f"{row['share']:g}", thinking, *share_cells(estimate_of(row)), f"{100 * row['control']:.1f}")
    return [table, budgets]


def estimate_of(row: dict[str, Any]) -> Estimate | None:
    found = row["accuracy"]
    return Estimate(found["value"], *found["ci95"]) if found else None


def shown_trees(points: Sequence[Point], evaluator: Evaluator) -> list[Any]:
    """One problem's tree of each method that has one, at its largest n: of the first problem."""
    last = {point.method: point for point in points if point.method in WITH_TREES}
    return [tree_rows(point.results[0], evaluator.asked)[0] for point in last.values()]

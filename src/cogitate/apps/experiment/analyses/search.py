"""Search: accuracy over tokens of every method, and where its curve crosses the majority vote at equal cost.

A method at n is held against the majority vote that costs no more, paired by seed and problem. Beside the curves stand what the
labels of the process model are worth against a checker, how well the model finds wrong steps, and what best-of-n makes of it:
any one of them alone can mislead (arXiv:2501.07301).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cogitate.apps.experiment.analysis import Analysis
from cogitate.apps.experiment.results import Results
from cogitate.apps.report.data import Run, summary_of, to_estimate
from cogitate.apps.report.figures.scatter import Point, PointSeries, scatter_chart
from cogitate.apps.report.tables import number, table
from cogitate.apps.report.words import plain
from cogitate.apps.search.command import NAMES
from cogitate.evals.metrics import Estimate, mean_number, paired_difference, pool_estimates, pool_paired_difference, rate
from cogitate.recipe.kinds import PROCESS_REWARD_MODEL, SEARCH_CURVES
from cogitate.recipe.stages.measuring.search_curves import BASELINE, FILE

NO_RIVAL = ("greedy", "pass@1", "oracle", BASELINE)  # not held against the vote
Key = tuple[str, int]  # a method and its n


def analyse(results: Results) -> Analysis:
    """From the runs that are finished."""
    found: dict[str, dict[str, Any]] = {}
    for name in results.experiment.config.variants:
        runs = [each.run for each in results.of(name) if each.run is not None]
        curves = [curve for run in runs if (curve := curve_of(run))]
        if curves:
            found[name] = {"points": points_of(curves), "process_model": model_rows(runs)}
    html = "".join(section(name, rows["points"], rows["process_model"]) for name, rows in found.items())
    content = {
        name: {
            "points": [{key: as_json(value) for key, value in point.items()} for point in rows["points"]],
            "process_model": {key: as_json(value) for key, value in rows["process_model"].items()},
        }
        for name, rows in found.items()
    }
    lines = [
        f"`{name}`, {NAMES[method]}: {crossing(rows['points'], method)}."
        for name, rows in found.items()
        for method in rivals_of(rows["points"])
    ]
    return Analysis("Accuracy at equal tokens", html, content, lines)


def rivals_of(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """The methods that are held against the vote."""
    return list(dict.fromkeys(point["method"] for point in points if point["method"] not in NO_RIVAL))


def as_json(value: Any) -> Any:
    return value.as_json() if isinstance(value, Estimate) else value


def curve_of(run: Run) -> dict[Key, dict[str, Any]]:
    """(method, n) -> its row of curves.json; {} where the run has none."""
    for stage in run.graph:
        if stage.kind.name == SEARCH_CURVES.name and stage.name in run.stages and run.stages[stage.name].finished:
            path = run.stages[stage.name].path / FILE
            return {(row["method"], row["n"]): row for row in json.loads(path.read_text(encoding="utf-8"))["points"]}
    return {}


def points_of(curves: Sequence[Mapping[Key, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Of each method and n, pooled over seeds: accuracy, tokens, and the difference from the vote that costs no more."""
    tokens = {key: mean_number([row["tokens_of"] for row in of_all(curves, key)]) for key in curves[0]}
    points = []
    for key in curves[0]:
        rights = [[[right] for right in row["right"] if right is not None] for row in of_all(curves, key)]
        point: dict[str, Any] = {"method": key[0], "n": key[1], "tokens": tokens[key]}
        point["accuracy"] = pool_estimates([rate(rows) for rows in rights]) if all(rights) else None
        if key[0] not in NO_RIVAL:
            vote = rival(tokens, key)
            point |= {"vote_n": vote[1], "less_vote": difference(of_all(curves, key), of_all(curves, vote))}
        points.append(point)
    return points


def rival(tokens: Mapping[Key, Estimate], key: Key) -> Key:
    """The largest majority vote that costs no more; the cheapest one where all cost more."""
    votes = sorted((each for each in tokens if each[0] == BASELINE), key=lambda each: tokens[each].value)
    affordable = [each for each in votes if tokens[each].value <= tokens[key].value]
    return affordable[-1] if affordable else votes[0]


def of_all(curves: Sequence[Mapping[Key, Mapping[str, Any]]], key: Key) -> list[Mapping[str, Any]]:
    return [curve[key] for curve in curves]


def difference(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> Estimate | None:
    """Paired by seed and problem, over the problems that have a verdict everywhere."""
    columns = [row["right"] for row in (*first, *second)]
    common = [place for place in range(len(columns[0])) if all(column[place] is not None for column in columns)]
    if not common:
        return None
    one, two = ([[[row["right"][place]] for place in common] for row in rows] for rows in (first, second))
    return paired_difference(one[0], two[0]) if len(one) == 1 else pool_paired_difference(one, two)


def crossing(points: Sequence[Mapping[str, Any]], method: str) -> str:
    """Where a method's curve is above the vote's at equal cost, in words."""
    rows = [point for point in points if point["method"] == method and point.get("less_vote") is not None]
    ahead = [f"{row['tokens'].value:,.0f} tokens" for row in rows if (row["less_vote"].low or 0.0) > 0]
    behind = [f"{row['tokens'].value:,.0f} tokens" for row in rows if (row["less_vote"].high or 0.0) < 0]
    told = [f"above the vote at {', '.join(ahead)}"] if ahead else []
    told += [f"below it at {', '.join(behind)}"] if behind else []
    return " and ".join(told) or "level with the vote wherever an interval settles it"


def model_rows(runs: Sequence[Run]) -> dict[str, Estimate | None]:
    """What is reported of the process model, over seeds: each number that says how good its labels, its steps and its choices
    are."""
    by_run = []
    for run in runs:
        names = [stage.name for stage in run.graph if stage.kind.name == PROCESS_REWARD_MODEL.name]
        by_run += [numbers(summary_of(run, name)) for name in names]
    keys = dict.fromkeys(key for row in by_run for key in row)
    return {key: mean_number([[row[key]] for row in by_run if key in row]) for key in keys}


def numbers(summary: Mapping[str, Any]) -> dict[str, float]:
    """labels.against_checker, model.against_checker and choice of a summary, flat; of estimates the value."""
    found: dict[str, float] = {}

    def collect(prefix: str, value: Any) -> None:
        if (estimate := to_estimate(value)) is not None:
            found[prefix] = estimate.value
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                collect(f"{prefix}.{key}", inner)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix] = float(value)

    for part, key in (("labels", "against_checker"), ("model", "against_checker"), ("choice", "")):
        value = summary.get(part) or {}
        collect(part, value.get(key, {}) if key else value)
    return found


def section(name: str, points: Sequence[Mapping[str, Any]], model: Mapping[str, Estimate | None]) -> str:
    """One variant: curves, table, verdicts and what its process model is worth."""
    lines = [
        PointSeries(
            NAMES[method],
            [
                Point(point["tokens"], point["accuracy"])
                for point in points
                if point["method"] == method and point["accuracy"] is not None
            ],
        )
        for method in dict.fromkeys(point["method"] for point in points)
    ]
    drawn = scatter_chart(lines, x="tokens of a problem", y="right", x_unit="tokens", y_unit="share", title=name, log_x=True)
    rows = ""
    for point in points:
        less = point.get("less_vote")
        vote = "" if less is None else f"{number(less, 'share')} of {point['vote_n']}"
        cells = (point["n"], number(point["accuracy"], "share"), number(point["tokens"], "tokens"), vote)
        rows += f"<tr><th>{escape(NAMES[point['method']])}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    heads = "".join(f"<th>{title}</th>" for title in ("Method", "n", "Right", "Tokens", "Less the vote that costs no more"))
    told = [f"{NAMES[method]}: {crossing(points, method)}" for method in rivals_of(points)]
    verdicts = "".join(f"<li>{escape(line)}</li>" for line in told)
    worth = "".join(f"<tr><th>{escape(plain(key))}</th><td>{number(value, 'number')}</td></tr>" for key, value in model.items())
    return (
        f'<h3>{escape(name)}</h3><div class="charts"><figure>{drawn}</figure></div><ul>{verdicts}</ul>{table(heads, rows)}'
        f"<details><summary>What its model of steps is worth</summary>{table('<th>Number</th><th>Value</th>', worth)}</details>"
    )

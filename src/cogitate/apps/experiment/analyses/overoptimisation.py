"""Over-optimisation (Gao et al., arXiv:2210.10760): the reward model's score and the true one over the distance from the
policy.

The distance is the square root of the KL of a whole completion from the policy that both ways start from: for best-of-n the
bound log n - (n - 1) / n, for RL the logged KL of a token times the mean length. Both scores are 0..1. RL's monitor sees the
two scores of each step alone; how many steps before or after the true score's best step it flags is what its warning is worth.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from math import sqrt
from typing import Any

from cogitate.apps.experiment.analysis import Analysis
from cogitate.apps.experiment.results import Outcome, Results, over_seeds
from cogitate.apps.report.data import Run, curves_of, summary_of
from cogitate.apps.report.figures.scatter import Point, PointSeries, exactly, scatter_chart
from cogitate.apps.report.tables import number, table
from cogitate.evals.best_of_n import best_of_n_kl
from cogitate.evals.metrics import Estimate, pool_estimates, rate
from cogitate.recipe.kinds import BEST_OF_N
from cogitate.recipe.stages.measuring.best_of_n import CURVE

WINDOW = 4  # steps of a point of RL's curve


def analyse(results: Results) -> Analysis:
    """From the runs that are finished."""
    stage = results.experiment.stage
    by_variant = {name: results.of(name) for name in results.experiment.config.variants}
    drawn = {name: best_of_n_points([each.run for each in runs if each.run]) for name, runs in by_variant.items() if runs}
    trained = {name: rl_points(runs, stage) for name, runs in by_variant.items() if runs}
    turns = {name: turns_of(runs, stage) for name, runs in by_variant.items() if runs}
    content = {
        name: {
            "best_of_n": [{key: as_json(value) for key, value in point.items()} for point in drawn[name]],
            "rl": [{key: as_json(value) for key, value in point.items()} for point in trained[name]],
            "turns": turns[name],
        }
        for name in drawn
    }
    parts = [turn_table(drawn, turns)] if drawn else []
    parts += [pictures(name, drawn[name], trained[name]) for name in drawn]
    lines = [sentence(name, drawn[name], turns[name]) for name in drawn]
    return Analysis("Where the true score turns", "".join(parts), content, lines)


def sentence(name: str, drawn: Sequence[dict[str, Any]], turns: Sequence[dict[str, Any]]) -> str:
    """Where a variant's true scores turn, and what the monitor saw."""
    told = []
    if drawn:
        best = max(drawn, key=lambda point: point["true"].value)
        end = drawn[-1]["true"].value - best["true"].value
        told.append(f"best-of-n is truly best at n = {best['n']}; n = {drawn[-1]['n']} has {100 * end:+.1f} points")
    for turn in turns:
        flag = "never flagged" if turn["flagged"] is None else f"flagged {turn['flagged_later']:+d} steps from there"
        lost = f"lost {100 * turn['lost']:.1f} points until step {turn['steps'] - 1}"
        told.append(f"RL with seed {turn['seed']} was truly best at step {turn['best_step']}, {lost}, and was {flag}")
    return f"`{name}`: {'; '.join(told) or 'nothing yet'}."


def as_json(value: Any) -> Any:
    return value.as_json() if isinstance(value, Estimate) else value


def best_of_n_points(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Both scores of the choice at every n, pooled over seeds; [] where no run has the stage."""
    curves = []
    for run in runs:
        names = [stage.name for stage in run.graph if stage.kind.name == BEST_OF_N.name]
        curves += [
            json.loads((run.stages[name].path / CURVE).read_text(encoding="utf-8")) for name in names if name in run.stages
        ]
    if not curves:
        return []
    return [
        {
            "n": n,
            "sqrt_kl": sqrt(best_of_n_kl(n)),
            **{
                key: pool_estimates([rate([[value] for value in curve[key][place]]) for curve in curves])
                for key in ("model", "true")
            },
        }
        for place, n in enumerate(curves[0]["n"])
    ]


def rl_points(outcomes: Sequence[Outcome], stage: str) -> list[dict[str, Any]]:
    """Both scores over the distance, means of WINDOW steps over seeds."""
    rows = [steps_of(each, stage) for each in outcomes]
    shortest = min(map(len, rows), default=0)
    points = []
    for first in range(0, shortest - WINDOW + 1, WINDOW):
        means = [[sum(column) / WINDOW for column in zip(*run[first : first + WINDOW], strict=True)] for run in rows]
        distance, model, true = (over_seeds(list(column)) for column in zip(*means, strict=True))
        points.append({"step": first + WINDOW - 1, "sqrt_kl": distance, "model": model, "true": true})
    return points


def steps_of(outcome: Outcome, stage: str) -> list[tuple[float, float, float]]:
    """(square root of the KL of a completion, the model's score, the true one) of each step that has all of them."""
    if outcome.run is None:
        return []
    names = ("kl", "completion_tokens", "model_reward", "true_score")
    columns = [dict(curve) for name in names for curve in curves_of([outcome.run], stage, name)[:1]]
    if len(columns) < len(names):
        return []
    steps = sorted(set.intersection(*(set(column) for column in columns)))
    of_steps = [[column[step] for column in columns] for step in steps]
    return [(sqrt(max(0.0, kl * tokens)), model, true) for kl, tokens, model, true in of_steps]


def turns_of(outcomes: Sequence[Outcome], stage: str) -> list[dict[str, Any]]:
    """Of each seed: the step at which the true score's mean of WINDOW steps is highest, what it lost until the end, when the
    monitor flagged, and by how many steps that was later than the turn."""
    found = []
    for outcome in outcomes:
        true = [row[2] for row in steps_of(outcome, stage)]
        if len(true) < WINDOW or outcome.run is None:
            continue
        means = [sum(true[first : first + WINDOW]) / WINDOW for first in range(len(true) - WINDOW + 1)]
        turn = max(range(len(means)), key=means.__getitem__) + WINDOW - 1
        flagged = next(iter(summary_of(outcome.run, stage).get("reward_hacking_steps", ())), None)
        found.append(
            {
                "seed": outcome.seed,
                "best_step": turn,
                "steps": len(true),
                "lost": max(means) - means[-1],
                "flagged": flagged,
                "flagged_later": None if flagged is None else flagged - turn,
            }
        )
    return found


def turn_table(drawn: dict[str, list[dict[str, Any]]], turns: dict[str, list[dict[str, Any]]]) -> str:
    titles = (
        "Variant",
        "Best-of-n is truly best at n",
        "True score there",
        "At the largest n",
        "RL's best step",
        "Lost until the end",
        "First flagged less best step",
    )
    rows = ""
    for name, points in drawn.items():
        best = max(points, key=lambda point: point["true"].value) if points else None
        cells = [str(best["n"]), number(best["true"], "share"), number(points[-1]["true"], "share")] if best else ["–"] * 3
        seeds = turns[name]
        lost = over_seeds([seed["lost"] for seed in seeds])
        cells.append(", ".join(f"{seed['best_step']} of {seed['steps']}" for seed in seeds) or "–")
        cells.append(number(lost, "share"))
        cells.append(", ".join("never" if seed["flagged"] is None else f"{seed['flagged_later']:+d}" for seed in seeds) or "–")
        rows += f"<tr><th>{escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    intro = "The best step is the one at which the mean of four steps' true score is highest; one number for each seed."
    return f'<p class="soft">{intro}</p>' + table("".join(f"<th>{title}</th>" for title in titles), rows)


def pictures(name: str, drawn: Sequence[dict[str, Any]], trained: Sequence[dict[str, Any]]) -> str:
    """Both scores over the distance: by best-of-n, and by RL."""
    figures = ""
    for title, points in ((f"{name}: best-of-n", drawn), (f"{name}: RL", trained)):
        lines = [
            PointSeries(label, [Point(at(point["sqrt_kl"]), point[key]) for point in points])
            for key, label in (("model", "reward model"), ("true", "true score"))
        ]
        picture = scatter_chart(lines, x="square root of KL", y="score", y_unit="share", title=title)
        figures += f"<figure><figcaption><h4>{escape(title)}</h4></figcaption>{picture}</figure>" if picture else ""
    return f'<div class="charts">{figures}</div>'


def at(distance: float | Estimate) -> Estimate:
    return distance if isinstance(distance, Estimate) else exactly(distance)

"""Scaling: loss as a power law in parameters and tokens, tested on the largest model, and accuracy beside its continuous twin.

Of every base model the stage pretrain_branches says its loss at each length of training. The law is fitted without the largest
size and then predicts it. Accuracy counts an answer as right or wrong and may seem to appear at once; the log-probability of
the gold answers moves smoothly where that is an effect of the counting (Schaeffer et al., arXiv:2304.15004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cogitate.apps.experiment.analysis import Analysis
from cogitate.apps.experiment.results import Results
from cogitate.apps.report.data import EVALUATE, Run, pooled_of, read_lines, to_estimate
from cogitate.apps.report.figures.scatter import Point, PointSeries, exactly, scatter_chart
from cogitate.apps.report.tables import number, table
from cogitate.apps.report.words import prompt_title
from cogitate.evals.metrics import Estimate, pool_estimates, rate
from cogitate.evals.power_law import (
    LEAST,
    LossPoint,
    PowerLaw,
    exponent_intervals,
    fit_power_law,
    relative_errors,
)
from cogitate.recipe.kinds import PRETRAIN_BRANCHES


def analyse(results: Results) -> Analysis:
    """From the base models that are there."""
    runs = [each.run for each in results.outcomes if each.run is not None]
    points = branch_points(runs)
    found = law_of(points)
    sizes = accuracy_by_size(runs)
    content = {
        "points": points,
        "law": found,
        "sizes": [{key: as_json(value) for key, value in row.items()} for row in sizes],
    }
    of_losses = losses_table(points, found) + figure_of_losses(points)
    parts = [of_losses, accuracy_table(sizes), figures_of_accuracy(sizes), f"<p>{escape(told(found))}</p>"]
    title, lines = "What size and length of training are worth", [told(found)] if points else []
    return Analysis(title, "".join(parts) if points else "", content, lines)


def as_json(value: Any) -> Any:
    return value.as_json() if isinstance(value, Estimate) else value


def branch_points(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What pretrain_branches says of each model at each length, once for models that several runs share."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for run in runs:
        for stage in run.graph:
            record = run.stages.get(stage.name)
            if stage.kind.name == PRETRAIN_BRANCHES.name and record is not None and record.finished:
                found |= {(point["parameters"], point["tokens"]): point for point in record.summary["points"]}
    return [found[key] for key in sorted(found)]


def law_of(points: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The law of all sizes but the largest, its exponents' intervals, and how well it predicts the largest; None of too few."""
    measured = [LossPoint(point["parameters"], point["tokens"], point["held_out_loss"]) for point in points]
    largest = max((point.parameters for point in measured), default=0)
    fitted, kept = ([p for p in measured if (p.parameters == largest) == side] for side in (False, True))
    if len(fitted) < LEAST or len({p.parameters for p in fitted}) < 2 or len({p.tokens for p in fitted}) < 2:
        return None
    law = fit_power_law(fitted)
    alpha, beta = exponent_intervals(fitted)
    return {
        "E": law.floor,
        "A": law.of_parameters,
        "B": law.of_tokens,
        "alpha": alpha.as_json(),
        "beta": beta.as_json(),
        "fitted_errors": relative_errors(law, fitted),
        "held_out": [
            {"parameters": p.parameters, "tokens": p.tokens, "predicted": law.loss(p.parameters, p.tokens), "error": error}
            for p, error in zip(kept, relative_errors(law, kept), strict=True)
        ],
    }


def accuracy_by_size(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Of each base model, smallest first: parameters, accuracy at every prompt, and the twin; pooled over seeds."""
    by_size: dict[int, list[tuple[Run, str, Mapping[str, Any]]]] = {}
    for run in runs:
        for stage in run.graph:
            record = run.stages.get(stage.name)
            if stage.kind.name == PRETRAIN_BRANCHES.name and record is not None and record.finished:
                by_size.setdefault(record.summary["parameters"], []).append((run, stage.name, record.summary))
    rows = []
    for parameters in sorted(by_size):
        made = by_size[parameters]
        names = dict.fromkeys(prompt for run, stage, _ in made for prompt in rights_by_prompt(run, stage))
        row: dict[str, Any] = {"parameters": parameters}
        for prompt in names:
            of_runs = [rights_by_prompt(run, stage).get(prompt) for run, stage, _ in made]
            row[prompt] = pool_estimates([rate(rights) for rights in of_runs if rights])
        row["best prompt"] = pooled_of([run for run, _, _ in made], made[0][1], "all", "pass@1")
        rows.append(row | {key: to_estimate(made[0][2].get(key)) for key in ("gold_logprob", "gold_probability")})
    return rows


def rights_by_prompt(run: Run, model: str) -> dict[str, list[list[float]]]:
    """Of each prompt that a model was measured at, a row of 0 and 1 for each problem."""
    record = run.stages.get(f"{EVALUATE}{model}")
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    for row in read_lines(record.path / "completions.jsonl") if record else []:
        if row.get("right") is not None:
            problem = (row["task"], row["problem_id"])
            found.setdefault(row["prompt"], {}).setdefault(problem, []).append(float(row["right"]))
    return {prompt: list(problems.values()) for prompt, problems in found.items()}


def losses_table(points: Sequence[Mapping[str, Any]], law: Mapping[str, Any] | None) -> str:
    predicted = {(row["parameters"], row["tokens"]): row for row in (law or {}).get("held_out", ())}
    rows = ""
    for point in points:
        row = predicted.get((point["parameters"], point["tokens"]))
        said = f"{row['predicted']:.3f} ({100 * row['error']:+.1f} %)" if row else ""
        twin = to_estimate(point.get("gold_logprob"))
        rows += (
            f"<tr><th>{point['parameters'] / 1e6:.2f} M</th><td>{point['tokens'] / 1e6:.2f} M</td>"
            f"<td>{point['held_out_loss']:.3f}</td><td>{said}</td><td>{number(twin, 'number')}</td></tr>"
        )
    titles = ("Parameters", "Tokens", "Held-out loss", "Predicted by smaller models", "Log-probability of gold answers")
    return table("".join(f"<th>{title}</th>" for title in titles), rows)


def figure_of_losses(points: Sequence[Mapping[str, Any]]) -> str:
    """A line for each size over the tokens."""
    lines = [
        PointSeries(
            f"{size / 1e6:.1f} M",
            [Point(exactly(p["tokens"]), exactly(p["held_out_loss"])) for p in points if p["parameters"] == size],
        )
        for size in dict.fromkeys(point["parameters"] for point in points)
    ]
    drawn = scatter_chart(lines, x="tokens", y="held-out loss", title="Held-out loss over tokens", log_x=True)
    return f'<div class="charts"><figure>{drawn}</figure></div>'


def accuracy_table(rows: Sequence[Mapping[str, Any]]) -> str:
    prompts = prompts_of(rows)
    titles = ["Parameters", *map(prompt_title, prompts), "Log-probability of gold answers", "Probability of a whole one"]
    body = ""
    for row in rows:
        cells = [number(row.get(prompt), "share") for prompt in prompts]
        cells += [number(row["gold_logprob"], "number"), number(row["gold_probability"], "share")]
        body += f"<tr><th>{row['parameters'] / 1e6:.2f} M</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return table("".join(f"<th>{escape(title)}</th>" for title in titles), body) if body else ""


def prompts_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    known = {"parameters", "gold_logprob", "gold_probability"}
    return list(dict.fromkeys(key for row in rows for key in row if key not in known))


def figures_of_accuracy(rows: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy over parameters, and beside it the twin."""

    def line(key: str, name: str) -> PointSeries:
        return PointSeries(name, [Point(exactly(row["parameters"]), row[key]) for row in rows if row.get(key) is not None])

    accuracy = scatter_chart(
        [line(prompt, prompt_title(prompt)) for prompt in prompts_of(rows)],
        x="parameters", y="right", y_unit="share", title="Accuracy over parameters", log_x=True,
    )  # fmt: skip
    twin = scatter_chart(
        [line("gold_logprob", "gold answers")], x="parameters", y="nats a token", title="Its continuous twin", log_x=True
    )
    return f'<div class="charts">{"".join(f"<figure>{drawn}</figure>" for drawn in (accuracy, twin) if drawn)}</div>'


def told(law: Mapping[str, Any] | None) -> str:
    """The law in words."""
    if law is None:
        needed = f"it needs {LEAST} points of two sizes and two lengths without the largest"
        return f"Too few models for a power law: {needed}."
    fitted = PowerLaw(law["E"], law["A"], law["B"], law["alpha"]["value"], law["beta"]["value"])
    errors = [abs(row["error"]) for row in law["held_out"]]
    exponents = "; ".join(
        f"{name} = {law[name]['value']:.3f}"
        + (f" ({law[name]['ci95'][0]:.3f} to {law[name]['ci95'][1]:.3f})" if law[name]["ci95"][0] is not None else "")
        for name in ("alpha", "beta")
    )
    law_text = f"{fitted.floor:.3f} + {fitted.of_parameters:.3g} N^-alpha + {fitted.of_tokens:.3g} D^-beta"
    mean, most = (f"{100 * value:.2f} %" for value in (sum(errors) / len(errors), max(errors)))
    return (
        f"L(N, D) = {law_text}, {exponents}: intervals by the jackknife over models, which say nothing of other seeds. "
        f"The largest model is predicted with a mean error of {mean} and at most {most}."
    )

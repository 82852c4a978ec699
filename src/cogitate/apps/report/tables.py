"""The tables of the report: models by tasks with intervals, every other measure, gains from the first model to the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cogitate.apps.report.data import (
    EVALUATE,
    Run,
    main_line_models,
    measured_names,
    model_names,
    pooled_of,
    scores_of,
    summary_of,
    task_names,
)
from cogitate.apps.report.stages import WAYS, is_student, student_title, students
from cogitate.apps.report.words import (
    CONTRACTS,
    FORMS,
    Unit,
    measure_words,
    prompt_title,
    short_title,
    stage_title,
    task_title,
    write_number,
    write_seconds,
)
from cogitate.evals.levels import EXTRAPOLATION, OF_LEVEL
from cogitate.evals.metrics import Estimate

ACCURACY = "pass@1"
BESIDE = (  # measures over all problems that stand beside the accuracies of a model
    "score", "longest_third", "format_rate", "language_mix_rate", "reflection_rate", "helpfulness", "safety", "thinking_tokens",
)  # fmt: skip
MANY = 8  # columns


def main_models(runs: Sequence[Run]) -> tuple[str, str] | None:
    """The first and last measured model of the main line; None with fewer than two."""
    line = main_line_models(runs)
    return (line[0], line[-1]) if len(line) > 1 else None


def staged_table(runs: Sequence[Run]) -> str:
    """A row for each model in the order of the graph: pass@1 by task with its interval drawn beneath, then what else tells the
    stages apart; a row of gains when there are two models. Students stand below the line that leads to R1."""
    models = model_names(runs)
    if not models:
        return '<p class="soft">No model has been measured yet.</p>'
    tasks = [task for task in task_names(runs) if any(pooled_of(runs, model, task, ACCURACY) for model in models)]
    measured = measured_names(runs)
    measures = [name for name in BESIDE if name in measured and any(pooled_of(runs, model, "all", name) for model in models)]
    line = [model for model in models if not is_student(model, runs)]
    rows = "".join(model_row(runs, model, tasks, measures) for model in line)
    pair = main_models(runs)
    if pair is not None:
        rows += f"<tr>{gain_heading(runs, pair)}{gain_cells(runs, pair, tasks)}{'<td></td>' * len(measures)}</tr>"
    students = [model for model in models if is_student(model, runs)]
    if students:
        span = 1 + len(tasks) + len(measures)
        rows += f'<tr class="part"><th scope="rowgroup" colspan="{span}">Students</th></tr>'
        rows += "".join(model_row(runs, model, tasks, measures) for model in students)
    heads = "".join(
        f'<th scope="col" class="measure" title="{escape(measure_words(name)[2])}">{escape(short_title(name))}</th>'
        for name in measures
    )
    narrow = len(tasks) + len(measures) > MANY
    return table(f'<th scope="col">Model</th>{task_headings(runs, tasks)}{heads}', rows, narrow=narrow)


def model_row(runs: Sequence[Run], model: str, tasks: Sequence[str], measures: Sequence[str]) -> str:
    cells = (
        f'<td class="measure">{number(pooled_of(runs, model, "all", name), measure_words(name)[1])}</td>' for name in measures
    )
    return f"<tr>{model_cell(runs, model)}{score_cells(runs, model, tasks, ACCURACY)}{''.join(cells)}</tr>"


def students_table(runs: Sequence[Run]) -> str:
    """The paper's comparison: the same base, by reinforcement learning alone and by distillation; "" without one."""
    rows = []
    for base, ways in students(runs).items():
        models = [ways.get(way, "") for way in WAYS.values()]
        estimates = [pooled_of(runs, model, "all", ACCURACY) for model in models]
        if sum(estimate is not None for estimate in estimates) < 2:
            continue
        cells = []
        for model, estimate in zip(models, estimates, strict=True):
            spent = training_seconds(runs, model)
            cost = f'<span class="ci">{escape(spent)}</span>' if spent else ""
            cells.append(f"<td>{number(estimate, 'share')}{track(estimate) if estimate else ''}{cost}</td>")
        rows.append(f'<tr><th scope="row">{escape(student_title(base, runs))}</th>{"".join(cells)}</tr>')
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in WAYS.values())
    told = "pass@1 over all problems: what a small model gains by reinforcement learning alone and by learning from R1's data."
    return f'<h3>The same students, two ways to reason</h3><p class="soft">{told}</p>' + table(
        f'<th scope="col">Student</th>{heads}', "".join(rows)
    )


def training_seconds(runs: Sequence[Run], stage: str) -> str:
    """`trained for 45.0 s`, the mean of the runs that trained it; "" where none did."""
    spent = [seconds for run in runs if (seconds := run.results.get("seconds", {}).get(stage))]
    return f"trained for {write_seconds(sum(spent) / len(spent))}" if spent else ""


def measures_table(runs: Sequence[Run]) -> str:
    """Every other measure over all problems: one row each, one column a model."""
    models = model_names(runs)
    rows = []
    for metric in measured_names(runs):
        estimates = [pooled_of(runs, model, "all", metric) for model in models]
        if metric in (ACCURACY, *BESIDE) or is_of_levels(metric) or not any(estimates):
            continue
        title, unit, meaning = measure_words(metric)
        cells = "".join(f"<td>{number(estimate, unit)}</td>" for estimate in estimates)
        sentence = f'<span class="soft">{escape(meaning)}</span>' if meaning else ""
        rows.append(f'<tr><th scope="row">{escape(title)}{sentence}</th>{cells}</tr>')
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(stage_title(model, runs))}</th>' for model in models)
    return "<h3>Everything else that was measured, over all problems</h3>" + table(
        f'<th scope="col">Measure</th>{heads}', "".join(rows), narrow=len(models) > MANY
    )


def levels_table(runs: Sequence[Run]) -> str:
    """pass@1 by level of difficulty and on the levels that no training shows: one row a model; "" where no problem has one."""
    models, metrics = model_names(runs), [metric for metric in measured_names(runs) if is_of_levels(metric)]
    if not metrics:
        return ""
    heads = []
    for metric in metrics:
        found = [value for run in runs for model in models if (value := scores_of(run, model, "all").get(metric))]
        size = f'<br><span class="small soft">{found[0]["problems"]} problems</span>' if found else ""
        title, _, meaning = measure_words(metric)
        heads.append(f'<th scope="col" title="{escape(meaning)}">{escape(title.removesuffix(", pass@1"))}{size}</th>')
    rows = []
    for model in models:
        estimates = [pooled_of(runs, model, "all", metric) for metric in metrics]
        cells = "".join(f"<td>{number(each, 'share')}{track(each) if each else ''}</td>" for each in estimates)
        rows.append(f"<tr>{model_cell(runs, model)}{cells}</tr>")
    told = "pass@1 over all problems that have a level; extrapolation is on puzzles of levels that no training shows."
    return f'<h3>By level</h3><p class="soft">{told}</p>' + table(
        f'<th scope="col">Model</th>{"".join(heads)}', "".join(rows), narrow=len(metrics) > MANY
    )


def is_of_levels(metric: str) -> bool:
    return metric == EXTRAPOLATION or metric.startswith(OF_LEVEL)


def by_task_tables(runs: Sequence[Run]) -> str:
    """The other measures by task, folded away."""
    models, tasks = model_names(runs), task_names(runs)
    parts = []
    for metric in measured_names(runs):
        if metric == ACCURACY or not any(
            pooled_of(runs, model, task, metric) for model in models for task in tasks if task != "all"
        ):
            continue
        rows = "".join(f"<tr>{model_cell(runs, model)}{score_cells(runs, model, tasks, metric)}</tr>" for model in models)
        parts.append(
            f"<h4>{escape(measure_words(metric)[0])}</h4>"
            + table(f'<th scope="col">Model</th>{task_headings(runs, tasks)}', rows)
        )
    return f"<details><summary>The same by task</summary>{''.join(parts)}</details>" if parts and len(tasks) > 1 else ""


def table(headings: str, rows: str, *, narrow: bool = False) -> str:
    """`narrow` sets many columns close together."""
    kind = ' class="narrow"' if narrow else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table></div>'


def task_headings(runs: Sequence[Run], tasks: Sequence[str]) -> str:
    cells = []
    for task in tasks:
        counts = next((scores for run in runs for model in model_names(runs) if (scores := scores_of(run, model, task))), {})
        size = f'<br><span class="small soft">{counts["problems"]} problems</span>' if "problems" in counts else ""
        cells.append(f'<th scope="col"{overall(task)}>{escape(task_title(task))}{size}</th>')
    return "".join(cells)


def model_cell(runs: Sequence[Run], model: str) -> str:
    """The row's heading; which prompt or format the model was scored by stands beneath."""
    said = dict(item for run in runs for item in texts(scoring_of(run, model)))
    prompt, contract, form, _ = (said.pop(key, "") for key in ("prompt", "contract", "format", "general_prompt"))
    where = FORMS.get(form, form) if form and contract == "r1" else CONTRACTS.get(contract, contract)
    notes = [prompt_title(prompt), where, *(f"{key}: {value}" for key, value in said.items())]
    note = "; ".join(filter(None, notes))
    beneath = f'<span class="soft">{escape(note)}</span>' if note else ""
    return f'<th scope="row" class="model">{escape(stage_title(model, runs))}{beneath}</th>'


def scoring_of(run: Run, model: str) -> dict[str, Any]:
    """What the evaluation said of itself, and texts among its results."""
    scores = run.results.get("stages", {}).get(model, {})
    return {**scores.get("all", {}), **scores, **summary_of(run, f"{EVALUATE}{model}")}


def prompts_note(runs: Sequence[Run]) -> str:
    """For a model scored at the best of several prompts: what each of them gave."""
    lines = []
    for model in model_names(runs):
        by_prompt: dict[str, list[float]] = {}
        for run in runs:
            for prompt, tasks in (scoring_of(run, model).get("pass@1 by prompt") or {}).items():
                by_prompt.setdefault(prompt, []).append(tasks["all"])
        if by_prompt:
            shares = (f"{prompt_title(prompt)} {write_number(sum(v) / len(v), 'share')}" for prompt, v in by_prompt.items())
            lines.append(f"{stage_title(model, runs)} is scored at the best of {len(by_prompt)} prompts: {', '.join(shares)}.")
    return f'<p class="soft small">{escape(" ".join(lines))}</p>' if lines else ""


def texts(table: object) -> list[tuple[str, str]]:
    return [(key, value) for key, value in table.items() if isinstance(value, str)] if isinstance(table, Mapping) else []


def score_cells(runs: Sequence[Run], model: str, tasks: Sequence[str], metric: str) -> str:
    unit = measure_words(metric)[1]
    cells = []
    for task in tasks:
        estimate = pooled_of(runs, model, task, metric)
        drawn = track(estimate) if estimate is not None and unit == "share" else ""
        cells.append(f"<td{overall(task)}>{number(estimate, unit)}{drawn}</td>")
    return "".join(cells)


def gain_heading(runs: Sequence[Run], pair: tuple[str, str]) -> str:
    first, last = (escape(stage_title(model, runs)) for model in pair)
    return f'<th scope="row">Gain<span class="soft">{first} to {last}</span></th>'


def gain_cells(runs: Sequence[Run], pair: tuple[str, str], tasks: Sequence[str]) -> str:
    cells = []
    for task in tasks:
        first, last = (pooled_of(runs, model, task, ACCURACY) for model in pair)
        if first is None or last is None:
            cells.append(f"<td{overall(task)}>–</td>")
            continue
        gain, clear = last.value - first.value, apart(first, last)
        told = "intervals apart" if clear else "intervals overlap"
        kind = " gain" if clear and gain > 0 else ""
        edge = " overall" if task == "all" else ""
        cells.append(
            f'<td class="{kind}{edge}"><span class="value">{points(gain)}</span><span class="ci">points; {told}</span></td>'
        )
    return "".join(cells)


def points(gain: float) -> str:
    """+44.0, with a real minus sign for losses."""
    text = f"{100 * gain:+.1f}"
    return "±0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def apart(first: Estimate, last: Estimate) -> bool:
    """Whether two intervals do not touch; False where either is unknown."""
    if first.low is None or first.high is None or last.low is None or last.high is None:
        return False
    return last.low > first.high or first.low > last.high


def number(estimate: Estimate | None, unit: Unit) -> str:
    """Value and interval as HTML."""
    if estimate is None:
        return '<span class="soft">–</span>'
    interval = (
        f"{bound(estimate.low, unit)} – {bound(estimate.high, unit)}"
        if estimate.low is not None and estimate.high is not None
        else ""
    )
    return f'<span class="value">{write_number(estimate.value, unit)}</span><span class="ci">{interval}</span>'


def bound(value: float, unit: Unit) -> str:
    return f"{100 * value:.1f}" if unit == "share" else write_number(value, unit)


def track(estimate: Estimate) -> str:
    """The interval as a bar and the value as a dot on a line from 0 to 100 %."""
    low, high = (estimate.low or 0.0, estimate.high or 0.0) if estimate.low is not None else (estimate.value, estimate.value)
    bar = f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
    return f'<div class="track" aria-hidden="true">{bar}<b style="left:{100 * estimate.value:.1f}%"></b></div>'


def overall(task: str) -> str:
    return ' class="overall"' if task == "all" else ""

"""What happened in a run: headline, sentences, a few large numbers. What is compared is of one population."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from cogitate.apps.report.data import (
    Run,
    comparable_curves,
    longest_rl_stage,
    main_line_models,
    measured_names,
    pooled_of,
    scores_of,
    steps_of,
    task_names,
)
from cogitate.apps.report.figures.charts import Points, mean_over_runs
from cogitate.apps.report.tables import ACCURACY, apart, main_models, points
from cogitate.apps.report.words import Unit, stage_title, task_words, write_number, write_seconds
from cogitate.evals.metrics import spearman

SHOWN_FIRST: tuple[tuple[str, str, Unit], ...] = (
    ("thinking_tokens_finished", "Thinking tokens", "tokens"),
    ("tries", "Tries of a problem", "number"),
    ("reflection_rate", "Completions that reflect", "share"),
    ("language_mix_rate", "Completions that mix languages", "share"),
)


def headline(runs: Sequence[Run]) -> str:
    """From the first model to the last, in one line."""
    pair = main_models(runs)
    if pair is None:
        failed = next((run.failure for run in runs if run.failure is not None), None)
        return f"{stage_title(failed.stage, runs)} failed" if failed else "This run has not measured two models yet."
    counts = [{scores_of(run, model, "all").get("problems") for run in runs if scores_of(run, model, "all")} for model in pair]
    if counts[0] != counts[1]:
        names = " and ".join(stage_title(model, runs) for model in pair)
        return f"{names} were measured on different problems: see the table"
    first, last = (pooled_of(runs, model, "all", ACCURACY) for model in pair)
    assert first is not None
    assert last is not None
    gain = last.value - first.value
    change = f"{points(gain)} points" if apart(first, last) else f"{points(gain)} points, within the error"
    before, after = (
        f"{stage_title(model, runs)} {write_number(e.value, 'share')}" for model, e in zip(pair, (first, last), strict=True)
    )
    return f"{before} → {after}: {change}, on problems neither has seen"


def story(runs: Sequence[Run]) -> list[str]:
    """What happened, in a few sentences with numbers."""
    told = []
    pair = main_models(runs)
    if pair is not None:
        told += [sureness(runs, pair), along_the_line(runs)]
    stage = longest_rl_stage(runs)
    if stage is not None:
        told.append(learning(runs, stage))
    return [sentence for sentence in told if sentence]


def sureness(runs: Sequence[Run], pair: tuple[str, str]) -> str:
    """On which tasks the gain is beyond the intervals."""
    better: list[str] = []
    unclear: list[str] = []
    worse: list[str] = []
    for task in (task for task in task_names(runs) if task != "all"):
        first, last = (pooled_of(runs, model, task, ACCURACY) for model in pair)
        if first is None or last is None:
            continue
        kind = unclear if not apart(first, last) else better if last.value > first.value else worse
        kind.append(task_words(task))
    if not better + unclear + worse:
        return ""
    last_name, every = stage_title(pair[1], runs), len(better) > 1 and not unclear and not worse
    told = [f"better on {'every task' if every else listed(better)}"] if better else []
    told += [f"worse on {listed(worse)}"] if worse else []
    told += [f"not clearly different on {listed(unclear)}, where the intervals overlap"] if unclear else []
    return (
        f"By intervals that do not touch, {last_name} is {'; '.join(told)}."
        if better + worse
        else (f"On no task do the 95 % intervals of {stage_title(pair[0], runs)} and {last_name} lie apart.")
    )


def along_the_line(runs: Sequence[Run]) -> str:
    """pass@1 of every model from base to the last, where there are some between."""
    values = [(stage_title(model, runs), pooled_of(runs, model, "all", ACCURACY)) for model in main_line_models(runs)]
    shown = [f"{title} {write_number(value.value, 'share')}" for title, value in values if value is not None]
    return f"Right at the first try, stage by stage: {', '.join(shown)}." if len(shown) > 2 else ""


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def learning(runs: Sequence[Run], stage: str) -> str:
    """Length, tries, truncation, reflection and language over the steps of an RL stage."""
    steps = steps_of(runs, stage)
    parts, of = [], ""
    curves, population = comparable_curves(runs, stage, "thinking_tokens_finished")
    lengths = mean_over_runs(curves)
    if len(lengths) > 1:
        correlation = spearman([x for x, _ in lengths], [y for _, y in lengths])
        known = f" (rank correlation with the step {correlation:.2f})" if math.isfinite(correlation) else ""
        parts.append(f"the thinking of finished completions went from {ends(lengths, 'tokens')} tokens{known}")
        of = population
    tries = mean_over_runs(comparable_curves(runs, stage, "tries")[0])
    if tries:
        parts.append(f"tries of a puzzle from {ends(tries, 'number')}")
    for metric, words in (
        ("truncated_share", "completions cut off at the limit from"),
        ("reflection_rate", "completions that reflect from"),
        ("language_mix_rate", "completions that mix languages from"),
    ):
        curves, population = comparable_curves(runs, stage, metric)
        curve = mean_over_runs(curves)
        if curve:
            parts.append(f"{words} {ends(curve, 'share')}")
            of = of or population
    where = f", of {of}," if of else ""
    told = f"In {steps} steps of {stage_title(stage, runs)}{where} {', '.join(parts)} (means of the first and last tenth)."
    return told if parts else ""


def ends(curve: Points, unit: Unit) -> str:
    """`22 to 87`: the means of the first and last tenth."""
    first, last = first_and_last(curve)
    return f"{write_number(first, unit)} to {write_number(last, unit)}"


def first_and_last(curve: Points) -> tuple[float, float]:
    size = max(1, len(curve) // 10)
    values = [y for _, y in curve]
    return sum(values[:size]) / size, sum(values[-size:]) / size


def tiles(runs: Sequence[Run]) -> str:
    """The numbers a reader looks for first."""
    made = []
    pair = main_models(runs)
    if pair is not None:
        longest = next((name for name in measured_names(runs) if "longest" in name), None)
        for metric, name in ((ACCURACY, "Right at the first try"), (longest, "… on the longest third of problems")):
            first, last = (pooled_of(runs, model, "all", metric) if metric else None for model in pair)
            if first is not None and last is not None:
                made.append(
                    change_tile(
                        name, first.value, last.value, "share", f"{stage_title(pair[0], runs)} to {stage_title(pair[1], runs)}"
                    )
                )
    stage = longest_rl_stage(runs)
    for metric, name, unit in SHOWN_FIRST if stage else ():
        assert stage is not None
        curves, population = comparable_curves(runs, stage, metric)
        curve = mean_over_runs(curves)
        if curve:
            note = f"first to last tenth of the steps of {stage_title(stage, runs)}{f', {population}' if population else ''}"
            made.append(change_tile(name, *first_and_last(curve), unit, note))
    total = [sum(run.results["seconds"].values()) for run in runs if run.results.get("seconds")]
    if total:
        note = "training and measuring" + (", mean of the runs" if len(total) > 1 else "")
        made.append(tile("Time", write_seconds(sum(total) / len(total)), note))
    return f'<div class="tiles">{"".join(made)}</div>' if made else ""


def change_tile(name: str, first: float, last: float, unit: Unit, note: str) -> str:
    return tile(name, f'<span class="from">{write_number(first, unit)} →</span> {write_number(last, unit)}', note)


def tile(name: str, values: str, note: str) -> str:
    """One large number; `values` is HTML."""
    return (
        f'<div class="tile"><div class="name">{escape(name)}</div>'
        f'<div class="values">{values}</div><div class="note">{escape(note)}</div></div>'
    )

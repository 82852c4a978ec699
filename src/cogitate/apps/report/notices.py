"""What a reader must know before trusting a number: failures, missing verdicts, early stops, unfinished stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from cogitate.apps.report.data import EVALUATE, Run, scores_of, summary_of
from cogitate.apps.report.words import stage_title, task_words


def notices(runs: Sequence[Run]) -> str:
    """The list at the head of the report; "" where there is nothing to say."""
    lines = [
        f"{run.path.name}: {line}" if len(runs) > 1 else line
        for run in runs
        for line in (*failures(run), *notes(run), *tasks_left_out(run), *missing_verdicts(run), *early_stops(run))
    ]
    items = "".join(f"<li>{escape(line)}</li>" for line in dict.fromkeys(lines))
    return f'<ul class="notices">{items}</ul>' if items else ""


def failures(run: Run) -> Iterator[str]:
    """What failed, and stages that are not finished."""
    if run.failure is not None:
        place = f" (at {run.failure.place})" if run.failure.place else ""
        title = stage_title(run.failure.stage, [run])
        yield f"{title} failed: {run.failure.error}{place}. The same command goes on from there."
    for stage in run.stages.values():
        if stage.finished:
            continue
        done = f" after {len(stage.rows):,} steps" if stage.rows else ""
        if run.worker is not None:
            how = f"is being made by process {run.worker}{done}"
        elif run.failure is not None and run.failure.stage == stage.name:
            how = f"is not finished: it failed{done}"
        else:
            how = f"is not finished: it was stopped{done}, and the same command goes on"
        yield f"{stage_title(stage.name, [run])} {how}. This report shows it as far as it got."


def notes(run: Run) -> Iterator[str]:
    """Notes of the results."""
    found = run.results.get("notes", [])
    yield from ([found] if isinstance(found, str) else map(str, found))


def summaries(run: Run) -> dict[str, Mapping[str, Any]]:
    """What each stage said of itself."""
    return {name: summary_of(run, name) for name in {**run.results.get("summaries", {}), **run.stages}}


def tasks_left_out(run: Run) -> Iterator[str]:
    left_out = dict.fromkeys(task for summary in summaries(run).values() for task in summary.get("tasks_left_out", []))
    if left_out:
        tasks = ", ".join(task_words(task) for task in left_out)
        yield f"Left out, because programs cannot be run in isolation on this machine: {tasks}."


def missing_verdicts(run: Run) -> Iterator[str]:
    """Each stage with completions that nothing could judge: every mean is of the others alone."""
    for name in dict.fromkeys([*summaries(run), *(f"{EVALUATE}{model}" for model in run.results.get("stages", {}))]):
        share, first = missing_verdict_of(run, name)
        if share > 0:
            why = f" The first: {first}" if first else ""
            yield f"{stage_title(name, [run])}: {100 * share:.1f} % of the completions have no verdict and are in no mean.{why}"


def missing_verdict_of(run: Run, name: str) -> tuple[float, str]:
    """Share of completions without a verdict, and the first reason: as the stage has summed it up, else from its rows."""
    said = summary_of(run, name).get("no_verdict")
    if isinstance(said, Mapping):
        return float(said["share"]), str(said["first"])
    record = run.stages.get(name)
    if name.startswith(EVALUATE):
        rate = scores_of(run, name.removeprefix(EVALUATE), "all").get("no_verdict_share")
        rows = [row for row in record.transcripts if row.get("verdict") == "none"] if record else []
        reasons = [str(row["reason"]) for row in rows if row.get("reason")]
        return (float(rate["value"]) if isinstance(rate, Mapping) else 0.0), next(iter(reasons), "")
    shares = (
        [float(row["no_verdict_share"]) for row in record.rows if row.get("no_verdict_share") is not None] if record else []
    )
    reasons = [
        f"step {row['step']}: {row['no_verdict_reason']}"
        for row in (record.rows if record else [])
        if row.get("no_verdict_reason")
    ]
    return (sum(shares) / len(shares) if shares else 0.0), next(iter(reasons), "")


def early_stops(run: Run) -> Iterator[str]:
    """Stages that stopped by themselves or had nearly nothing to learn from, and reward hacking."""
    for name, summary in summaries(run).items():
        if summary.get("stopped_early"):
            yield f"{stage_title(name, [run])} stopped early: {summary['stopped_early']}"
        if summary.get("mostly_dead"):
            yield f"{stage_title(name, [run])}: {summary['mostly_dead']}."
        if steps := summary.get("reward_hacking_steps"):
            yield (
                f"{stage_title(name, [run])}: at {len(steps)} steps, first at step {steps[0]}, the reward models' score had "
                "risen while the true score had fallen: reward hacking. Marked in its curves."
            )

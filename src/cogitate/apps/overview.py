"""A run in a few lines of text: what it would do (`--dry-run`) and what it measured (the closing lines)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.config import flatten
from cogitate.config.user_files import user_files
from cogitate.recipe.run_directory.clean import Leftover
from cogitate.recipe.run_directory.standing import Planned
from cogitate.recipe.runner import data_sets_of
from cogitate.recipe.settings import LEFT_TO, Recipe

SHOWN = ("pass@1", "format_rate", "language_mix_rate", "helpfulness", "safety")  # of an evaluation
ORIGIN_COLUMN = 60  # where a setting's origin stands, if the setting is not longer
SOURCE = {
    "finished": "cached: {out}/{name}",
    "given": "cached: {given}",
    "shipped": "cached: shipped with the package",
    "unfinished": "to do, going on from its last checkpoint",
    "to do": "to do",
    "outdated": "would be made again, and {place} is there",
}


def plan_text(recipe: Recipe, out: Path, planned: Sequence[Planned], processes: Sequence[list[str]] = ()) -> str:
    """The resolved settings, one `section.key = value` a line with its origin; the user's code that would run; the stages in
    order and where each comes from; and what the rows of the users' data sets became.

    Args:
        processes: of a cluster, a row for each kind; none without one.
    """
    config = recipe.config
    lines = ["# settings, and where each comes from", *settings_lines(recipe)]
    if code := user_files(config):
        lines += ["", "# Python code of yours that the run would execute", *table([[function, key] for key, function in code])]
    if processes:
        lines += ["", "# processes of the cluster", *table(processes)]
    lines += ["", f"# stages of the graph {config.graph}, in order"]
    rows = []
    for item in planned:
        source = SOURCE[item.state].format(
            out=out, name=item.stage.name, given=config.inputs.get(item.stage.name), place=item.place
        )
        needs = f"from {', '.join(item.stage.needs)}" if item.stage.needs and item.state != "given" else ""
        rows.append([item.stage.name, item.id, source, item.stage.kind.name, needs])
    data = data_sets_of(planned, config)
    sections = [*lines, *table(rows), *outdated_lines(out, planned), *(["", "# data sets", *data] if data else [])]
    return "\n".join(sections)


def outdated_lines(out: Path, planned: Sequence[Planned]) -> list[str]:
    """What changed settings would make again, and why: a run is refused until that is out of the way."""
    rows = [[str(item.place), "; ".join(item.because)] for item in planned if item.place is not None]
    if not rows:
        return []
    remedy = "a run is refused as long as this is there: use another --out, or delete it to have it made again"
    return ["", f"# work in {out} that was made with something else, and why it would be made again", *table(rows), remedy]


def settings_lines(recipe: Recipe) -> list[str]:
    """`r1_zero.steps = 48    # tiny.toml`; the stages of a recipe's own graph are left to the table of stages."""
    settings = flatten(recipe.config.model_dump(mode="json", exclude={"stages"}))
    written = {key: f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()}
    written |= {key: f"{key} = ?" for key, origin in recipe.origins.items() if origin.startswith(f"{LEFT_TO} ")}
    width = min(ORIGIN_COLUMN, max(map(len, written.values())))
    return [f"{line:{width}}  # {recipe.origins.get(key, 'default')}" for key, line in written.items()]


def results_text(results: Path) -> str:
    """From a results.json: pass@1 of each model over all problems with its 95 % interval, and what else was measured of it;
    then what had no verdict."""
    content, rows = json.loads(results.read_text(encoding="utf-8")), []
    for model, tasks in content["stages"].items():
        measured = tasks.get("all", {}).get("pass@1")
        if measured is not None:
            low, high = measured["ci95"]
            row = [model, f"pass@1 {measured['value']:.3f}", f"95 % interval {low:.3f} to {high:.3f}"]
            rows.append([*row, scores_text(tasks["all"], SHOWN[1:])])
    lines = table(rows) if rows else ["no model was measured"]
    summaries = content.get("summaries", {}).items()
    missing = (missing_text(stage, summary) for stage, summary in summaries)
    long = (line for stage, summary in summaries for line in too_long_lines(stage, summary))
    return "\n".join([*lines, *filter(None, missing), *long])


def missing_text(stage: str, summary: Mapping[str, Any]) -> str:
    """One line about completions without a verdict, which no mean counts; "" where there are none."""
    found = summary.get("no_verdict")
    if not isinstance(found, Mapping):
        return ""
    return f"{stage}: {100 * found['share']:.1f} % of the completions have no verdict; the first: {found['first']}"


def too_long_lines(stage: str, summary: Mapping[str, Any]) -> list[str]:
    """A line for each set of problems of which a stage left out prompts that did not fit the model's context."""
    found = [value for key, value in summary.items() if key.startswith("too_long") and isinstance(value, Mapping)]
    return [f"{stage}: {each['left_out']} prompts were too long and left out; the first: {each['first']}" for each in found]


def clean_text(out: Path, leftovers: Sequence[Leftover], *, dry_run: bool) -> str:
    """What was deleted, or would be, one path a line."""
    if not leftovers:
        return f"{out}: nothing to delete"
    rows = [[str(leftover.path), megabytes(leftover.size), leftover.reason] for leftover in leftovers]
    total = megabytes(sum(leftover.size for leftover in leftovers))
    return "\n".join([*table(rows), f"{'would free' if dry_run else 'freed'} {total}"])


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def scores_text(scores: Mapping[str, Any], names: Sequence[str]) -> str:
    """`pass@1 0.972, safety 0.981`: those of the names that were measured, and the mean score where it is another number."""
    told = [f"{name} {scores[name]['value']:.3f}" for name in names if name in scores]
    mean = scores.get("score")
    if mean is not None and mean != scores.get("pass@1"):
        told.append(f"mean score {mean['value']:.3f}")
    return ", ".join(told)


def duration(seconds: float) -> str:
    """75 is 1:15."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def table(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Columns padded to equal width."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell!s:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

"""A run in a few lines of text: what it would do (`--dry-run`) and what it has done (`cogitate status`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, flatten
from cogitate.errors import ArtifactError
from cogitate.json_lines import read_log
from cogitate.recipe.kinds import EVALUATION
from cogitate.recipe.recipe import GRAPHS, get_graph
from cogitate.recipe.run_directory.attempt import unfinished
from cogitate.recipe.run_directory.clean import Leftover
from cogitate.recipe.run_directory.lock import holder
from cogitate.recipe.run_directory.store import MANIFEST, is_shipped_copy, verify
from cogitate.recipe.runner import Planned, data_sets_of

SHOWN = ("pass@1", "format_rate", "language_mix_rate", "helpfulness", "safety")  # of an evaluation
SOURCE = {
    "finished": "cached: {out}/{name}",
    "given": "cached: {given}",
    "shipped": "cached: shipped with the package",
    "unfinished": "to do, going on from its last checkpoint",
    "to do": "to do",
}


def plan_text(config: Config, out: Path, planned: Sequence[Planned]) -> str:
    """The resolved settings, one `section.key = value` a line, the stages in order and where each comes from, and what the rows
    of the users' data sets became."""
    settings = flatten(config.model_dump(mode="json"))
    lines = ["# settings", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items())]
    lines += ["", f"# stages of the graph {config.graph}, in order"]
    rows = []
    for item in planned:
        source = SOURCE[item.state].format(out=out, name=item.stage.name, given=config.inputs.get(item.stage.name))
        needs = f"from {', '.join(item.stage.needs)}" if item.stage.needs and item.state != "given" else ""
        rows.append([item.stage.name, item.id, source, needs])
    data = data_sets_of(planned, config)
    return "\n".join([*lines, *table(rows), *(["", "# data sets", *data] if data else [])])


def status_text(out: Path) -> str:
    """Each stage of a run directory: its state, id, seconds and last step; and who is working there.

    Raises:
        ArtifactError: not a run directory, or an artifact in it is damaged.
    """
    path = out / "config.json"
    if not path.is_file():
        raise ArtifactError(f"{out}: not a run directory: it has no config.json")
    try:
        graph = json.loads(path.read_text(encoding="utf-8")).get("graph")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: damaged: {error}") from error
    pid = holder(out)
    stages = get_graph(graph) if graph in GRAPHS else ()
    rows = [stage_row(out, stage.name, running=pid is not None) for stage in stages]
    running = f"process {pid} is working in it" if pid else "nothing is running in it"
    return "\n".join([f"{out}: graph {graph}; {running}", *table(rows)])


def results_text(results: Path) -> str:
    """pass@1 of each model over all problems with its 95 % interval, and what else was measured of it, from a results.json."""
    rows = []
    for model, tasks in json.loads(results.read_text(encoding="utf-8"))["stages"].items():
        measured = tasks.get("all", {}).get("pass@1")
        if measured is not None:
            low, high = measured["ci95"]
            row = [model, f"pass@1 {measured['value']:.3f}", f"95 % interval {low:.3f} to {high:.3f}"]
            rows.append([*row, scores_text(tasks["all"], SHOWN[1:])])
    return "\n".join(table(rows)) if rows else "no model was measured"


def clean_text(out: Path, leftovers: Sequence[Leftover], *, dry_run: bool) -> str:
    """What was deleted, or would be, one path a line."""
    if not leftovers:
        return f"{out}: nothing to delete"
    rows = [[str(leftover.path), megabytes(leftover.size), leftover.reason] for leftover in leftovers]
    total = megabytes(sum(leftover.size for leftover in leftovers))
    return "\n".join([*table(rows), f"{'would free' if dry_run else 'freed'} {total}"])


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def stage_row(out: Path, name: str, *, running: bool) -> list[str]:
    """One stage's line of the status."""
    if (out / name).is_dir():
        manifest = verify(out / name)
        cost = "shipped with the package" if is_shipped_copy(out / name) else duration(manifest["seconds"])
        return [name, manifest["id"], "finished", cost, "; ".join(filter(None, told(out / name, manifest["summary"])))]
    work = unfinished(out, name)
    if not (work / "work.json").is_file():
        return [name, "", "to do", "", ""]
    record = json.loads((work / "work.json").read_text(encoding="utf-8"))
    step = last_step(work / "out" / "metrics.jsonl")
    sealed = (work / "out" / MANIFEST).is_file()
    state = "finishing" if sealed else "running" if running else "stopped"
    return [name, record["id"], state, duration(record["seconds"]), "" if step is None else f"{step + 1} steps done"]


def told(path: Path, summary: Mapping[str, Any]) -> Iterator[str]:
    """What a finished stage says of itself: scores of an evaluation, then its summary without long lists."""
    if (path / EVALUATION).is_file():
        yield scores_text(json.loads((path / EVALUATION).read_text(encoding="utf-8")).get("all", {}), SHOWN)
    for key, value in summary.items():
        if isinstance(value, Mapping) and isinstance(value.get("accuracy"), Mapping):  # a reward model's report
            yield f"{key}: accuracy {value['accuracy']['value']:.3f}"
        elif not isinstance(value, Mapping | float):
            yield f"{key}: {value}"


def scores_text(scores: Mapping[str, Any], names: Sequence[str]) -> str:
    """`pass@1 0.972, safety 0.981`: those of the names that were measured."""
    return ", ".join(f"{name} {scores[name]['value']:.3f}" for name in names if name in scores)


def last_step(metrics: Path) -> int | None:
    """The step of the last whole row of a metrics.jsonl that may be being written."""
    rows = read_log(metrics)
    return int(rows[-1]["step"]) if rows else None


def duration(seconds: float) -> str:
    """75 is 1:15."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def table(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Columns padded to equal width."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell!s:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

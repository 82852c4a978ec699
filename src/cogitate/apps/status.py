"""`cogitate status`: what a directory is and what it holds, damaged or not, as one picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.apps.overview import SHOWN, duration, missing_text, scores_text, table
from cogitate.errors import ArtifactError, CogitateError
from cogitate.json_lines import read_log
from cogitate.recipe.kinds import EVALUATION
from cogitate.recipe.probe.proposal import taken_from_proposal
from cogitate.recipe.recipe import recorded_graph
from cogitate.recipe.run_directory.attempt import unfinished
from cogitate.recipe.run_directory.failure import FAILURE, Failure, read_failure
from cogitate.recipe.run_directory.lock import LOCK, holder
from cogitate.recipe.run_directory.made_with import made_with_text
from cogitate.recipe.run_directory.planned import PlannedStage, read_planned
from cogitate.recipe.run_directory.store import MANIFEST, is_shipped_copy, verify

CONFIG = "config.json"


def status_text(directory: Path) -> str:
    """A run: each stage with its state, id, seconds and last step, who works there, what failed and what is damaged.
    An artifact or a model: what it is, who made it, whether it is whole.

    Raises:
        ArtifactError: neither of them.
    """
    if not directory.is_dir():
        raise ArtifactError(f"{directory}: no such directory; give a run directory, or a stage or model directory")
    if (directory / MANIFEST).is_file():
        return artifact_text(directory)
    settings, damage = read_settings(directory)
    if "model_type" in settings:
        return "\n".join([f"{directory}: a model", *model_lines(directory)])
    if "graph" in settings or damage or (directory / FAILURE).is_file() or (directory / LOCK).is_file():
        return run_text(directory, settings, damage)
    raise ArtifactError(f"{directory}: not a run directory: it has no {CONFIG}; nor is it a stage or a model")


def read_settings(directory: Path) -> tuple[dict[str, Any], str]:
    """What config.json holds, and what is wrong with it, where that is the case."""
    path = directory / CONFIG
    if not path.is_file():
        return {}, ""
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        return {}, f"{path}: damaged: {error}; put it back, or start again in another --out"
    if not isinstance(settings, dict):
        return {}, f"{path}: damaged: not a JSON object; put it back, or start again in another --out"
    return settings, ""


def run_text(out: Path, settings: Mapping[str, Any], damage: str) -> str:
    """A run directory: a line about the whole, a row for each stage, then what is wrong and what to do."""
    graph = settings.get("graph")
    names = [stage.name for stage in recorded_graph(settings)] or found_stages(out)
    pid, failure, given = holder(out), read_failure(out), settings.get("inputs") or {}
    rows = [stage_row(out, name, running=pid is not None, failure=failure, given=given) for name in names]
    finished = sum(state in ("finished", "given") for _, _, state, _, _ in rows)
    running = f"process {pid} is working in it" if pid else "nothing is running in it"
    known = f"graph {graph}, seed {settings.get('seed', 0)}" if settings else "settings unknown"
    below = {row[0]: row[4] for row in rows if row[2] == "damaged"}
    shown = table([[*row[:4], "see below" if row[0] in below else row[4]] for row in rows]) if rows else []
    lines = [f"{out}: {known}; {running}; {finished} of {len(rows)} stages finished", *shown]
    damage_lines = [*([damage] if damage else []), *(f"{name} is damaged: {why}" for name, why in below.items())]
    made = [line] if (line := made_with_text(settings)) else []
    left = left_lines(out, {row[0]: row[2] for row in rows}, settings)
    return "\n".join([*lines, *left, *damage_lines, *remarks([row[2] for row in rows], pid, failure), *made])


def left_lines(out: Path, states: Mapping[str, str], settings: Mapping[str, Any]) -> list[str]:
    """The time until the last stage is made, where the run has a plan: begun stages by their own pace where that is known."""
    try:
        planned = read_planned(out)
    except ArtifactError as error:
        return [str(error)]
    open_stages = [name for name, state in states.items() if name in planned and state not in ("finished", "given", "damaged")]
    if not open_stages:
        return []
    seconds = sum(seconds_left(out, name, planned[name], settings.get(name)) for name in open_stages)
    return [f"about {duration(seconds)} left in all by its plan"]


def seconds_left(out: Path, name: str, plan: PlannedStage, settings: Any) -> float:
    """Of a stage that is not finished: by the pace of its steps so far, else what the plan leaves over."""
    work = unfinished(out, name)
    try:
        spent = float(json.loads((work / "work.json").read_text(encoding="utf-8"))["seconds"])
        step = last_step(work / "out" / "metrics.jsonl")
    except (OSError, ValueError, KeyError):  # not begun, or damaged, which its row says
        return plan.seconds.value
    steps = steps_of(out, name, settings)
    if step and isinstance(steps, int) and steps > step:  # one step alone says little
        return spent / (step + 1) * (steps - step - 1)
    return max(0.0, plan.seconds.value - spent)


def steps_of(out: Path, name: str, settings: Any) -> Any:
    """The steps that a stage's recorded section says, or that a probe has proposed for it; None where nothing is known."""
    if not isinstance(settings, Mapping):
        return None
    try:
        return taken_from_proposal(settings, name, out).get("steps")
    except ArtifactError:  # a proposal that cannot be read, which the run itself says
        return None


def found_stages(out: Path) -> list[str]:
    """The stages that left anything, by name, where the order is not known."""
    places = [*out.glob(f"*/{MANIFEST}"), *out.glob("unfinished/*/work.json")]
    return sorted({path.parent.name for path in places})


def remarks(states: Sequence[str], pid: str | None, failure: Failure | None) -> Iterator[str]:
    """Beneath the table: what failed, and what to do about it."""
    if failure is not None and pid is None:
        yield f"{failure.stage} failed: {failure.error}"
        if failure.place:
            yield f"  at {failure.place}"
    if pid is None and {"failed", "stopped"} & set(states) and "damaged" not in states:
        yield "the command that began this run goes on from the last checkpoint"


def stage_row(out: Path, name: str, *, running: bool, failure: Failure | None, given: Mapping[str, str]) -> list[str]:
    """Name, id, state, seconds, and what it says of itself."""
    if name in given:
        return [name, "", "given", "", str(given[name])]
    if (out / name).is_dir():
        try:
            manifest = verify(out / name)
        except ArtifactError as error:
            return [name, "", "damaged", "", str(error)]
        cost = "shipped with the package" if is_shipped_copy(out / name) else duration(manifest["seconds"])
        return [name, manifest["id"], "finished", cost, "; ".join(filter(None, told(out / name, manifest["summary"])))]
    failed = failure is not None and failure.stage == name and not running
    work = unfinished(out, name)
    if not (work / "work.json").is_file():
        return [name, "", "failed" if failed else "to do", "", ""]
    try:
        record = json.loads((work / "work.json").read_text(encoding="utf-8"))
        step = last_step(work / "out" / "metrics.jsonl")
    except (OSError, ValueError) as error:
        return [name, "", "damaged", "", f"{work}: {error}; delete it to start the stage again"]
    sealed = (work / "out" / MANIFEST).is_file()
    state = "finishing" if sealed else "running" if running else "failed" if failed else "stopped"
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
    if missing := missing_text("", summary):
        yield missing.removeprefix(": ")


def last_step(metrics: Path) -> int | None:
    """The step of the last whole row of a metrics.jsonl that may be being written."""
    rows = read_log(metrics)
    return int(rows[-1]["step"]) if rows else None


def artifact_text(directory: Path) -> str:
    """What a finished stage left, and whether it is whole."""
    try:
        manifest = verify(directory)
    except ArtifactError as error:
        return f"{directory}: a stage's artifact, damaged\n{error}"
    settings, _ = read_settings(directory)
    what = "the model" if "model_type" in settings else "the artifact"
    lines = [
        f"{directory}: {what} of stage {manifest['stage']}, id {manifest['id']}, made in {duration(manifest['seconds'])}, whole"
    ]
    lines += model_lines(directory) if "model_type" in settings else []
    lines += [line] if (line := made_with_text(manifest)) else []
    lines += [f"made from {name} {input_id}" for name, input_id in manifest["inputs"].items()]
    evaluation = directory.with_name(f"evaluate.{directory.name}")
    if (evaluation / EVALUATION).is_file():
        lines += told(evaluation, {})
    lines += [line for line in told(directory, manifest["summary"]) if line]
    lines.append(f"the run around it: cogitate status {directory.resolve().parent}")
    return "\n".join(lines)


def model_lines(directory: Path) -> list[str]:
    """Family and size of a model, or why it cannot be read."""
    from cogitate.model.describe import describe, human  # here, so that the status of a run need not wait for torch
    from cogitate.model.files.hf import load_config

    try:
        config = load_config(directory)
        size = human(describe(config).parameters)
    except CogitateError as error:
        return [f"it cannot be read: {error}"]
    return [
        f"{config.model_type}, {size} parameters, {config.num_hidden_layers} layers, "
        f"context of {config.max_position_embeddings:,} tokens"
    ]

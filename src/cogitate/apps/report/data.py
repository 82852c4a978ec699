"""Read run directories for the report: results, metric rows and sampled completions of every stage, finished or not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cogitate.apps.report.stages import is_student
from cogitate.errors import ArtifactError, DataError
from cogitate.evals.metrics import Estimate, pool_estimates
from cogitate.json_lines import read_log
from cogitate.recipe.recipe import recorded_graph
from cogitate.recipe.run_directory.failure import Failure, read_failure
from cogitate.recipe.run_directory.lock import holder
from cogitate.recipe.run_directory.made_with import MADE_WITH
from cogitate.recipe.run_directory.store import MANIFEST, THINNED
from cogitate.recipe.stage import Stage

Row = dict[str, Any]
EVALUATE = "evaluate."
OF_PUZZLES = ("tries", "distinct_tries", "rejecting_rate", "self_correction_rate", "step_accuracy")  # logged of these alone


@dataclass(frozen=True)
class StageRecord:
    """What one stage left in a run directory.

    Attributes:
        rows: metrics.jsonl in the order of steps.
        transcripts: transcripts.jsonl, one row per sampled completion; of an evaluation, the completions it scored.
        summary: what the stage reported in its manifest ("stopped_early": why, among others).
        seconds: wall time over all starts, None while unfinished.
        tokens: of all steps together where fewer rows are shipped than steps were made; None of a whole log.
    """

    name: str
    path: Path
    finished: bool
    rows: list[Row]
    transcripts: list[Row]
    summary: Mapping[str, Any]
    seconds: float | None
    tokens: int | None = None

    @cached_property
    def numbers(self) -> list[str]:
        """Names of every number that it logged, `step` aside."""
        names: dict[str, None] = {}
        for row in self.rows:
            names |= {key: None for key, value in row.items() if key != "step" and isinstance(value, int | float)}
        return list(names)


@dataclass(frozen=True, slots=True)
class Run:
    """One run directory.

    Attributes:
        results: results.json, or as much of it as the finished evaluations give.
        failure: what ended the last attempt, where it failed.
        worker: the pid of the process that works there now.
    """

    path: Path
    seed: int
    settings: Mapping[str, Any]
    results: Mapping[str, Any]
    stages: Mapping[str, StageRecord]
    failure: Failure | None = None
    worker: str | None = None

    @property
    def graph(self) -> tuple[Stage, ...]:
        """All stages of its recipe, measurements among them; () where its settings do not say."""
        return recorded_graph(self.settings)

    @property
    def complete(self) -> bool:
        return bool(self.stages) and all(stage.finished for stage in self.stages.values()) and "schema" in self.results


def load_runs(directories: Sequence[Path]) -> list[Run]:
    """Read every directory.

    Raises:
        ArtifactError: no directory was given, one is not a run directory, or a file in it is damaged.
    """
    if not directories:
        raise ArtifactError("a report needs at least one run directory")
    return [load_run(Path(directory)) for directory in directories]


def load_run(directory: Path) -> Run:
    """Read one run directory; stages still being made are read from where they stand."""
    settings = read_json(directory / "config.json") if (directory / "config.json").is_file() else {}
    stages = {record.name: record for record in find_stages(directory, recorded_graph(settings))}
    settings.pop(MADE_WITH, None)  # for readers of the file; no setting
    results = read_json(directory / "results.json") if (directory / "results.json").is_file() else gather_results(stages)
    failure, worker = read_failure(directory), holder(directory)
    if not stages and not results.get("stages") and failure is None:
        raise ArtifactError(f"{directory}: not a run directory: neither results.json nor a stage in it")
    seed = int(results.get("seed", settings.get("seed", 0)))
    return Run(directory, seed, settings, results, stages, None if worker else failure, worker)


def find_stages(directory: Path, graph: Sequence[Stage]) -> Iterator[StageRecord]:
    """Stage directories, sealed or under `unfinished/`, in the order of the graph; of the alphabet where it is unknown."""
    known = {stage.name: index for index, stage in enumerate(graph)}
    found = {path.parent.name: path.parent for path in sorted(directory.glob(f"*/{MANIFEST}"))}
    found |= {path.parent.name: path for path in sorted(directory.glob("unfinished/*/out")) if path.parent.name not in found}

    def place(name: str) -> tuple[int, bool, str]:
        return known.get(name.removeprefix(EVALUATE), len(known)), name.startswith(EVALUATE), name

    for name in sorted(found, key=place):
        path, finished = found[name], (found[name] / MANIFEST).is_file()
        manifest = read_json(path / MANIFEST) if finished else {}
        rows = sorted(read_lines(path / "metrics.jsonl"), key=lambda row: row.get("step", 0))
        summary = manifest.get("summary") or {}
        transcripts = read_lines(path / "transcripts.jsonl") or scored_completions(path, summary)
        tokens = (manifest.get(THINNED) or {}).get("tokens")
        yield StageRecord(name, path, finished, rows, transcripts, summary, manifest.get("seconds"), tokens)


def scored_completions(path: Path, summary: Mapping[str, Any]) -> list[Row]:
    """completions.jsonl of an evaluation in the form of transcripts; of several prompts, the one the model is scored by."""
    rows = [row for row in read_lines(path / "completions.jsonl") if row.get("prompt") == summary.get("prompt")]
    verdicts = {True: "right", False: "wrong", None: "none"}
    for row in rows:
        row |= {"verdict": verdicts[row.get("right")], "finish_reason": "stop" if row.get("finished", True) else "length"}
        del row["prompt"]  # its name, not its text
    return rows


def gather_results(stages: Mapping[str, StageRecord]) -> dict[str, Any]:
    """What results.json will say, from the evaluations finished so far."""
    results: dict[str, Any] = {"stages": {}, "seconds": {n: s.seconds for n, s in stages.items() if s.seconds is not None}}
    for name, stage in stages.items():
        if name.startswith(EVALUATE) and stage.finished and (stage.path / "evaluation.json").is_file():
            results["stages"][name.removeprefix(EVALUATE)] = read_json(stage.path / "evaluation.json")
    return results


def read_json(path: Path) -> dict[str, Any]:
    """One JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: a JSON object was expected, got {type(value).__name__}")
    return value


def read_lines(path: Path) -> list[Row]:
    """The rows of a JSON Lines file; [] where there is none. The last line may be half-written: a run may be under way."""
    try:
        return read_log(path)
    except DataError as error:
        raise ArtifactError(f"damaged: {error}") from error


def stage_names(runs: Sequence[Run]) -> list[str]:
    """Stages that left metrics in any run, in order."""
    return list(
        dict.fromkeys(
            name for run in runs for name, stage in run.stages.items() if stage.rows and not name.startswith(EVALUATE)
        )
    )


def summary_of(run: Run, stage: str) -> Mapping[str, Any]:
    """What a stage said of itself, from its manifest or, where only results.json is left, from there."""
    return run.stages[stage].summary if stage in run.stages else run.results.get("summaries", {}).get(stage) or {}


def model_names(runs: Sequence[Run]) -> list[str]:
    """Models that were measured in any run, in order."""
    return list(dict.fromkeys(name for run in runs for name in run.results.get("stages", {})))


def main_line_models(runs: Sequence[Run]) -> list[str]:
    """Measured models from base to the last stage; students are a comparison beside the line."""
    return [name for name in model_names(runs) if not is_student(name, runs) and pooled_of(runs, name, "all", "pass@1")]


def task_names(runs: Sequence[Run]) -> list[str]:
    """Tasks of the evaluation, in order, "all" last."""
    names = dict.fromkeys(task for run in runs for scores in run.results.get("stages", {}).values() for task in scores)
    tasks = [
        name
        for name in names
        if any(isinstance(scores_of(run, model, name), Mapping) for run in runs for model in model_names(runs))
    ]
    return [*(task for task in tasks if task != "all"), *(["all"] if "all" in tasks else [])]


def measured_names(runs: Sequence[Run]) -> list[str]:
    """Metrics that any model has on any task; the mean score only where partial credit makes it another number than pass@1."""
    found: dict[str, None] = {}
    for run in runs:
        for model in model_names(runs):
            for task in task_names(runs):
                scores = scores_of(run, model, task)
                same = scores.get("score") == scores.get("pass@1")
                found |= {
                    name: None for name in scores if pooled_of([run], model, task, name) and not (name == "score" and same)
                }
    return beside_their_whole(found)


def beside_their_whole(names: Iterable[str]) -> list[str]:
    """In their order, but `step_accuracy.claim`, which only some models have, after `step_accuracy` and its other parts."""
    made: list[str] = []
    for name in names:
        whole = name.rpartition(".")[0]
        places = [place for place, other in enumerate(made) if whole and (other == whole or other.startswith(f"{whole}."))]
        made.insert(places[-1] + 1 if places else len(made), name)
    return made


def pooled_of(runs: Sequence[Run], model: str, task: str, metric: str) -> Estimate | None:
    """A metric of results.json, pooled over the runs that have it; None where none has."""
    estimates = [estimate for run in runs if (estimate := to_estimate(scores_of(run, model, task).get(metric))) is not None]
    if not estimates:
        return None
    return estimates[0] if len(estimates) == 1 else pool_estimates(estimates)


def scores_of(run: Run, model: str, task: str) -> Mapping[str, Any]:
    scores = run.results.get("stages", {}).get(model, {}).get(task, {})
    return scores if isinstance(scores, Mapping) else {}


def to_estimate(value: Any) -> Estimate | None:
    """{"value": x, "ci95": [low, high]} as an Estimate; None for anything else (counts, notes)."""
    if not isinstance(value, Mapping) or not isinstance(value.get("value"), int | float):
        return None
    low, high = value.get("ci95") or (None, None)
    return Estimate(float(value["value"]), low, high)


def curves_of(runs: Sequence[Run], stage: str, metric: str) -> list[list[tuple[float, float]]]:
    """(step, value) points of a metric, one list for each run that logged it; steps without a value are left out."""
    curves = []
    for run in runs:
        rows = run.stages[stage].rows if stage in run.stages else []
        points = [(float(row["step"]), float(row[metric])) for row in rows if isinstance(row.get(metric), int | float)]
        if points:
            curves.append(points)
    return curves


def comparable_curves(runs: Sequence[Run], stage: str, metric: str) -> tuple[list[list[tuple[float, float]]], str]:
    """A metric's curves over completions of one population at all steps, and which that is ("" where all steps sample alike).

    Where general prompts join at some step, only means of the others compare early steps with late ones; a run that has not
    logged these is read up to that step.
    """
    if metric in OF_PUZZLES:
        return curves_of(runs, stage, metric), "puzzles"
    if apart := curves_of(runs, stage, f"{metric}.reasoning"):
        return apart, "reasoning prompts"
    curves = curves_of(runs, stage, metric)
    joined = min((x for curve in curves_of(runs, stage, "model_reward") for x, _ in curve), default=0.0)
    if not joined:
        return curves, ""
    early = [[(x, y) for x, y in curve if x < joined] for curve in curves]
    return [curve for curve in early if curve], f"the steps before general prompts join at step {joined:.0f}"


def logged_names(runs: Sequence[Run], stage: str) -> list[str]:
    """Every number a stage logged, `step` aside."""
    return list(dict.fromkeys(name for run in runs if stage in run.stages for name in run.stages[stage].numbers))


def longest_rl_stage(runs: Sequence[Run]) -> str | None:
    """The stage on the way to R1 that took most steps to learn from rewards of what it wrote, the later one of equals."""
    written = {"reward", "completion_tokens"}  # reward models log a reward, too
    line = [name for name in stage_names(runs) if not is_student(name, runs) and written <= set(logged_names(runs, name))]
    return max(reversed(line), key=lambda name: steps_of(runs, name), default=None)


def steps_of(runs: Sequence[Run], stage: str) -> int:
    """The steps that a stage logged, of the run with most."""
    return max(len(run.stages[stage].rows) for run in runs if stage in run.stages)

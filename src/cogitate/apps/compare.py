"""`cogitate compare`: runs side by side. Settings that differ, each model's pass@1 with its paired difference, and cost.

Every run is compared with the first one. A difference is paired by problem where both evaluations stored their completions of
the same problems; where they did not, a line says why there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.overview import table
from cogitate.apps.report.data import EVALUATE, Run, load_runs, model_names, read_lines, scores_of, summary_of, to_estimate
from cogitate.apps.report.same_recipe import differing_settings, refuse_repeats
from cogitate.apps.report.words import write_seconds
from cogitate.errors import ArtifactError, ConfigError
from cogitate.evals.metrics import Estimate
from cogitate.evals.paired import Difference, Key, paired_by_task
from cogitate.runtime import write_json

LONGEST = 40  # characters of a setting's value in the text


@dataclass(frozen=True, slots=True)
class ModelCompared:
    """One model in each of the runs.

    Attributes:
        pass_at_1: over all problems, of each run; None where it was not measured.
        differences: of each run but the first: that run less the first, by task and for "all"; {} where nothing can be paired.
        notes: of each run but the first: why nothing can be paired, or what weakens the comparison; "" where there is nothing.
    """

    model: str
    pass_at_1: tuple[Estimate | None, ...]
    differences: tuple[Mapping[str, Difference], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two or more runs side by side; each is compared with the first.

    Attributes:
        names: the runs' directories as they were given.
        settings: those that can change a result and differ: dotted key -> its value in each run, None where a run has none.
        models: those that at least two runs measured.
        alone: model -> the one run that measured it.
        seconds: by stage, of each run; None where that run has not made it.
    """

    names: tuple[str, ...]
    settings: Mapping[str, Sequence[Any]]
    models: tuple[ModelCompared, ...]
    alone: Mapping[str, str]
    seconds: Mapping[str, Sequence[float | None]]

    def text(self) -> str:
        """All of it as plain text."""
        letters = [letter_of(index) for index in range(len(self.names))]
        lines = [f"{letter}: {name}" for letter, name in zip(letters, self.names, strict=True)]
        lines += ["", "Settings that differ", *settings_text(self.settings, letters)]
        lines += ["", "pass@1 over all problems, percent, with 95 % intervals; differences are paired by problem"]
        lines += models_text(self.models, letters) or ["no model was measured in two of the runs"]
        lines += [f"only {name} measured {model}" for model, name in self.alone.items()]
        return "\n".join([*lines, "", "Cost", *cost_text(self.seconds, letters)])

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        models = {
            each.model: {
                "pass@1": [estimate.as_json() if estimate else None for estimate in each.pass_at_1],
                "differences": [
                    {task: {**found.estimate.as_json(), "problems": found.problems} for task, found in row.items()}
                    for row in each.differences
                ],
                "notes": list(each.notes),
            }
            for each in self.models
        }
        return {
            "schema": 1,
            "runs": list(self.names),
            "settings": {key: list(row) for key, row in self.settings.items()},
            "models": models,
            "only_in": dict(self.alone),
            "seconds": {stage: list(row) for stage, row in self.seconds.items()},
        }


def compare_runs(directories: Sequence[Path]) -> Comparison:
    """Read the runs and compare each with the first.

    Raises:
        ArtifactError: fewer than two directories, one given twice, no run directory, or a damaged file.
    """
    if len(directories) < 2:
        raise ArtifactError("a comparison needs at least two run directories")
    refuse_repeats(directories)
    runs = load_runs(directories)
    measured = {model: [scores_of(run, model, "all").get("pass@1") is not None for run in runs] for model in model_names(runs)}
    stages = dict.fromkeys(stage for run in runs for stage in run.results.get("seconds", {}))
    return Comparison(
        tuple(str(run.path) for run in runs),
        differing_settings(runs),
        tuple(compare_model(runs, model) for model, by in measured.items() if sum(by) > 1),
        {model: str(runs[by.index(True)].path) for model, by in measured.items() if sum(by) == 1},
        {stage: [run.results.get("seconds", {}).get(stage) for run in runs] for stage in stages},
    )


def write_comparison(comparison: Comparison, out: Path) -> None:
    """The comparison as a JSON file.

    Raises:
        ConfigError: another kind of file, or no such directory.
    """
    if out.suffix != ".json":
        raise ConfigError(f"--out {out}: a comparison is written as JSON: name a .json file")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no directory {out.parent}")
    write_json(out, comparison.as_json())


def compare_model(runs: Sequence[Run], model: str) -> ModelCompared:
    """A model's accuracy in each run, and its differences from the first run."""
    first, *others = (right_by_problem(run, model) for run in runs)
    differences = tuple(paired_by_task(other, first) for other in others)
    notes = tuple(
        note(runs[0], run, model, found, both=(first, other))
        for run, found, other in zip(runs[1:], differences, others, strict=True)
    )
    estimates = tuple(to_estimate(scores_of(run, model, "all").get("pass@1")) for run in runs)
    return ModelCompared(model, estimates, differences, notes)


def right_by_problem(run: Run, model: str) -> dict[Key, list[float]]:
    """1 or 0 for each judged completion of the problems that "all" is made of; {} where no completions were stored.

    A model's completions at other prompts, of general prompts and of evaluate.further are no part of "all".
    """
    stage = run.stages.get(f"{EVALUATE}{model}")
    if stage is None:
        return {}
    chosen = set(tasks_of_all(run, model))
    found: dict[Key, list[float]] = {}
    for row in read_lines(stage.path / "completions.jsonl"):
        if row.get("prompt") == stage.summary.get("prompt") and "helpfulness" not in row and row["task"] in chosen:
            values = found.setdefault((row["task"], row["problem_id"], row["question"]), [])
            values += [] if row["right"] is None else [float(row["right"])]
    return found


def tasks_of_all(run: Run, model: str) -> list[str]:
    """The tasks that "all" is the mixture of: the first ones that have its number of problems together."""
    left = scores_of(run, model, "all").get("problems", 0)
    chosen = []
    for task in run.results.get("stages", {}).get(model, {}):
        if task == "all" or left <= 0:
            continue
        chosen.append(task)
        left -= scores_of(run, model, task).get("problems", 0)
    return chosen


def note(
    first: Run, other: Run, model: str, found: Mapping[str, Difference], *, both: tuple[Mapping[Key, Any], Mapping[Key, Any]]
) -> str:
    """What a reader must know about a difference, or about its absence."""
    if not all(scores_of(run, model, "all").get("pass@1") for run in (first, other)):
        return "not measured"
    if not found:
        bare = [str(run.path) for run, values in zip((first, other), both, strict=True) if not values]
        return f"not paired: no completions in {' and '.join(bare)}" if bare else "not paired: no problem in common"
    notes = []
    common, most = found["all"].problems, max(map(len, both))
    if common < most:
        notes.append(f"on the {common} problems in common, of {most}")
    said = [summary_of(run, f"{EVALUATE}{model}") for run in (first, other)]
    notes += [
        f"{key} {said[1].get(key)} against {said[0].get(key)}"
        for key in ("prompt", "contract")
        if said[0].get(key) != said[1].get(key)
    ]
    return "; ".join(notes)


def letter_of(index: int) -> str:
    """A, B, ... Z, A1, B1 ..."""
    return chr(ord("A") + index % 26) + (str(index // 26) if index >= 26 else "")


def settings_text(settings: Mapping[str, Sequence[Any]], letters: Sequence[str]) -> list[str]:
    if not settings:
        return ["none"]
    return table([["", *letters], *([key, *map(value_text, row)] for key, row in settings.items())])


def value_text(value: Any) -> str:
    """A setting's value in a cell."""
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def models_text(models: Sequence[ModelCompared], letters: Sequence[str]) -> list[str]:
    if not models:
        return []
    heads = [head for letter in letters[1:] for head in (f"{letter} - {letters[0]}", "")]
    rows = [["", *letters, *heads]]
    for each in models:
        differences = [
            cell
            for found, why in zip(each.differences, each.notes, strict=True)
            for cell in (difference_text(found.get("all")), why)
        ]
        rows.append([each.model, *map(estimate_text, each.pass_at_1), *differences])
    return table(rows)


def estimate_text(estimate: Estimate | None) -> str:
    """`71.0 (68.1 to 73.8)`."""
    return "-" if estimate is None else f"{100 * estimate.value:.1f}{interval_text(estimate, '.1f')}"


def difference_text(difference: Difference | None) -> str:
    """`+3.0 (+0.4 to +5.6)`."""
    if difference is None:
        return "-"
    return f"{100 * difference.estimate.value:+.1f}{interval_text(difference.estimate, '+.1f')}"


def interval_text(estimate: Estimate, form: str) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" ({100 * estimate.low:{form}} to {100 * estimate.high:{form}})"


def cost_text(seconds: Mapping[str, Sequence[float | None]], letters: Sequence[str]) -> list[str]:
    """Seconds of each stage that any run spent time on, evaluations together, and of the whole run."""
    stages = {stage: row for stage, row in seconds.items() if not stage.startswith(EVALUATE)}
    evaluations = [row for stage, row in seconds.items() if stage.startswith(EVALUATE)]
    rows = [["", *letters]]
    rows += [[stage, *map(seconds_text, row)] for stage, row in stages.items() if any(row)]
    for name, summed in (("evaluations", evaluations), ("all", list(seconds.values()))):
        totals = [[value for value in column if value is not None] for column in zip(*summed, strict=True)]
        rows.append([name, *(seconds_text(sum(column) if column else None) for column in totals)])
    return table(rows) if seconds else ["no times were recorded"]


def seconds_text(seconds: float | None) -> str:
    return "-" if seconds is None else write_seconds(seconds)

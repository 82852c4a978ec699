"""What several seeds' evaluations kept, paired by problem and pooled: one value and one 95 % interval for all seeds.

Nothing is taken from a run's own tables but its seconds: rates, true scores, majority votes and differences are counted
from its completions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.report.data import read_json, read_lines
from cogitate.errors import ArtifactError
from cogitate.evals.evaluate import vote_of
from cogitate.evals.metrics import Estimate, consensus, paired_difference, pool_paired_difference, pool_seeds
from cogitate.recipe.recipe import GRAPHS

MODELS = tuple(stage.name for stage in GRAPHS["r1"] if stage.makes_model)
RATES = {  # of problems that rules judge: metric -> column of completions.jsonl
    "pass@1": "right", "format_rate": "well_formed", "language_mix_rate": "language_mix", "reflection_rate": "reflection",
}  # fmt: skip
TRUE_SCORES = ("helpfulness", "safety")  # of general prompts: columns of the same name

Key = tuple[str, str]  # task, problem id
Row = dict[str, Any]
Rows = list[list[float]]  # a row of values for each problem


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one run measured of one model.

    Attributes:
        summary: prompt, contract and format the model is scored by.
        settings: all `evaluate.*`.
        judged: by problem, its completions at that prompt.
        general: by general prompt, its completions with true scores.
        votes: by problem, the completions that voted.
    """

    summary: Mapping[str, Any]
    settings: Mapping[str, Any]
    judged: dict[Key, list[Row]]
    general: dict[Key, list[Row]]
    votes: dict[Key, list[Row]]


@dataclass(frozen=True, slots=True)
class Seed:
    """One finished run; `results` is its results.json."""

    path: Path
    seed: int
    results: Mapping[str, Any]
    evaluations: Mapping[str, Evaluation]


def load_seeds(directories: Sequence[Path], models: Sequence[str] = MODELS) -> list[Seed]:
    """Finished runs of the complete recipe, by seed.

    Raises:
        ArtifactError: a run is unfinished or lacks a model, or the runs cannot be pooled: one seed twice, other problems,
            other settings of the evaluation.
    """
    seeds = sorted((load_seed(directory, models) for directory in directories), key=lambda seed: seed.seed)
    numbers = [seed.seed for seed in seeds]
    if len(set(numbers)) < len(numbers):
        raise ArtifactError(f"the runs' seeds are {numbers}: each seed can be pooled once")
    if any(seed.results["seconds"].keys() != seeds[0].results["seconds"].keys() for seed in seeds):
        raise ArtifactError(f"the runs {', '.join(str(seed.path) for seed in seeds)} have different stages")
    first = seeds[0].evaluations[models[0]]
    for seed in seeds:
        for model, evaluation in seed.evaluations.items():
            place = seed.path / f"evaluate.{model}"
            if evaluation.settings != first.settings:
                raise ArtifactError(f"{place}: measured with other settings than {seeds[0].path / f'evaluate.{models[0]}'}")
            for kind in ("judged", "general", "votes"):
                if getattr(evaluation, kind).keys() != getattr(first, kind).keys():
                    raise ArtifactError(f"{place}: its problems ({kind}) are not those of the other models and seeds")
    return seeds


def load_seed(directory: Path, models: Sequence[str]) -> Seed:
    if not (directory / "results.json").is_file():
        raise ArtifactError(f"{directory}: no finished run there (results.json is missing); run it first, without --pool-only")
    results = read_json(directory / "results.json")
    missing = [model for model in models if model not in results["stages"] or model not in results["seconds"]]
    if missing:
        raise ArtifactError(f"{directory}: no {', '.join(missing)} made and measured there; graph=r1 makes all")
    return Seed(directory, results["seed"], results, {model: load_evaluation(directory, model) for model in models})


def load_evaluation(directory: Path, model: str) -> Evaluation:
    """Every completion the model is scored by, without its text."""
    path = directory / f"evaluate.{model}"
    manifest = read_json(path / "manifest.json")
    summary = manifest["summary"]
    rows = read_lines(path / "completions.jsonl")
    columns = (*RATES.values(), "extracted")
    if any(column not in row for row in rows for column in columns):
        raise ArtifactError(f"{path}: made by an earlier version, its rows lack one of {', '.join(columns)}; measure it again")
    judged = [row for row in rows if row["prompt"] == summary["prompt"] and TRUE_SCORES[0] not in row]
    return Evaluation(
        summary,
        {name: value for name, value in manifest["settings"].items() if name.startswith("evaluate.")},
        by_problem(judged, columns),
        by_problem([row for row in rows if TRUE_SCORES[0] in row], TRUE_SCORES),
        by_problem(read_lines(path / "votes.jsonl"), ("right", "extracted")),
    )


def by_problem(rows: Sequence[Row], columns: Sequence[str]) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault((row["task"], row["problem_id"]), []).append({column: row[column] for column in columns})
    return found


def rows_of(seeds: Sequence[Seed], model: str, metric: str, task: str = "all") -> list[Rows]:
    """For each seed, for each problem in the same order, the values of its completions; without those that have no verdict.

    Raises:
        ArtifactError: nothing was measured, e.g. no general prompts were asked.
    """
    general, column = metric in TRUE_SCORES, RATES.get(metric, metric)
    result = []
    keys = [key for key in problems_of(seeds, general=general) if task in (key[0], "all")]
    if not keys:
        raise ArtifactError(f"{seeds[0].path}: {metric} of {task} was not measured (evaluate.general_problems, tasks.eval)")
    for seed in seeds:
        groups = seed.evaluations[model].general if general else seed.evaluations[model].judged
        result.append([[float(row[column]) for row in groups[key] if row[column] is not None] for key in keys])
    return result


def problems_of(seeds: Sequence[Seed], *, general: bool = False) -> list[Key]:
    """The problems of all models and seeds, in the order they were asked."""
    first = next(iter(seeds[0].evaluations.values()))
    return list(first.general if general else first.judged)


def tasks_of(seeds: Sequence[Seed], *, general: bool = False) -> list[str]:
    """Their tasks, "all" last."""
    return [*dict.fromkeys(task for task, _ in problems_of(seeds, general=general)), "all"]


def pool_rate(seeds: Sequence[Seed], model: str, metric: str, task: str = "all") -> Estimate:
    """A metric of a model over all seeds."""
    return pool_seeds(rows_of(seeds, model, metric, task))


def pool_difference(seeds: Sequence[Seed], first: str, second: str, metric: str, task: str = "all") -> Estimate:
    """first - second, paired by seed and problem."""
    return paired(rows_of(seeds, first, metric, task), rows_of(seeds, second, metric, task))


def difference_of_these_runs(seeds: Sequence[Seed], first: str, second: str, metric: str, task: str = "all") -> Estimate:
    """first - second, paired by problem, completions of all seeds pooled: an interval over problems, of these runs alone."""
    ours, theirs = rows_of(seeds, first, metric, task), rows_of(seeds, second, metric, task)
    kept = [n for n in range(len(ours[0])) if all(rows[n] for rows in (*ours, *theirs))]
    return paired_difference(*([[value for rows in by_seed for value in rows[n]] for n in kept] for by_seed in (ours, theirs)))


def paired(first: Sequence[Rows], second: Sequence[Rows]) -> Estimate:
    """The pooled paired difference over the problems that both have values for at every seed."""
    kept = [n for n in range(len(first[0])) if all(rows[n] for rows in (*first, *second))]
    return pool_paired_difference([[rows[n] for n in kept] for rows in first], [[rows[n] for n in kept] for rows in second])


def pool_votes(seeds: Sequence[Seed], model: str) -> dict[str, Any]:
    """The majority's accuracy, pass@1 of the very completions that voted, and their difference, paired by problem.

    Raises:
        ArtifactError: no votes were taken.
    """
    voted, right = [], []
    keys = list(next(iter(seeds[0].evaluations.values())).votes)
    if not keys:
        raise ArtifactError(f"{seeds[0].path}: no votes were taken (evaluate.consensus_problems)")
    for seed in seeds:
        ballots = [seed.evaluations[model].votes[key] for key in keys]
        verdicts = [[bool(row["right"]) for row in ballot] for ballot in ballots]
        answers = [[vote_of(row["extracted"]) for row in ballot] for ballot in ballots]
        voted.append([[consensus(*ballot)] for ballot in zip(answers, verdicts, strict=True)])
        right.append([[float(verdict) for verdict in row] for row in verdicts])
    return {
        "k": max(len(row) for row in right[0]),
        "problems": len(keys),
        "cons@k": pool_seeds(voted).as_json(),
        "pass@1": pool_seeds(right).as_json(),
        "difference": paired(voted, right).as_json(),
    }


def seconds_of(seeds: Sequence[Seed], stage: str) -> list[float]:
    """What a stage took, by seed; 0 where it ships with the package."""
    return [seed.results["seconds"][stage] for seed in seeds]


def pool_model(seeds: Sequence[Seed], model: str) -> dict[str, Any]:
    """A model's row of the staged table."""
    summaries = [seed.evaluations[model].summary for seed in seeds]
    row: dict[str, Any] = {"scored by": {name: [s.get(name) for s in summaries] for name in ("prompt", "contract", "format")}}
    row["scored by"]["general prompt"] = [summary.get("general_prompt") for summary in summaries]
    for metric in RATES:
        tasks = tasks_of(seeds)
        row[metric] = {task: pool_rate(seeds, model, metric, task).as_json() for task in tasks}
    for metric in TRUE_SCORES:
        tasks = tasks_of(seeds, general=True)
        row[metric] = {task: pool_rate(seeds, model, metric, task).as_json() for task in tasks}
    return {**row, "votes": pool_votes(seeds, model), "seconds": seconds_of(seeds, model)}


def pool_table(seeds: Sequence[Seed]) -> dict[str, Any]:
    """The staged table: every model over all seeds, and what every stage took."""
    problems = [*problems_of(seeds), *problems_of(seeds, general=True)]
    return {
        "seeds": [seed.seed for seed in seeds],
        "settings": dict(next(iter(seeds[0].evaluations.values())).settings),
        "problems": {task: sum(name == task for name, _ in problems) for task in dict.fromkeys(name for name, _ in problems)},
        "models": {model: pool_model(seeds, model) for model in seeds[0].evaluations},
        "seconds": {stage: seconds_of(seeds, stage) for stage in seeds[0].results["seconds"]},
    }

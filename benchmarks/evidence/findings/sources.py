"""The committed result files as figures: staged tables of pooled seeds or of single runs, and the claims of experiments."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot
from pathlib import Path
from typing import Any

from benchmarks.evidence.findings.verdicts import Figure, Measured, Missing, Part
from benchmarks.places import EXPERIMENTS
from cogitate.apps.report.data import read_json
from cogitate.errors import ArtifactError
from cogitate.evals.metrics import Estimate, pool_estimates

Pair = tuple[str, str, str]  # model, earlier model, metric

KEEPS = "difference in pass@1 over other seeds, too"
PAIRED = {  # of a claim's part in pooled.json, its name and that of the figure -> what it is the difference of
    ("R1-Dev2 - R1-Zero", KEEPS): ("r1_dev2", "r1_zero", "pass@1"),
    ("R1 - R1-Dev3", KEEPS): ("r1", "r1_dev3", "pass@1"),
    ("R1 - R1-Dev3", "difference in helpfulness"): ("r1", "r1_dev3", "helpfulness"),
    ("R1 - R1-Dev3", "difference in safety"): ("r1", "r1_dev3", "safety"),
    ("Llama", "difference in pass@1"): ("r1_distill_llama", "student_rl_llama", "pass@1"),
    ("Qwen", "difference in pass@1"): ("r1_distill_qwen", "student_rl_qwen", "pass@1"),
}


@dataclass(frozen=True, slots=True)
class Stages:
    """What a recipe's models scored.

    Attributes:
        scores: model -> metric -> over all tasks.
        seconds: stage -> what it took, by seed.
        paired: differences that were counted from completions, paired by seed and problem.
        votes: model -> the majority's accuracy less pass@1 of the very completions that voted.
    """

    source: str
    seeds: int
    scores: Mapping[str, Mapping[str, Estimate]]
    seconds: Mapping[str, Sequence[float]]
    paired: Mapping[Pair, Estimate] = field(default_factory=dict)
    votes: Mapping[str, Sequence[Figure]] = field(default_factory=dict)

    def of(self, model: str, metric: str) -> Estimate | None:
        """A model's score; None where it was not measured."""
        return self.scores.get(model, {}).get(metric)

    def difference(self, model: str, earlier: str, metric: str) -> Estimate | None:
        """model - earlier: paired where the file has it so, else from both intervals; None where one was not measured."""
        if (known := self.paired.get((model, earlier, metric))) is not None:
            return known
        first, second = self.of(model, metric), self.of(earlier, metric)
        return None if first is None or second is None else unpaired_difference(first, second)


def pooled_stages(results: Path, place: str) -> Stages | None:
    """A pooled.json that `make evidence` wrote of the whole recipe; None where there is no such file.

    Raises:
        ArtifactError: it is not such a file.
    """
    path = results / place
    if not path.is_file():
        return None
    pooled = read_json(path)
    try:
        scores = {
            model: {metric: estimate_of(row["all"]) for metric, row in rows.items() if "all" in row}
            for model, rows in pooled["models"].items()
        }
        parts = [part for claim in pooled["claims"] for part in claim["parts"]]
        paired = {
            PAIRED[part["of"], name]: estimate_of(figure)
            for part in parts
            for name, figure in part["figures"].items()
            if (part["of"], name) in PAIRED
        }
        votes = {model: votes_of(rows["votes"]) for model, rows in pooled["models"].items()}
        return Stages(place, len(pooled["seeds"]), scores, pooled["seconds"], paired, votes)
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: not what `make evidence` writes ({error!r}); write it again") from error


def stages_of_runs(results: Path, directory: str) -> Stages | None:
    """Copies of one or several runs' results.json (`results.json`, `seed-N.results.json`); None where there is none.

    Raises:
        ArtifactError: two of them have the same seed.
    """
    paths = sorted((results / directory).glob("*results.json"))
    if not paths:
        return None
    runs = [read_json(path) for path in paths]
    seeds = [run["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise ArtifactError(f"{results / directory}: its runs have the seeds {seeds}; each seed can be pooled once")
    models = [model for model in runs[0]["stages"] if all(model in run["stages"] for run in runs)]
    scores = {model: merged([run["stages"][model]["all"] for run in runs]) for model in models}
    seconds = {name: [run["seconds"][name] for run in runs] for name in models if all(name in run["seconds"] for run in runs)}
    source = f"{directory}/{paths[0].name if len(paths) == 1 else '*results.json'}"
    votes = {model: figures for model in models if (figures := votes_of_table(scores[model]))}
    return Stages(source, len(runs), scores, seconds, votes=votes)


def merged(tables: Sequence[Mapping[str, Any]]) -> dict[str, Estimate]:
    """Each metric that all seeds have, pooled by their intervals."""
    names = [name for name, value in tables[0].items() if isinstance(value, dict) and all(name in table for table in tables)]
    return {name: pool_estimates([estimate_of(table[name]) for table in tables]) for name in names}


def votes_of(votes: Mapping[str, Any], difference: str = "difference") -> list[Figure]:
    """The figures of a majority vote, the difference last."""
    k = votes["k"]
    return [
        Figure(f"cons@{k}", estimate_of(votes["cons@k"]), "percent"),
        Figure("pass@1", estimate_of(votes["pass@1"]), "percent"),
        Figure("difference", estimate_of(votes[difference]), "points"),
    ]


def votes_of_table(scores: Mapping[str, Estimate]) -> list[Figure]:
    """The same from a staged table, whose difference is not paired; [] where nobody voted."""
    name = next((name for name in scores if name.startswith("cons@")), "")
    if not name:
        return []
    voted, right = scores[name], scores[f"pass@1 of {name}"]
    return [
        Figure(name, voted, "percent"),
        Figure("pass@1", right, "percent"),
        Figure("difference", unpaired_difference(voted, right), "points"),
    ]


def claim_of(experiments: Path, name: str, metric: str, greater: str, than: str) -> Part:
    """A claim of a shipped experiment, answered by its experiment.json where that is kept as NAME.json.

    Raises:
        ArtifactError: the experiment, or what is kept of it, has no such claim.
    """
    wanted = (metric, greater, than)
    file, kept = EXPERIMENTS / f"{name}.toml", experiments / f"{name}.json"
    statement = claim_in(file, tomllib.loads(file.read_text(encoding="utf-8"))["claims"], wanted)["text"]
    again = f"`cogitate compare experiments/{name}.toml`, and its experiment.json as docs/experiments/{name}.json"
    if not kept.is_file():
        return Part(statement, Missing("the experiment has not been run at its full size", again))
    claim = claim_in(kept, read_json(kept)["claims"], wanted)
    if claim["difference"] is None:
        return Part(statement, Missing("no seed has both runs", again))
    difference = estimate_of(claim["difference"])
    figures = [Figure(f"{metric}, {greater.replace('_', ' ')} less {than.replace('_', ' ')}", difference, "points")]
    return Part(statement, Measured(difference, figures, claim["seeds"], kept.name))


def claim_in(path: Path, claims: Sequence[Mapping[str, Any]], wanted: tuple[str, str, str]) -> Mapping[str, Any]:
    for claim in claims:
        if (claim["metric"], claim["greater"], claim["than"]) == wanted:
            return claim
    raise ArtifactError("{}: no claim that {} of {} is above that of {}".format(path, *wanted))


def estimate_of(value: Mapping[str, Any]) -> Estimate:
    """From {"value": x, "ci95": [low, high]}."""
    low, high = value["ci95"]
    return Estimate(value["value"], low, high)


def unpaired_difference(first: Estimate, second: Estimate) -> Estimate:
    """first - second where only both intervals are known: the distances of the limits squared and added (Newcombe 1998).

    Models that are measured on the same problems resemble each other, so that a paired interval would be narrower.
    """
    value = first.value - second.value
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return Estimate(value, None, None)
    low = value - hypot(first.value - first.low, second.high - second.value)
    return Estimate(value, low, value + hypot(first.high - first.value, second.value - second.low))

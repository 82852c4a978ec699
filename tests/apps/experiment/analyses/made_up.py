"""Runs of small graphs with numbers that no model produced, and the results of an experiment on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.apps.experiment.definition import Experiment, ExperimentConfig
from cogitate.apps.experiment.results import Outcome, Results, results_of
from cogitate.apps.report.data import Run, StageRecord


def made_up_run(
    folder: Path,
    stages: Sequence[tuple[str, str]],
    *,
    seed: int = 0,
    summaries: Mapping[str, Mapping[str, Any]] | None = None,
    rows: Mapping[str, list[dict[str, Any]]] | None = None,
    files: Mapping[str, Any] | None = None,
) -> Run:
    """A finished run.

    Args:
        stages: (name, kind), each of which needs what its kind needs from stages of these names.
        files: STAGE/NAME -> its content: JSON, or the lines of a .jsonl file.
    """
    for name, content in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = content if path.suffix == ".jsonl" else [content]
        path.write_text("\n".join(map(json.dumps, lines)))
    records = {
        name: StageRecord(name, folder / name, True, (rows or {}).get(name, []), [], (summaries or {}).get(name, {}), 1.0)
        for name, _ in [*stages, *((f"evaluate.{name}", "") for name, _ in stages)]
    }
    needs = {"best_of_n": ["draws", "judges"], "search_curves": ["policy"], "all_scenario_rl": ["policy", "judges"]}
    given = {"draws": "x", "judges": "y", "policy": "z"}
    table = [{"name": name, "kind": kind, "needs": needs.get(kind, [])} for name, kind in stages]
    return Run(folder, seed, {"graph": "own", "stages": table, "inputs": given}, {"stages": {}}, records)


def made_up_results(runs: Mapping[str, Sequence[Run]], **keys: Any) -> Results:
    """Of variants, each at as many seeds as it has runs."""
    seeds = range(max(map(len, runs.values())))
    table = {"recipe": "tiny", "seeds": seeds, "model": "m", "measure": ["pass@1"], "variants": {n: {} for n in runs}, **keys}
    outcomes = [Outcome(name, seed, run, True) for name, of_seeds in runs.items() for seed, run in enumerate(of_seeds)]
    return results_of(Experiment("made_up", ExperimentConfig.model_validate(table), {}), outcomes)

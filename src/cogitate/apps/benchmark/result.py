"""What one model did on one benchmark: the file result.json, as a record and as the rows of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.errors import ArtifactError
from cogitate.evals.benchmarks.definition import Benchmark
from cogitate.evals.evaluate import Measured
from cogitate.evals.metrics import Estimate
from cogitate.evals.paired import Key
from cogitate.runtime import write_json

RESULT, SCHEMA = "result.json", 1
VERDICTS = ("seconds_limit", "allowed_packages", "unsafe_local", "remote_sandbox")  # of the settings `rewards`
BITS = ("weight_bits", "activation_bits", "cache_bits")  # of the settings `runtime`, where they are set
COMPARED = (
    "prompt", "shots", "contract", "instruction", "k", "temperature", "top_p", "max_new_tokens", "thinking_budget",
    "closing_phrase", "min_thinking", "waits", "dtype", "seed", "limit", "files", "example_files", "judge", "judging",
    "baseline_file", "engine", *BITS, *VERDICTS,
)  # fmt: skip
FILES = ("files", "example_files", "baseline_file")  # checksums, whose values say nothing to a reader


@dataclass(frozen=True, slots=True)
class Result:
    """One result.json.

    Attributes:
        benchmark: the definition's name. model: as the user wrote it. model_id: a hash of its content.
        settings: how it was asked; results that differ in one of COMPARED are not compared.
        data: as Loaded.as_json, with the benchmark's title and metric.
        metrics: by category and "all", as the table of an evaluation.
        consensus: cons@k by category and "all"; {} for one completion a problem, or answers that cannot vote.
        tokens: {"prompt", "completion"}: read and generated in all.
        right: 1 or 0 (or the metric's own values) of each completion with a verdict, by problem.
        further: what belongs to this benchmark alone.
    """

    benchmark: str
    model: str
    model_id: str
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    consensus: Mapping[str, Mapping[str, Any]]
    tokens: Mapping[str, int]
    right: Mapping[Key, Sequence[float]]
    further: Mapping[str, Any]

    def value(self, benchmark: Benchmark, category: str = "all") -> Estimate | None:
        """The benchmark's own metric; None where nothing could be judged."""
        found = self.metrics.get(category, {}).get(benchmark.metric)
        return None if found is None else Estimate(found["value"], *found["ci95"])

    def shortfalls(self) -> list[str]:
        """Why the figure is not the benchmark's own: what was left out, or is of another layout. [] of a whole benchmark."""
        published, left_out = self.data.get("published_rows"), self.further.get("too_long", {}).get("left_out", 0)
        missing = self.further.get("no_verdict", {}).get("share", 0)
        no_opinion = self.further.get("judge", {}).get("no_opinion", 0)
        found = {
            "a part of the benchmark": self.settings["limit"] is not None
            or (published is not None and self.data["rows"] < published),
            f"not the benchmark's own rows: {self.data.get('differs')}": bool(self.data.get("differs")),
            f"{self.data.get('ungradable', {}).get('rows')} rows cannot be graded": self.data.get("ungradable", {}).get("rows"),
            f"{left_out} prompts are too long": left_out,
            f"{100 * missing:.2g} % of the completions have no verdict": missing,
            f"the judge has no opinion on {no_opinion} completions": no_opinion,
        }
        return [reason for reason, holds in found.items() if holds]

    def write(self, directory: Path) -> None:
        right = [[*key, list(values)] for key, values in self.right.items()]
        names = ("benchmark", "model", "model_id", "settings", "data", "metrics", "consensus", "tokens", "further")
        write_json(directory / RESULT, {"schema": SCHEMA, **{name: getattr(self, name) for name in names}, "right": right})


def read_result(path: Path) -> Result:
    """Raises ArtifactError where it is no result.json that this version has written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise ArtifactError(f"{path}: of schema {found['schema']}, which this version does not read; name another --out")
        right = {(task, name, question): values for task, name, question, values in found.pop("right")}
        found.pop("schema")
        return Result(right=right, **found)
    except (OSError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{path}: damaged: {error}; delete it to have it made again from what is kept") from error


def differences_in_settings(one: Result, other: Result) -> list[str]:
    """The settings in which two results of one benchmark differ, as words."""
    return [
        name if name in FILES else f"{name} {one.settings.get(name)} and {other.settings.get(name)}"
        for name in COMPARED
        if one.settings.get(name) != other.settings.get(name)
    ]


def right_of(groups: Sequence[Sequence[Measured]], metric: str) -> dict[Key, list[float]]:
    """The metric's value of each completion with a verdict."""
    return {
        (group[0].problem.task, group[0].problem.id, group[0].problem.question): [
            float(each.score or 0.0) if metric == "score" else float(each.right) for each in group if each.right is not None
        ]
        for group in groups
    }

"""Finished runs of the whole recipe as the evidence reads them: a few completions of each model, written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence.pool import MODELS

SETTINGS = {"seed": 0, "evaluate.samples": 2, "evaluate.temperature": 0.6, "evaluate.top_p": 0.95}
PROBLEMS = (("sums", "a"), ("sums", "b"), ("code", "c"), ("code", "d"))
DATA_STAGES = ("cold_start", "sft_data", "reward_models")

Values = Sequence[Sequence[float | None]]  # of four problems, what each of their completions is worth


def write_run(
    directory: Path, seed: int, given: Mapping[str, Mapping[str, Any]], *, seconds: Mapping[str, float] | None = None
) -> Path:
    """A run directory.

    Args:
        given: by model, columns in place of the default ones: right, well_formed, reflection, language_mix (of the four
            problems), helpfulness, safety (of two prompts), votes (of two problems, pairs of answer and verdict).
        seconds: by stage, in place of 10 seconds.
    """
    names = [name for model in MODELS for name in (model, f"evaluate.{model}")] + list(DATA_STAGES)
    took = dict.fromkeys(names, 10.0) | {"base": 0.0} | dict(seconds or {})
    summaries = {f"evaluate.{model}": summary_of(model) for model in MODELS}
    directory.mkdir(parents=True)
    estimate = {"value": 0.5, "ci95": [0.4, 0.6]}
    table = {"all": {"pass@1": estimate, "longest_third": estimate, "cons@3": estimate, "pass@1 of cons@3": estimate}}
    results = {
        "schema": 1, "graph": "r1", "seed": seed, "stages": dict.fromkeys(MODELS, table), "seconds": took,
        "origins": {"base": "shipped"}, "summaries": summaries,
    }  # fmt: skip
    write(directory / "results.json", results)
    write(directory / "config.json", {"graph": "r1", "seed": seed})
    for model in MODELS:
        write_evaluation(directory / f"evaluate.{model}", summary_of(model), given.get(model, {}))
    (directory / "r1_zero").mkdir()
    write(directory / "r1_zero" / "manifest.json", {"summary": None, "seconds": 10.0})
    steps = [{"step": step, "reward": 1.0, "accuracy": 0.5, "thinking_tokens_finished": 10.0 + step} for step in range(3)]
    write_lines(directory / "r1_zero" / "metrics.jsonl", steps)
    return directory


def summary_of(model: str) -> dict[str, str]:
    if "base" in model:
        return {"prompt": "few_shot", "contract": "free", "format": "think_answer", "general_prompt": "conversation"}
    return {"prompt": "r1", "contract": "r1", "format": "think_text", "general_prompt": "r1"}


def write_evaluation(path: Path, summary: Mapping[str, str], columns: Mapping[str, Any]) -> None:
    path.mkdir()
    write(path / "manifest.json", {"settings": SETTINGS, "summary": summary, "seconds": 10.0})
    plain = {"right": [(1, 0)] * 4, "well_formed": [(1, 1)] * 4, "reflection": [(0, 0)] * 4, "language_mix": [(0, 0)] * 4}
    judged = {name: columns.get(name, values) for name, values in plain.items()}
    rows = []
    for number, (task, problem) in enumerate(PROBLEMS):
        for k in range(2):
            values = {name: None if (value := column[number][k]) is None else bool(value) for name, column in judged.items()}
            row = {"prompt": summary["prompt"], "task": task, "problem_id": problem, "extracted": "1", **values}
            rows.append(row)
            rows.append({**row, "prompt": "another one", "right": False})
    scores = {name: columns.get(name, [(0.5, 0.5), (0.5, 0.5)]) for name in ("helpfulness", "safety")}
    nothing = {"right": None, "extracted": None, "well_formed": False, "reflection": False, "language_mix": True}
    for number, task in enumerate(("general", "safety")):
        for k in range(2):
            values = {name: column[number][k] for name, column in scores.items()}
            rows.append({"prompt": summary["general_prompt"], "task": task, "problem_id": "g", **nothing, **values})
    write_lines(path / "completions.jsonl", rows)
    ballots = columns.get("votes", [[("7", True), ("7", True), ("8", False)]] * 2)
    votes = [
        {"prompt": summary["prompt"], "task": "sums", "problem_id": problem, "extracted": answer, "right": right}
        for problem, ballot in zip("ab", ballots, strict=True) for answer, right in ballot
    ]  # fmt: skip
    write_lines(path / "votes.jsonl", votes)


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

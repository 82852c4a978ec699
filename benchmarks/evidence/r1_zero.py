"""docs/results/r1_zero/: base against R1-Zero over the seeds, paired by problem and pooled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence.pool import Seed, pool_difference, pool_rate, problems_of, tasks_of
from cogitate.apps.report.report import write_curve_png
from cogitate.evals.metrics import spearman
from cogitate.runtime import atomic_write, write_json

FIRST, LAST = "base", "r1_zero"


def write_r1_zero(seeds: Sequence[Seed], out: Path) -> None:
    """Each seed's results of the two models, pooled.json, README.md and curve.png."""
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        write_json(out / f"seed-{seed.seed}.results.json", results_of(seed))
    pooled = pool(seeds)
    write_json(out / "pooled.json", pooled)
    with atomic_write(out / "README.md") as temporary:
        temporary.write_text(as_markdown(pooled), encoding="utf-8")
    write_curve_png([seed.path for seed in seeds], out / "curve.png", (FIRST, LAST))


def results_of(seed: Seed) -> dict[str, Any]:
    """results.json, as far as it is of the two models."""
    stages = (FIRST, f"evaluate.{FIRST}", LAST, f"evaluate.{LAST}")
    return {
        name: {stage: of for stage, of in value.items() if stage in stages} if isinstance(value, dict) else value
        for name, value in seed.results.items()
    }


def pool(seeds: Sequence[Seed]) -> dict[str, Any]:
    """Both models by task, their paired difference, and how thinking grew with the step."""
    table: dict[str, Any] = {}
    for task in tasks_of(seeds):
        table[task] = {stage: pool_rate(seeds, stage, "pass@1", task).as_json() for stage in (FIRST, LAST)}
        table[task]["gain"] = pool_difference(seeds, LAST, FIRST, "pass@1", task).as_json()
        table[task]["problems"] = sum(task in (name, "all") for name, _ in problems_of(seeds))
    results = [results_of(seed) for seed in seeds]
    return {
        "seeds": [seed.seed for seed in seeds],
        "command": "make evidence",
        "settings": dict(seeds[0].evaluations[FIRST].settings),
        "pass@1": table,
        "longest third": {
            stage: [result["stages"][stage]["all"]["longest_third"] for result in results] for stage in (FIRST, LAST)
        },
        "consensus": {stage: [consensus_of(result["stages"][stage]["all"]) for result in results] for stage in (FIRST, LAST)},
        "rank correlation of thinking tokens with the step": [growth(seed.path) for seed in seeds],
        "seconds": [result["seconds"] for result in results],
        "prompt of base": [result["summaries"][f"evaluate.{FIRST}"]["prompt"] for result in results],
    }


def consensus_of(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scores.items() if "cons@" in name}


def growth(directory: Path) -> float:
    """Spearman's rank correlation between step and thinking tokens of finished completions."""
    lines = (directory / LAST / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return spearman([row["step"] for row in rows], [row["thinking_tokens_finished"] for row in rows])


def as_markdown(pooled: dict[str, Any]) -> str:
    """The table of docs/results/r1_zero/README.md."""
    count, settings = pooled["pass@1"]["all"]["problems"], pooled["settings"]
    lines = [
        "# R1-Zero on the embedded model: seeds pooled",
        "",
        f"Made by `make evidence`: `cogitate run tiny` at seeds {', '.join(map(str, pooled['seeds']))}, {count} problems x "
        f"{settings['evaluate.samples']} completions, temperature {settings['evaluate.temperature']}, top-p "
        f"{settings['evaluate.top_p']}. Base is scored at the best of three prompts under the contract `free`, "
        f"which needs no tags (best were: {', '.join(pooled['prompt of base'])}). pass@1 with 95 % intervals over problems and "
        "seeds; the gain is paired by problem. The later stages of the same runs: [../r1/](../r1/README.md).",
        "",
        "| task | problems | base | R1-Zero | gain |",
        "|---|---|---|---|---|",
    ]
    for task, row in pooled["pass@1"].items():
        cells = (task, str(row["problems"]), shown(row[FIRST]), shown(row[LAST]), shown(row["gain"], sign="+"))
        lines.append(f"| {' | '.join(cells)} |")
    growths = ", ".join(f"{value:.2f}" for value in pooled["rank correlation of thinking tokens with the step"])
    lines += ["", f"Rank correlation of thinking tokens (finished completions) with the step, by seed: {growths}.", ""]
    for stage in (FIRST, LAST):
        third = " · ".join(shown(value) for value in pooled["longest third"][stage])
        votes = " · ".join(
            ", ".join(f"{name} {shown(value)}" for name, value in seed.items()) for seed in pooled["consensus"][stage]
        )
        lines += [f"- {stage}: longest third of problems {third}; {votes}"]
    seconds = [sum(each.values()) / 60 for each in pooled["seconds"]]
    lines += ["", f"Minutes by seed: {', '.join(f'{value:.1f}' for value in seconds)}. ![curve](curve.png)", ""]
    return "\n".join(lines)


def shown(value: dict[str, Any], *, sign: str = "") -> str:
    """0.912 [0.89, 0.93]"""
    low, high = value["ci95"]
    return f"{value['value']:{sign}.3f} [{low:{sign}.2f}, {high:{sign}.2f}]"

"""`make evidence`: the main job at three seeds on 500 problems, pooled. Writes docs/results/r1_zero/.

Every number of the result comes from the completions that the runs kept; nothing is chosen between runs. Interrupted, the same
command goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cogitate.apps.report import write_curve_png, write_report
from cogitate.evals.metrics import pool_paired_difference, pool_seeds, spearman
from cogitate.runtime import write_json

ROOT = Path(__file__).resolve().parents[1]
RUNS, RESULTS = ROOT / "runs" / "evidence", ROOT / "docs" / "results" / "r1_zero"
SEEDS = (0, 1, 2)
SETTINGS = ("evaluate.problems=500", "evaluate.consensus_problems=100")
FIRST, LAST = "base", "r1_zero"


def main() -> None:
    directories = [RUNS / f"seed-{seed}" for seed in SEEDS]
    for seed, directory in zip(SEEDS, directories, strict=True):
        command = ["cogitate", "run", "tiny", f"seed={seed}", *SETTINGS, "--out", str(directory)]
        print(" ".join(command[:-1]), directory.relative_to(ROOT), flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for directory in directories:
        shutil.copy(directory / "results.json", RESULTS / f"{directory.name}.results.json")
    pooled = pool(directories)
    write_json(RESULTS / "pooled.json", pooled)
    (RESULTS / "README.md").write_text(as_markdown(pooled), encoding="utf-8")
    write_curve_png(directories, RESULTS / "curve.png")
    print(write_report(directories, RUNS / "report.html"))
    print(as_markdown(pooled))


def pool(directories: list[Path]) -> dict[str, Any]:
    """Both models by task, their paired difference, and how thinking grew with the step."""
    rows = {stage: [right_by_problem(directory, stage) for directory in directories] for stage in (FIRST, LAST)}
    tasks = list(dict.fromkeys(task for task, _ in rows[FIRST][0]))
    table: dict[str, Any] = {}
    for task in [*tasks, "all"]:
        keys = [key for key in rows[FIRST][0] if task in (key[0], "all")]
        by_stage = {stage: [[by_problem[key] for key in keys] for by_problem in rows[stage]] for stage in rows}
        table[task] = {stage: pool_seeds(values).as_json() for stage, values in by_stage.items()}
        table[task]["gain"] = pool_paired_difference(by_stage[LAST], by_stage[FIRST]).as_json()
        table[task]["problems"] = len(keys)
    results = [json.loads((directory / "results.json").read_text(encoding="utf-8")) for directory in directories]
    return {
        "seeds": list(SEEDS),
        "command": "make evidence",
        "pass@1": table,
        "longest third": {
            stage: [result["stages"][stage]["all"]["longest_third"] for result in results] for stage in (FIRST, LAST)
        },
        "consensus": {stage: [consensus_of(result["stages"][stage]["all"]) for result in results] for stage in (FIRST, LAST)},
        "rank correlation of thinking tokens with the step": [growth(directory) for directory in directories],
        "seconds": [result["seconds"] for result in results],
        "prompt of base": [result["summaries"][f"evaluate.{FIRST}"]["prompt"] for result in results],
    }


def right_by_problem(directory: Path, stage: str) -> dict[tuple[str, str], list[float]]:
    """(task, problem) -> right or wrong of each completion, at the prompt the stage is scored by."""
    manifest = json.loads((directory / f"evaluate.{stage}" / "manifest.json").read_text(encoding="utf-8"))
    lines = (directory / f"evaluate.{stage}" / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    values: dict[tuple[str, str], list[float]] = {}
    for row in map(json.loads, lines):
        if row["prompt"] == manifest["summary"]["prompt"] and row["right"] is not None:
            values.setdefault((row["task"], row["problem_id"]), []).append(float(row["right"]))
    return values


def consensus_of(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scores.items() if "cons@" in name}


def growth(directory: Path) -> float:
    """Spearman's rank correlation between step and thinking tokens of finished completions."""
    lines = (directory / LAST / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return spearman([row["step"] for row in rows], [row["thinking_tokens_finished"] for row in rows])


def as_markdown(pooled: dict[str, Any]) -> str:
    """The table of docs/results/r1_zero/README.md."""
    count = pooled["pass@1"]["all"]["problems"]
    lines = [
        "# R1-Zero on the embedded model: three seeds, pooled",
        "",
        f"Made by `make evidence`: `cogitate run tiny` at seeds {', '.join(map(str, pooled['seeds']))}, {count} problems x 4 "
        "completions, temperature 0.6, top-p 0.95. Base is scored at the best of three prompts under the contract `free`, "
        f"which needs no tags (best were: {', '.join(pooled['prompt of base'])}). pass@1 with 95 % intervals over problems and "
        "seeds; the gain is paired by problem.",
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


if __name__ == "__main__":
    main()

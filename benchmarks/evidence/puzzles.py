"""`python -m benchmarks.evidence.puzzles RUN [RUN ...] --out DIR`: finished runs of `cogitate run puzzles` as one page.

Base against R1-Zero by family and by level, paired by problem and pooled over seeds; how accuracy, thinking and tries grew with
the step at each seed; and, where `--thinking FILE` gives what `benchmarks.evidence.thinking` wrote, answers after a thinking
that is cut, filler, or another problem's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence.growth import growth, read_log, shown
from benchmarks.evidence.page import percent, table
from benchmarks.evidence.pool import Key, Rows, Seed, load_seeds, paired, problems_of, tasks_of
from cogitate.apps.report.data import read_json
from cogitate.errors import CogitateError
from cogitate.evals.metrics import pool_seeds
from cogitate.runtime import atomic_write, write_json

FIRST, LAST = "base", "r1_zero"
TRAINED = ("1", "2", "3")  # levels that corpus and training have
LEVELS = {
    **{f"level {level}": (level,) for level in (*TRAINED, "4", "5")},
    "levels 1 to 3, as trained": TRAINED,
    "levels 4 and 5, never trained": ("4", "5"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 where runs cannot be pooled."""
    parser = argparse.ArgumentParser("python -m benchmarks.evidence.puzzles", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--thinking", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    try:
        pooled = pool(load_seeds(given.runs, (FIRST, LAST)))
        pooled["thinking"] = read_json(given.thinking)["rows"] if given.thinking else []
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    write_json(given.out / "pooled.json", pooled)
    with atomic_write(given.out / "README.md") as temporary:
        temporary.write_text(as_markdown(pooled), encoding="utf-8")
    print((given.out / "README.md").read_text(encoding="utf-8"))
    return 0


def level_of(key: Key) -> str:
    """A puzzle's id is task:level:question."""
    return key[1].split(":")[1]


def of_family(task: str) -> Callable[[Key], bool]:
    return lambda key: task in (key[0], "all")


def of_levels(levels: Sequence[str]) -> Callable[[Key], bool]:
    return lambda key: level_of(key) in levels


def pool(seeds: Sequence[Seed]) -> dict[str, Any]:
    """Both models and their difference by family and by level, and the growth of each seed."""
    return {
        "seeds": [seed.seed for seed in seeds],
        "settings": dict(seeds[0].evaluations[FIRST].settings),
        "steps": len(read_log(seeds[0].path / LAST / "metrics.jsonl")),
        "seconds": [seed.results["seconds"][LAST] for seed in seeds],
        "by family": {task: compare(seeds, of_family(task)) for task in tasks_of(seeds)},
        "by level": {name: compare(seeds, of_levels(levels)) for name, levels in LEVELS.items()},
        "growth": {str(seed.seed): growth(read_log(seed.path / LAST / "metrics.jsonl")) for seed in seeds},
    }


def compare(seeds: Sequence[Seed], keep: Callable[[Key], bool]) -> dict[str, Any]:
    """pass@1 of both models over the problems to keep, and LAST - FIRST."""
    keys = [key for key in problems_of(seeds) if keep(key)]

    def right(model: str) -> list[Rows]:
        return [
            [[float(row["right"]) for row in seed.evaluations[model].judged[key] if row["right"] is not None] for key in keys]
            for seed in seeds
        ]

    first, last = right(FIRST), right(LAST)
    return {
        "problems": len(keys),
        FIRST: pool_seeds(first).as_json(),
        LAST: pool_seeds(last).as_json(),
        "gain": paired(last, first).as_json(),
    }


def as_markdown(pooled: Mapping[str, Any]) -> str:
    """The page."""
    settings, minutes = pooled["settings"], ", ".join(f"{seconds / 60:.1f}" for seconds in pooled["seconds"])
    blocks = [
        f"# Where thinking pays: {pooled['steps']} steps of R1-Zero",
        f"`cogitate run puzzles` at seeds {', '.join(map(str, pooled['seeds']))}; "
        f"{settings['evaluate.problems']} unseen problems x {settings['evaluate.samples']} completions, temperature "
        f"{settings['evaluate.temperature']}, at most {settings['evaluate.max_new_tokens']} tokens. Base is scored at the "
        "best of three prompts, R1-Zero in its own form. pass@1 in percent, brackets: 95 % intervals over problems and seeds, "
        f"the gain is paired by both. R1-Zero took {minutes} minutes.",
        compared("family", pooled["by family"]),
        compared("level", pooled["by level"]),
        "What grows with the step, by seed: the mean of the first and of the last fifth of the steps, and Spearman's rank "
        "correlation with the step.",
        grown(pooled["growth"]),
    ]
    if pooled["thinking"]:
        blocks += [
            "Is it the thinking? R1-Zero's answers, drawn again after a thinking that is not its own: cut at a share of its "
            "tokens and closed, filler of the same length, the thinking of another problem of the family.",
            table(
                ["thinking", "share", "right", "less its own"],
                [
                    [row["thinking"], f"{row['share']:.0%}", percent(row["right"]), percent(row["less_own"], sign="+")]
                    for row in pooled["thinking"]
                ],
            ),
        ]
    return "\n\n".join(blocks) + "\n"


def compared(head: str, rows: Mapping[str, Any]) -> str:
    return table(
        [head, "problems", "base", "R1-Zero", "gain"],
        [
            [name, str(row["problems"]), percent(row[FIRST]), percent(row[LAST]), percent(row["gain"], sign="+")]
            for name, row in rows.items()
        ],
    )


def grown(by_seed: Mapping[str, Any]) -> str:
    rows = []
    for seed, measures in by_seed.items():
        for name, row in measures.items():
            rows.append([
                seed, name.replace("_", " "), f"{row['first']['value']:.3f}", f"{row['last']['value']:.3f}",
                shown(row["correlation"]),
            ])  # fmt: skip
    return table(["seed", "measure", "first fifth", "last fifth", "rank correlation"], rows)


if __name__ == "__main__":
    sys.exit(main())

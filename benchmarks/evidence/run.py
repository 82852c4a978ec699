"""`make evidence`: a complete recipe at three seeds, pooled into pages whose claims are decided by intervals.

`python -m benchmarks.evidence [puzzles|tiny]`: `puzzles`, where thinking pays, into docs/results/puzzles_stages/; `tiny`, the
easier world, into docs/results/r1_zero/ and docs/results/r1/. Every number of the result comes from the completions that the
runs kept; nothing is chosen between runs. Then docs/findings.md is written from all results of the repository. Interrupted, the
same command goes on where it stopped. `--pool-only` pools finished runs, `--runs` other runs, `--out` writes elsewhere.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.evidence.findings.page import write_findings
from benchmarks.evidence.page import write_stages
from benchmarks.evidence.pool import load_seeds
from benchmarks.evidence.r1_zero import write_r1_zero
from benchmarks.places import CHECKOUT, PAGES, PUBLISHED_RUNS, RUNS
from cogitate.apps.report.report import write_report
from cogitate.errors import CogitateError

SEEDS = (0, 1, 2)
SETTINGS: Mapping[str, Sequence[str]] = {  # of the evaluation, by recipe
    "puzzles": ("evaluate.consensus_problems=40",),
    "tiny": ("evaluate.problems=500", "evaluate.general_problems=300", "evaluate.consensus_problems=100"),
}
PAGE_OF = {"puzzles": "puzzles_stages", "tiny": "r1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, that of the run that failed, or 2 where runs cannot be pooled."""
    parser = argparse.ArgumentParser("python -m benchmarks.evidence", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", nargs="?", choices=list(SETTINGS), default="puzzles", help="default: puzzles")
    parser.add_argument("--pool-only", action="store_true", help="run nothing, pool runs that are finished")
    parser.add_argument("--runs", type=Path, nargs="+", metavar="DIR", help="run directories to pool (with --pool-only)")
    parser.add_argument("--out", type=Path, default=PUBLISHED_RUNS, metavar="DIR", help="where the pages' folders are written")
    given = parser.parse_args(arguments)
    if given.runs and not given.pool_only:
        parser.error("--runs is for finished runs: give --pool-only, too")
    directories = given.runs or [RUNS / "evidence" / given.recipe / f"seed-{seed}" for seed in SEEDS]
    if not given.pool_only and (code := run_all(given.recipe, directories)):
        return code
    try:
        seeds = load_seeds(directories)
        if given.recipe == "tiny":
            write_r1_zero(seeds, given.out / "r1_zero")
        page = write_stages(seeds, given.recipe, given.out / PAGE_OF[given.recipe])
        findings = write_findings(given.out, PAGES if given.out == PUBLISHED_RUNS else given.out)
        report = write_report([seed.path for seed in seeds], directories[0].parent / "report.html")
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(page.read_text(encoding="utf-8"))
    print(f"written: {page.parent}, {findings}, {report}")
    return 0


def run_all(recipe: str, directories: Sequence[Path]) -> int:
    """Run every seed, or go on with it; the exit code of the first that fails."""
    for seed, directory in zip(SEEDS, directories, strict=True):
        command = ["cogitate", "run", recipe, f"seed={seed}", *SETTINGS[recipe], "--out", str(directory)]
        print(" ".join(command[:-1]), directory.relative_to(CHECKOUT), flush=True)
        code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
        if code:
            return code
    return 0

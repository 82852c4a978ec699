"""Do they rise together? `python -m benchmarks.evidence.growth RUN [RUN ...] --out OUT.json`: what R1-Zero's log says by step.

Accuracy, thinking, tries, rejected tries and verified self-corrections, each with Spearman's rank correlation with the step and
its 95 % interval, for each run (seed) apart. The interval resamples blocks of neighbouring steps, which resemble each other.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cogitate.errors import CogitateError, DataError
from cogitate.evals.metrics import Estimate, mean_number, spearman
from cogitate.runtime import write_json

MEASURES = (
    "accuracy",
    "thinking_tokens_finished",
    "tries",
    "rejecting_rate",
    "self_correction_rate",
    "truncated_share",
    "entropy",
)
BLOCK, RESAMPLES = 5, 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 where a run has no such log."""
    parser = argparse.ArgumentParser("python -m benchmarks.evidence.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--stage", default="r1_zero")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        grown = {str(run): growth(read_log(run / given.stage / "metrics.jsonl")) for run in given.runs}
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_json(given.out, grown)
    for run, rows in grown.items():
        print(run)
        for name, row in rows.items():
            print(f"  {name:<26} {row['first']['value']:8.3f} -> {row['last']['value']:8.3f}   "
                  f"rank correlation with the step {shown(row['correlation'])}")  # fmt: skip
    return 0


def shown(correlation: Mapping[str, Any] | None) -> str:
    """`+0.98 [+0.88, +0.99]`"""
    if correlation is None:
        return "none: the same at every step"
    low, high = correlation["ci95"]
    return f"{correlation['value']:+.2f} [{low:+.2f}, {high:+.2f}]"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl.

    Raises:
        DataError: it is not there, or has fewer than two blocks of steps.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; give run directories whose stage is finished") from error
    if len(rows) < 2 * BLOCK:
        raise DataError(f"{path}: {len(rows)} steps say nothing about growth; it takes at least {2 * BLOCK}")
    return rows


def growth(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Measure -> {"first", "last": means of the first and the last fifth of the steps, "correlation"}.

    The correlation of what is the same at every step is None.
    """
    fifth = max(2, len(rows) // 5)
    found = {}
    for name in MEASURES:
        known = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        if len(known) < 2 * BLOCK:
            raise DataError(f"{name} is logged at {len(known)} steps; it takes at least {2 * BLOCK}, of a run on puzzles")
        steps, values = zip(*known, strict=True)
        ends = {place: mean_number([[value] for value in part]).as_json()
                for place, part in (("first", values[:fifth]), ("last", values[-fifth:]))}  # fmt: skip
        constant = len(set(values)) == 1
        found[name] = {**ends, "correlation": None if constant else correlation(steps, values).as_json()}
    return found


def correlation(steps: Sequence[float], values: Sequence[float]) -> Estimate:
    """Spearman's rank correlation; its interval by the circular block bootstrap (Politis and Romano 1992)."""
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(0)
    begins = draws.integers(0, len(x), size=(RESAMPLES, -(-len(x) // BLOCK)))
    chosen = (begins[:, :, None] + np.arange(BLOCK)).reshape(RESAMPLES, -1)[:, : len(x)] % len(x)
    drawn = np.array([spearman(x[each].tolist(), y[each].tolist()) for each in chosen])
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return Estimate(spearman(list(steps), list(values)), float(low), float(high))


if __name__ == "__main__":
    sys.exit(main())

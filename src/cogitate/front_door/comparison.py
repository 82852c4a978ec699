"""`compare`: two or more runs side by side."""

from __future__ import annotations

from pathlib import Path

from cogitate.apps.compare import Comparison, compare_runs
from cogitate.front_door.run_handle import Run


def compare(first: Run | str | Path, second: Run | str | Path, *more: Run | str | Path) -> Comparison:
    """Runs side by side: settings that differ, each model's pass@1 with its difference to the first run's, and cost.

    Differences are paired by problem where both runs stored their completions of the same problems. `.text()` is a table.

    Args:
        first, second, more: runs, or their directories.

    Raises:
        CogitateError: one is not a run directory, or is given twice.
    """
    directories = [run.path if isinstance(run, Run) else Path(run) for run in (first, second, *more)]
    return compare_runs(directories)

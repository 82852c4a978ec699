"""Where the benchmarks read and write: all of it inside the checkout."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
RESULTS = CHECKOUT / "benchmarks" / "results"  # what was measured, one file a day
PAGE = CHECKOUT / "docs" / "performance.md"  # its generated parts
PAGES = CHECKOUT / "docs"
PUBLISHED_RUNS = PAGES / "results"
EXPERIMENTS = CHECKOUT / "experiments"
RUNS = CHECKOUT / "runs"  # not in git

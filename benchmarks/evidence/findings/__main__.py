"""`python -m benchmarks.evidence.findings`: writes docs/findings.md and docs/results/findings.json from committed results."""

import argparse
import sys

from benchmarks.evidence.findings.page import write_findings
from benchmarks.places import PAGES, PUBLISHED_RUNS
from cogitate.errors import CogitateError


def main() -> int:
    """The exit code: 0, or 2 where a result file cannot be read."""
    argparse.ArgumentParser("python -m benchmarks.evidence.findings", description=(__doc__ or "").strip()).parse_args()
    try:
        page = write_findings(PUBLISHED_RUNS, PAGES)
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"written: {page}, {PUBLISHED_RUNS / 'findings.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

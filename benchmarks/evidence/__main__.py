"""`python -m benchmarks.evidence`."""

import sys

from benchmarks.evidence.run import main

if __name__ == "__main__":
    sys.exit(main())

"""Compare two runs: settings that differ, each model's pass@1 with the difference and its interval, and cost.

python examples/compare_runs.py RUN RUN
"""

import sys

import cogitate

first, second = (cogitate.Run(path) for path in sys.argv[1:3])
print(cogitate.compare(first, second).text())

"""What measures the recipe, and makes the pages under docs/results: each room is started as `python -m benchmarks.ROOM`."""

import cogitate  # noqa: F401  # before torch, which reads when it is imported how long waiting threads stay awake

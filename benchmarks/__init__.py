"""What measures the recipe, and makes the pages under docs/results: each room is started as `python -m benchmarks.ROOM`."""

"""What the planner takes for granted of a shipped recipe, from a whole run: `python -m benchmarks.usual_lengths RECIPE RUN`.

Writes src/cogitate/apps/plan/usual.json. Steps and numbers of completions are left out: settings say them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cogitate.apps.plan.measured import USUAL, read_measured
from cogitate.recipe.settings import load_recipe
from cogitate.runtime import write_json

OF_SETTINGS = ("steps", "completions", "tokens_generated", "general_completions")


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.usual_lengths", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    figures = {
        stage: {name: round(value, 4) for name, value in found.items() if not name.startswith(OF_SETTINGS)}
        for stage, found in read_measured(given.run).figures.items()
    }
    tasks = load_recipe(given.recipe).tasks.train
    others = (
        [each for each in json.loads(USUAL.read_text(encoding="utf-8")) if each["tasks"] != tasks] if USUAL.is_file() else []
    )
    write_json(
        USUAL,
        [*others, {"recipe": given.recipe, "tasks": tasks, "figures": {name: row for name, row in figures.items() if row}}],
    )
    print(f"written: {USUAL}")


if __name__ == "__main__":
    main()

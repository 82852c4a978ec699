"""A graph of toy stages, and the real command line over it: `python toy_recipe.py run RECIPE ...`."""

from __future__ import annotations

import sys
from pathlib import Path

from cogitate import cli
from cogitate.config import Config, load_config
from cogitate.recipe import recipe
from cogitate.recipe.recipe import Stage
from cogitate.recipe.runner import run_recipe

recipe.GRAPHS["toy"] = (
    Stage("toy", "toy_stage", is_model=False),
    Stage("evaluate.toy", "toy_evaluate", needs=("toy",), is_model=False),
    Stage("toy_second", "toy_stage", needs=("toy",), is_model=False),
    Stage("evaluate.toy_second", "toy_evaluate", needs=("toy_second",), is_model=False),
)

TOML = 'graph = "toy"\n[base]\nsteps = 6\nlearning_rate = 0.05\ncheckpoint_every = 2\n'


def toy_config(folder: Path, *overrides: str) -> Config:
    path = folder / "toy.toml"
    path.write_text(TOML)
    return load_config(str(path), overrides)


def no_backend(config: Config) -> None:
    """The toy stages use none."""


def run_toy(out: Path, config: Config) -> Path:
    return run_recipe(config, out, make_backend=no_backend)


if __name__ == "__main__":
    if "--kill-at" in sys.argv:
        from kill_harness import arm

        position = sys.argv.index("--kill-at")
        directory, event = sys.argv[position + 1 : position + 3]
        del sys.argv[position : position + 3]
        arm(Path(directory), int(event))
    cli.main()

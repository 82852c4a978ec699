"""A graph of toy stages, and the real command line over it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from cogitate import cli
from cogitate.backend import Backend
from cogitate.config import Config
from cogitate.recipe import recipe
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import Stage
from tests.recipe.toy_evaluate import TOY_EVALUATE
from tests.recipe.toy_stage import TOY

recipe.GRAPHS["toy"] = (
    Stage("toy", TOY),
    Stage("evaluate.toy", TOY_EVALUATE, needs=("toy",)),
    Stage("toy_second", TOY, needs=("toy",)),
    Stage("evaluate.toy_second", TOY_EVALUATE, needs=("toy_second",)),
)

TOML = 'graph = "toy"\n[base]\nsteps = 6\nlearning_rate = 0.05\ncheckpoint_every = 2\n'


def toy_config(folder: Path, *overrides: str) -> Config:
    path = folder / "toy.toml"
    path.write_text(TOML)
    return load_recipe(str(path), overrides)


class NoBackend:
    """Toy stages use none: the run closes it in the end, that is all."""

    device_name = "cpu"

    def close(self) -> None: ...


def no_backend(
    config: Config, answers: Path | None = None, *, out: Path | None = None, say: Callable[[str], None] = print
) -> Backend:
    return cast(Backend, NoBackend())  # of a backend only `close` is called and `device_name` read


def run_toy(out: Path, config: Config) -> Path:
    return run_recipe(config, out, make_backend=no_backend)


def main(*arguments: str) -> None:
    """The real command line; only the backend, which toy stages do not use, is left out."""
    cli.runs.compose_backend = no_backend
    sys.argv = ["cogitate", *arguments]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])

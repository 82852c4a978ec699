"""The problems of a recipe's stages: training pool and evaluation set, kept apart, without code where it cannot be isolated."""

from __future__ import annotations

from pathlib import Path

from cogitate.config import Config
from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox import SandboxLevel, detect_level
from cogitate.tasks.jsonl import check_disjoint
from cogitate.tasks.mixture import BUILT_IN, gather_problems, names_in, paths_in
from cogitate.types import Problem

ISOLATING = (SandboxLevel.BUBBLEWRAP, SandboxLevel.LANDLOCK)


def training_problems(config: Config) -> list[Problem]:
    """The pool RL draws its prompts from; refuses a pool that shares a problem with the evaluation.

    Raises:
        DataError: a file cannot be used, or the same problem is in both.
        SandboxUnavailableError: there is code to run and no isolation for it.
    """
    left_out = tasks_left_out(config)
    problems = gather_problems(
        config.tasks.train, config.tasks.train_problems, split="train", seed=config.seed, without=left_out
    )
    check_disjoint(problems, evaluation_problems(config))
    return problems


def evaluation_problems(config: Config, count: int | None = None) -> list[Problem]:
    """The problems every model of the recipe is measured on; the same for every seed."""
    return gather_problems(
        config.tasks.eval,
        count or config.evaluate.problems,
        split="eval",
        seed=config.tasks.eval_seed,
        without=tasks_left_out(config),
    )


def tasks_left_out(config: Config) -> list[str]:
    """Built-in tasks this machine cannot grade safely: [] where model-written code can be isolated or needs not be.

    Raises:
        SandboxUnavailableError: code is asked for, cannot be isolated, and the recipe does not say it may be skipped.
    """
    named = {*names_in(config.tasks.train), *names_in(config.tasks.eval)}
    needing = sorted(name for name in named if name in BUILT_IN and BUILT_IN[name].needs_sandbox)
    if not needing or config.rewards.unsafe_local or detect_level() in ISOLATING:
        return []
    if config.tasks.skip_code_without_sandbox:
        return needing
    raise SandboxUnavailableError(
        f"tasks {', '.join(needing)} run model-written code, which cannot be isolated on this machine (see `cogitate doctor`); "
        "leave them out of tasks.train and tasks.eval, or set rewards.unsafe_local=true to run it without isolation"
    )


def data_files(config: Config) -> list[Path]:
    """The files that problems and rewards come from."""
    custom = [Path(config.rewards.custom.rpartition(":")[0])] if config.rewards.custom else []
    return list(dict.fromkeys([*paths_in(config.tasks.train), *paths_in(config.tasks.eval), *custom]))

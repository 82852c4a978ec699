"""The problems of a recipe's stages: training pool and evaluation set, kept apart, without code where it cannot be isolated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cogitate.config import Config
from cogitate.errors import ConfigError, SandboxUnavailableError
from cogitate.rewards.grade_fields import KINDS
from cogitate.rewards.sandbox import SandboxLevel, detect_level
from cogitate.tasks.jsonl import check_disjoint, load_problems
from cogitate.tasks.mixture import BUILT_IN, gather_problems, names_in, paths_in
from cogitate.types import Problem

ISOLATING = (SandboxLevel.BUBBLEWRAP, SandboxLevel.LANDLOCK)
NOT_ISOLATED = (
    "{tasks} runs model-written code, which cannot be isolated on this machine (see `cogitate doctor`); leave it out of "
    "tasks.train and tasks.eval, or set rewards.unsafe_local=true to run it without isolation"
)


def training_problems(config: Config) -> list[Problem]:
    """The pool RL draws its prompts from; refuses a pool that shares a problem with the evaluation.

    Raises:
        DataError: a file cannot be used, or the same problem is in both.
        ConfigError: a problem cannot be judged by rules.
        SandboxUnavailableError: there is code to run and no isolation for it.
    """
    problems = gather_problems(
        config.tasks.train, config.tasks.train_problems, split="train", seed=config.seed, without=tasks_left_out(config)
    )
    check_gradable(problems, config)
    # Files of evaluation problems are compared whole, though only a share of them may be asked.
    in_files = [problem for path in paths_in(config.tasks.eval) for problem in load_problems(path)]
    check_disjoint(problems, [*in_files, *evaluation_problems(config)])
    return problems


def evaluation_problems(config: Config, count: int | None = None) -> list[Problem]:
    """The problems every model of the recipe is measured on; the same for every seed. Raises what training_problems does."""
    problems = gather_problems(
        config.tasks.eval,
        count or config.evaluate.problems,
        split="eval",
        seed=config.tasks.eval_seed,
        without=tasks_left_out(config),
    )
    check_gradable(problems, config)
    return problems


def check_gradable(problems: Sequence[Problem], config: Config) -> None:
    """Refuse problems that would end without a verdict on this machine."""
    for problem in problems:
        if problem.kind not in KINDS:
            raise ConfigError(
                f"{problem.place}: kind {problem.kind} is judged by reward models, not by rules: "
                f"leave {problem.task} out of tasks.train and tasks.eval"
            )
        if problem.kind == "custom" and not config.rewards.custom:
            raise ConfigError(f'{problem.place}: kind custom needs rewards.custom="file.py:function"')
        if problem.kind == "code" and not can_run_code(config):
            raise SandboxUnavailableError(f"{problem.place}: {NOT_ISOLATED.format(tasks=problem.task)}")


def can_run_code(config: Config) -> bool:
    """Whether model-written code can be isolated here, or need not be."""
    return config.rewards.unsafe_local or detect_level() in ISOLATING


def tasks_left_out(config: Config) -> list[str]:
    """Built-in tasks this machine cannot grade safely: [] where model-written code can be isolated or needs not be.

    Raises:
        SandboxUnavailableError: code is asked for, cannot be isolated, and the recipe does not say it may be skipped.
    """
    named = {*names_in(config.tasks.train), *names_in(config.tasks.eval)}
    needing = sorted(name for name in named if name in BUILT_IN and BUILT_IN[name].needs_sandbox)
    if not needing or can_run_code(config):
        return []
    if config.tasks.skip_code_without_sandbox:
        return needing
    raise SandboxUnavailableError(NOT_ISOLATED.format(tasks=", ".join(needing)))


def data_files(config: Config) -> list[Path]:
    """The files that problems and rewards come from."""
    custom = [Path(config.rewards.custom.rpartition(":")[0])] if config.rewards.custom else []
    return list(dict.fromkeys([*paths_in(config.tasks.train), *paths_in(config.tasks.eval), *custom]))

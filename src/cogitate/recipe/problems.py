"""The problems of a recipe's stages: training pool and evaluation set, kept apart, without code where it cannot be isolated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cogitate.config import Config
from cogitate.config.user_files import check_functions, reward_functions
from cogitate.errors import ConfigError, SandboxUnavailableError
from cogitate.recipe.kinds import PREFERENCE_DATA
from cogitate.recipe.stage import Stage
from cogitate.rewards.judge.settings import check_judge, judge_files
from cogitate.rewards.kinds import kind_of
from cogitate.rewards.sandbox.isolation import Isolation, read_packages
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.tasks.common import Split
from cogitate.tasks.files.decontaminate import decontaminate, index_evaluation
from cogitate.tasks.files.jsonl import check_disjoint, load_problems
from cogitate.tasks.generators.gym import PREFIX, is_gym, needs_sandbox
from cogitate.tasks.generators.user_function import function_problems
from cogitate.tasks.mixture import (
    BUILT_IN,
    NOTHING_HELD_OUT,
    HeldOut,
    files_in,
    functions_in,
    gather_problems,
    names_in,
    paths_in,
    share_of,
)
from cogitate.types import Problem

ISOLATING = (SandboxLevel.BUBBLEWRAP, SandboxLevel.LANDLOCK)
NEAR_COPY_WORDS = 8  # of the pieces that two problems are compared by, numbers left out
EVALUATED = ("tasks.eval", "evaluate.further")  # settings that name problems
NOT_ISOLATED = (
    "{tasks} runs model-written code, which cannot be isolated on this machine (see `cogitate doctor`); leave it out of "
    "tasks.train and tasks.eval, let programs run elsewhere (rewards.remote_sandbox), or set rewards.unsafe_local=true to run "
    "it without isolation"
)


def training_problems(config: Config) -> list[Problem]:
    """The pool RL draws its prompts from; refuses a pool that shares a problem with the evaluation.

    Raises:
        DataError: a file cannot be used, or the same problem is in both.
        ConfigError: a problem cannot be judged by rules.
        SandboxUnavailableError: there is code to run and no isolation for it.
    """
    check_settings(config)
    check_sharing(config)
    problems = gather_problems(
        config.tasks.train,
        config.tasks.train_problems,
        split="train",
        seed=config.seed,
        without=tasks_left_out(config),
        gym=config.tasks.gym,
        held_out=held_out_of(config),
    )
    check_gradable(problems, config)
    every = every_evaluation_problem(config)
    if config.tasks.held_out_share:
        problems = without_near_copies(problems, every)
        if not problems:
            raise ConfigError(
                f"tasks.held_out_share = {config.tasks.held_out_share}: no problem is left for training, since questions that "
                "differ in their numbers and a name alone are on one side; give tasks.eval a file of its own, without a share"
            )
    check_disjoint(problems, every)
    return problems


def without_near_copies(problems: Sequence[Problem], evaluation: Sequence[Problem]) -> list[Problem]:
    """Training problems that are no evaluation problem with other numbers, or other numbers and names."""
    index = index_evaluation(evaluation, ngram=NEAR_COPY_WORDS, mask_numbers=True)
    kept, _ = decontaminate(problems, index, lambda problem: (problem, ""))
    return kept


def every_evaluation_problem(config: Config) -> list[Problem]:
    """What may not be trained on: evaluation files whole, though only a share of them may be asked, and of generated tasks and
    users' functions the problems that are asked."""
    held_out = held_out_of(config)
    files = [*paths_in(config.tasks.eval), *paths_in(config.evaluate.further, empty=True)]
    further = [
        problem
        for name in functions_in(config.evaluate.further, empty=True)
        for problem in function_problems(name, config.evaluate.further_problems, split="eval", seed=config.tasks.eval_seed)
    ]
    of_files = [problem for path in files for problem in held_out.side(path, "eval")]
    return [*of_files, *further, *evaluation_problems(config)]


def settings_of_held_out_problems(stage: Stage, config: Config) -> list[str]:
    """Settings that decide which problems a stage may not train on, and that its id does not hold: how many problems of
    generated tasks and of users' functions are asked. Of files all are left out, and ids hold their content."""
    cleans = "tasks.train" in stage.kind.uses and (config.tasks.held_out_share or "evaluate.problems" in stage.kind.reads)
    if not cleans:
        return []
    generated = len(names_in(config.tasks.eval)) > len(paths_in(config.tasks.eval))
    by_name = {
        "evaluate.problems": generated and "evaluate.problems" not in stage.kind.reads,
        "evaluate.further_problems": functions_in(config.evaluate.further, empty=True),
    }
    return [key for key, decides in by_name.items() if decides]


def held_out_of(config: Config) -> HeldOut:
    """The files that training and evaluation share."""
    tasks = config.tasks
    if not tasks.held_out_share:
        return NOTHING_HELD_OUT
    evaluation = paths_in(tasks.eval)
    return HeldOut(tuple(path for path in paths_in(tasks.train) if path in evaluation), tasks.held_out_share, tasks.eval_seed)


def evaluation_problems(config: Config, count: int | None = None) -> list[Problem]:
    """The problems every model of the recipe is measured on; the same for every seed. Raises what training_problems does."""
    check_settings(config)
    problems = gather_problems(
        config.tasks.eval,
        count or config.evaluate.problems,
        split="eval",
        seed=config.tasks.eval_seed,
        without=tasks_left_out(config),
        gym=config.tasks.gym,
        held_out=held_out_of(config),
    )
    if not problems and config.tasks.held_out_share:
        raise ConfigError(
            f"tasks.held_out_share = {config.tasks.held_out_share}: no problem is left for evaluation, since those that differ "
            "in their numbers alone stay together; raise it, or name another file in tasks.eval and set tasks.held_out_share=0"
        )
    check_gradable(problems, config)
    return problems


def further_problems(config: Config) -> list[Problem]:
    """The problems of evaluate.further, evaluate.further_problems of each task or file; [] where none are named.

    Raises what training_problems does, and a ConfigError where a task is also in tasks.eval: its column would be two.
    """
    further = names_in(config.evaluate.further, empty=True)
    count = config.evaluate.further_problems * len(further)
    if not further:
        return []
    problems = gather_problems(config.evaluate.further, count, split="eval", seed=config.tasks.eval_seed, gym=config.tasks.gym)
    check_gradable(problems, config)
    columns = {problem.task for problem in evaluation_problems(config)}
    for problem in problems:
        if problem.task in columns:
            raise ConfigError(f"{problem.place}: {problem.task} is in tasks.eval already: leave it out of evaluate.further")
    return problems


def check_settings(config: Config) -> None:
    """Refuse settings that could not be kept, or would change nothing."""
    isolation_of(config).check()
    named = {*names_in(config.tasks.train), *names_in(config.tasks.eval)}
    for generator in config.tasks.gym:
        if f"{PREFIX}{generator}" not in named:
            raise ConfigError(
                f"tasks.gym.{generator}: changes nothing, since neither tasks.train nor tasks.eval names {PREFIX}{generator}"
            )


def check_used(config: Config, graph: Sequence[Stage]) -> None:
    """Refuse settings that no stage of the graph uses.

    Raises:
        ConfigError: names the setting.
        DataError: a file of problems cannot be used.
    """
    uses = {key for stage in graph for key in stage.kind.uses}
    made = {key for stage in graph if stage.name not in config.inputs for key in stage.kind.uses}
    if config.rewards.parts and "rewards.parts" not in made:
        raise ConfigError(
            f"rewards.parts: changes nothing, since no stage of graph {config.graph} is trained here with rewards by rules; "
            "leave it out"
        )
    default = type(config.tasks).model_fields["train"].default
    if config.tasks.train != default and "tasks.train" not in uses and not config.tasks.held_out_share:
        raise ConfigError(
            f"tasks.train = {config.tasks.train!r}: changes nothing, since no stage of graph {config.graph} trains on these "
            "problems; leave it out"
        )
    check_judge(config.judge)
    if config.judge.model and not asks_judge(config, graph) and not is_judged(config):
        raise ConfigError(
            f"judge.model = {config.judge.model!r}: changes nothing, since no stage of graph {config.graph} that is made here "
            'asks a judge, and no problem is of kind "judge"; leave it out'
        )
    check_custom_used(config, ("tasks.train", "tasks.eval", "evaluate.further") if "tasks.train" in uses else EVALUATED)
    check_functions(config)


def asks_judge(config: Config, graph: Sequence[Stage]) -> bool:
    """Whether a stage that is made here asks a judge, wherever its problems come from."""
    asking = [stage for stage in graph if stage.name not in config.inputs and "judge" in stage.kind.uses]
    given = getattr(config, PREFERENCE_DATA, None)
    all_given = given is not None and given.pairs_file and given.labels_file
    return any(not (PREFERENCE_DATA in stage.kind.sections and all_given) for stage in asking)


def is_judged(config: Config) -> bool:
    """Whether any of the user's own problems is judged by a model."""
    own = (problem for setting in ("tasks.train", *EVALUATED) for problem in own_problems(config, setting))
    return any(kind_of(problem.kind).needs_judge for problem in own)


def check_custom_used(config: Config, settings: Sequence[str] = EVALUATED) -> None:
    """Refuse a function of the user's that would judge none of the problems that these settings name."""
    if not config.rewards.custom:
        return
    own = (problem for setting in settings for problem in own_problems(config, setting))
    if not any(kind_of(problem.kind).needs_function for problem in own):
        raise ConfigError(
            f"rewards.custom = {config.rewards.custom!r}: changes nothing, since no problem of {', '.join(settings)} is of "
            'kind custom; leave it out, or give the problems that it judges "kind": "custom"'
        )


def own_problems(config: Config, setting: str) -> Iterator[Problem]:
    """The user's own problems that a setting names: of files all, of functions those that they are asked for."""
    spec = specs(config)[setting]
    for path in paths_in(spec, empty=True):
        yield from load_problems(path)
    for name in functions_in(spec, empty=True):
        split, seed, rows = call_of_functions(config, setting)
        yield from function_problems(name, rows, split=split, seed=seed)


def call_of_functions(config: Config, setting: str) -> tuple[Split, int, int]:
    """(split, seed, rows) that the functions of tasks.train, tasks.eval, tasks.general or evaluate.further are asked for."""
    tasks, evaluate = config.tasks, config.evaluate
    if setting == "evaluate.further":
        return "eval", tasks.eval_seed, evaluate.further_problems
    left_out = [] if setting == "tasks.general" else tasks_left_out(config)
    names = [name for name in names_in(specs(config)[setting]) if name not in left_out]
    if setting == "tasks.eval":
        return "eval", tasks.eval_seed, share_of(names, evaluate.problems)
    return "train", config.seed, share_of(names, tasks.train_problems)


def specs(config: Config) -> dict[str, str]:
    """The settings that name problems."""
    tasks = config.tasks
    return {
        "tasks.train": tasks.train, "tasks.eval": tasks.eval, "tasks.general": tasks.general,
        "evaluate.further": config.evaluate.further,
    }  # fmt: skip


def check_sharing(config: Config) -> None:
    """Refuse a file that is trained on and asked whole, and a share of a file that is not."""
    shared = [path for path in paths_in(config.tasks.train) if path in paths_in(config.tasks.eval)]
    if shared and not config.tasks.held_out_share:
        raise ConfigError(
            f"{shared[0]} is in tasks.train and in tasks.eval: name another file in one of them, or set "
            "tasks.held_out_share=0.25, so that a quarter of it is for evaluation alone"
        )
    if config.tasks.held_out_share and not shared:
        raise ConfigError(
            f"tasks.held_out_share = {config.tasks.held_out_share}: changes nothing, since no file is in both tasks.train and "
            "tasks.eval"
        )


def isolation_of(config: Config) -> Isolation:
    """Where model-written code runs."""
    rewards = config.rewards
    return Isolation(rewards.unsafe_local, read_packages(rewards.allowed_packages), rewards.remote_sandbox)


def check_gradable(problems: Sequence[Problem], config: Config) -> None:
    """Refuse problems that would end without a verdict on this machine."""
    for problem in problems:
        kind = kind_of(problem.kind)
        if kind.grader is None:
            raise ConfigError(
                f"{problem.place}: kind {problem.kind} is judged by reward models, not by rules: "
                f"leave {problem.task} out of tasks.train and tasks.eval"
            )
        if kind.needs_function and not config.rewards.custom:
            raise ConfigError(f'{problem.place}: kind {kind.name} needs rewards.custom="file.py:function"')
        if kind.needs_judge and not config.judge.model:
            raise ConfigError(f"{problem.place}: kind {kind.name} needs judge.model, the model that judges it")
        if kind.runs_code(problem.fields) and not can_run_code(config, problem.kind):
            raise SandboxUnavailableError(f"{problem.place}: {NOT_ISOLATED.format(tasks=problem.task)}")


def can_run_code(config: Config, kind: str = "code") -> bool:
    """Whether model-written code can be isolated, or need not be. Some kinds may run elsewhere."""
    elsewhere = kind_of(kind).remote and bool(config.rewards.remote_sandbox)
    return config.rewards.unsafe_local or elsewhere or detect_level() in ISOLATING


def tasks_left_out(config: Config) -> list[str]:
    """Tasks that cannot be graded safely: [] where model-written code can be isolated or needs not be.

    Raises:
        SandboxUnavailableError: code is asked for, cannot be isolated, and the recipe does not say it may be skipped.
    """
    named = {*names_in(config.tasks.train), *names_in(config.tasks.eval)}
    needing = sorted(name for name in named if lacks_isolation(name, config))
    if not needing:
        return []
    if config.tasks.skip_code_without_sandbox:
        return needing
    raise SandboxUnavailableError(NOT_ISOLATED.format(tasks=", ".join(needing)))


def lacks_isolation(name: str, config: Config) -> bool:
    """Whether a task runs what a model wrote and there is no safe place for it."""
    if is_gym(name):
        return needs_sandbox(name) and not can_run_code(config, "gym")
    return name in BUILT_IN and BUILT_IN[name].needs_sandbox and not can_run_code(config)


def data_files(config: Config) -> list[Path]:
    """The files that problems and rewards come from, those of a judge included."""
    tasks = (config.tasks.train, config.tasks.eval)
    problems = [*(file for spec in tasks for file in files_in(spec)), *files_in(config.evaluate.further, empty=True)]
    return list(dict.fromkeys([*problems, *function_files(config), *judge_files(config.judge)]))


def function_files(config: Config) -> list[Path]:
    """The files of the user's own functions that rewards come from.

    Raises:
        ConfigError: one is not there.
    """
    named = reward_functions(config)
    files = {key: Path(location.rpartition(":")[0]) for key, location in sorted(named.items())}
    for key, file in files.items():
        if not file.is_file():
            raise ConfigError(f"{key} = {named[key]!r}: there is no file {file}; write FILE.py:FUNCTION")
    return list(files.values())

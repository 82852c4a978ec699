"""What the users' data sets of a run became: said at its beginning, and in a dry run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from cogitate.config import (
    Config,
    FineTuneConfig,
    PreferenceDataConfig,
    PreferenceTrainingConfig,
    RewardModelsConfig,
)
from cogitate.errors import CogitateError
from cogitate.recipe.data.preferences import LABELS, PAIRS
from cogitate.recipe.general_prompts import general_training_problems
from cogitate.recipe.kinds import PREFERENCE_DATA
from cogitate.recipe.models import resolve_input
from cogitate.recipe.problems import call_of_functions, evaluation_problems, further_problems, training_problems
from cogitate.recipe.stage import Stage
from cogitate.tasks.files.datasets import data_file
from cogitate.tasks.files.summary import conversations_summary, labels_summary, pairs_summary, problems_summary, rows_summary
from cogitate.tasks.generators.user_function import file_of, function_problems
from cogitate.tasks.mixture import functions_in, paths_in
from cogitate.types import Problem

OF_MODELS = "r1, of base models free"  # the contract that evaluations judge by
BEYOND = "beyond evaluate.problems, or for training"


def describe_data_sets(config: Config, stages: Sequence[Stage]) -> list[str]:
    """Lines about each file that stages which have still to run read: its counts, three examples, and what was skipped and why.

    A file that cannot be read as what its setting says is named with the reason: to refuse it is for the stages that read it.
    """
    files = {path for stage in stages for path in stage.files(config)}
    preferences = describe_preferences(config, stages, files)
    described = (describe_problems(config, files), describe_inputs(config, stages), preferences)
    lines: list[str] = []
    if config.tasks.too_long == "drop" and stages:
        lines.append(
            "tasks.too_long = drop: prompts that do not fit a model's context are left out; each stage says first how many"
        )
    for of_one_kind in described:
        try:
            lines += of_one_kind
        except CogitateError as error:
            lines.append(f"not described: {error}")
    return lines


def describe_problems(config: Config, files: set[Path]) -> Iterator[str]:
    """The files and functions of tasks.train, tasks.eval, evaluate.further and tasks.general."""
    tasks, evaluate = config.tasks, config.evaluate
    roles: list[tuple[str, str, Callable[[Config], list[Problem]], str, str]] = [
        ("tasks.train", tasks.train, training_problems, "r1", "held out for evaluation, or near copies of what is"),
        ("tasks.eval", tasks.eval, evaluation_problems, OF_MODELS, BEYOND),
        ("evaluate.further", evaluate.further, further_problems, OF_MODELS, "beyond evaluate.further_problems"),
        ("tasks.general", tasks.general, general_training_problems, "free", "not drawn"),
    ]
    for role, spec, gather, contract, rest in roles:
        paths = [path for path in paths_in(spec, empty=True) if path in files]
        functions = [name for name in functions_in(spec, empty=True) if file_of(name) in files]
        used = gather(config) if paths or functions else []
        yield from describe_files(role, paths, used, contract, rest)
        for name in functions:
            yield from describe_function(role, role, name, config, used, contract)


def describe_evaluation(config: Config, contract: str) -> list[str]:
    """Lines about the files of tasks.eval, judged by one contract. Raises what gathering their problems raises."""
    paths, functions = paths_in(config.tasks.eval), functions_in(config.tasks.eval)
    used = evaluation_problems(config) if paths or functions else []
    lines = list(describe_files("tasks", paths, used, contract, BEYOND))
    for name in functions:
        lines += describe_function("tasks", "tasks.eval", name, config, used, contract)
    return lines


def describe_files(role: str, paths: Sequence[Path], used: Sequence[Problem], contract: str, rest: str) -> Iterator[str]:
    """Files of problems, of which those in `used` are asked."""
    for path in paths:
        of_file = [problem for problem in used if problem.place.startswith(f"{data_file(path)}, ")]
        yield from titled(role, problems_summary(path, of_file, contract=contract, rest=rest))


def describe_function(
    role: str, setting: str, name: str, config: Config, used: Sequence[Problem], contract: str
) -> Iterator[str]:
    """A user's function that a setting names: what it gave, of which the problems in `used` are asked."""
    split, seed, rows = call_of_functions(config, setting)
    different = function_problems(name, rows, split=split, seed=seed)
    asked = [problem for problem in used if problem.place.startswith(f"{name}, ")]
    lines = rows_summary(name, rows, len(different), asked, contract=contract, rest="near copies of evaluation problems")
    yield from titled(role, lines)


def describe_inputs(config: Config, stages: Sequence[Stage]) -> Iterator[str]:
    """Data sets given by inputs.STAGE=PATH."""
    conversations = {stage.needs[1] for stage in stages if stage.has(FineTuneConfig)}
    preferences = {need for stage in stages if stage.has(PreferenceTrainingConfig) for need in stage.needs[1:]}
    for name, given in config.inputs.items():
        if name in conversations:
            yield from titled(f"inputs.{name}", conversations_summary(resolve_input(given)))
        elif name in preferences:
            path = resolve_input(given)
            pairs = path / PAIRS if path.is_dir() else path
            yield from titled(f"inputs.{name}", pairs_summary(pairs) if pairs.is_file() else [])
            labels = path / LABELS
            yield from titled(f"inputs.{name}", labels_summary(labels) if labels.is_file() else [])


def describe_preferences(config: Config, stages: Sequence[Stage], files: set[Path]) -> Iterator[str]:
    """Files of preferences and labels."""
    roles: list[tuple[str, str, Callable[[Path], Iterable[str]]]] = []
    if any(PREFERENCE_DATA in stage.kind.sections for stage in stages):
        settings = config.section(PREFERENCE_DATA, PreferenceDataConfig)
        roles += [
            ("preferences.pairs_file", settings.pairs_file, pairs_summary),
            ("preferences.labels_file", settings.labels_file, labels_summary),
        ]
    for stage in stages:
        if stage.has(RewardModelsConfig):
            held_out = config.section(stage.name, RewardModelsConfig).held_out_file
            roles.append((f"{stage.name}.held_out_file", held_out, pairs_summary))
    for role, name, summary in roles:
        if name and Path(name) in files:
            yield from titled(role, summary(Path(name)))


def titled(role: str, lines: Iterable[str]) -> Iterator[str]:
    """The lines, the first of which says what the file is for."""
    for number, line in enumerate(lines):
        yield line if number else f"{role}: {line}"

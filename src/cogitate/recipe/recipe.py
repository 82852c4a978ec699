"""The recipe as data: which stages there are, what each needs, and in which order they run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from cogitate.config import Config, StageRow, ZeroRLConfig
from cogitate.config.layers import OWN
from cogitate.errors import ConfigError
from cogitate.recipe.kinds import (
    ALL_SCENARIO_RL,
    COLD_START_DATA,
    DEMONSTRATIONS,
    DPO,
    EVALUATE,
    FINE_TUNE,
    KINDS,
    PPO,
    PREFERENCES,
    PRETRAIN,
    PRETRAIN_STUDENT,
    PRUNE,
    REASONING_RL,
    REJECTION_SAMPLING,
    REWARD_MODELS,
    RL_ZERO,
)
from cogitate.recipe.stage import GIVEN, Kind, Stage, find, in_words, proposals_for, trained_from

R1_ZERO = (
    Stage("base", PRETRAIN, title="Base"),
    Stage("r1_zero", RL_ZERO, needs=("base",), title="R1-Zero"),
)

# The paper's figure (R1, figure 2 and supplement).
_R1 = (
    *R1_ZERO,
    Stage("cold_start", COLD_START_DATA, needs=("base", "r1_zero"), title="Cold-start data"),
    Stage("r1_dev1", FINE_TUNE, needs=("base", "cold_start"), title="R1-Dev1"),
    Stage("r1_dev2", REASONING_RL, needs=("r1_dev1",), title="R1-Dev2"),
    Stage("sft_data", REJECTION_SAMPLING, needs=("r1_dev2", "base"), title="SFT data"),
    Stage("r1_dev3", FINE_TUNE, needs=("base", "sft_data"), title="R1-Dev3"),
    Stage("reward_models", REWARD_MODELS, needs=("r1_dev3",), title="Reward models"),
    Stage("r1", ALL_SCENARIO_RL, needs=("r1_dev3", "reward_models"), title="R1"),
)

# With its two students by distillation, and the same students by RL alone.
R1 = (
    *_R1,
    Stage("student_base_llama", PRETRAIN_STUDENT, title="Student base (Llama)"),
    Stage("student_base_qwen", PRETRAIN_STUDENT, title="Student base (Qwen)"),
    Stage("r1_distill_llama", FINE_TUNE, needs=("student_base_llama", "sft_data"), title="R1-Distill (Llama)"),
    Stage("r1_distill_qwen", FINE_TUNE, needs=("student_base_qwen", "sft_data"), title="R1-Distill (Qwen)"),
    Stage("student_rl_llama", RL_ZERO, needs=("student_base_llama",), title="Student, RL alone (Llama)"),
    Stage("student_rl_qwen", RL_ZERO, needs=("student_base_qwen",), title="Student, RL alone (Qwen)"),
)

# The same for a given base that has no smaller relative: one student, made of some of base's layers.
R1_PRUNED_STUDENT = (
    *_R1,
    Stage("student_base_llama", PRUNE, needs=("base",), title="Student base (Llama)"),
    Stage("r1_distill_llama", FINE_TUNE, needs=("student_base_llama", "sft_data"), title="R1-Distill (Llama)"),
    Stage("student_rl_llama", RL_ZERO, needs=("student_base_llama",), title="Student, RL alone (Llama)"),
)

# InstructGPT (arXiv:2203.02155, figure 2), the paradigm R1 departs from, and DPO in place of its last two steps.
_INSTRUCTED = (
    Stage("base", PRETRAIN, title="Base"),
    Stage("demonstrations", DEMONSTRATIONS, needs=("base",), title="Demonstrations"),
    Stage("sft", FINE_TUNE, needs=("base", "demonstrations"), title="SFT"),
    Stage("preferences", PREFERENCES, needs=("sft",), title="Preferences"),
)
_DPO = Stage("dpo", DPO, needs=("sft", "preferences"), title="DPO")
INSTRUCT_GPT = (
    *_INSTRUCTED,
    Stage("reward_models", REWARD_MODELS, needs=("sft", "preferences"), title="Reward models"),
    Stage("ppo", PPO, needs=("sft", "reward_models"), title="PPO"),
    _DPO,
)
INSTRUCT_DPO = (*_INSTRUCTED, _DPO)

GRAPHS: dict[str, tuple[Stage, ...]] = {
    "r1_zero": R1_ZERO,
    "r1": R1,
    "r1_pruned_student": R1_PRUNED_STUDENT,
    "instruct_gpt": INSTRUCT_GPT,
    "instruct_dpo": INSTRUCT_DPO,
}


NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # of a stage: a directory, a section of settings and part of a dotted key
# A key of recipe files, and what a run directory holds.
RESERVED = ("extends", "unfinished", "lock", "given", "tensorboard", "wandb")
OF_PYDANTIC = ("model_dump", "model_validate")


def graph_of(config: Config) -> tuple[Stage, ...]:
    """The graph of a recipe: see get_graph."""
    return get_graph(config.graph, config.stages, config.inputs)


def get_graph(name: str, rows: Sequence[StageRow] = (), given: Iterable[str] = ()) -> tuple[Stage, ...]:
    """A graph, each model followed by its evaluation, in an order where needs come first.

    Args:
        name: of a graph of this file, or OWN.
        rows: the stages of a recipe's own graph.
        given: names of the artifacts that the user gives.

    Raises:
        ConfigError: no such graph, or the rows make none.
    """
    if name not in GRAPHS and not (name == OWN and rows):
        raise ConfigError(f"graph = {name!r}: no such graph; did you mean {nearest(name, GRAPHS)}?")
    made, stages = own_graph(rows, given) if rows else GRAPHS[name], list[Stage]()
    for stage in made:
        stages.append(stage)
        if stage.makes_model:
            needs = (stage.name, *proposals_on(made, stage.name))
            stages.append(Stage(f"evaluate.{stage.name}", EVALUATE, needs, f"Measuring {stage.title or stage.name}"))
    return needs_first(stages) if proposals_for(made, [stage.name for stage in made]) else tuple(stages)


def proposals_on(graph: Sequence[Stage], model: str) -> list[str]:
    """The proposals of settings for RL on a model, which is measured at their prompts, too."""
    needs = {need for stage in trained_from(graph, model, ZeroRLConfig) for need in stage.needs}
    return proposals_for(graph, needs)


def recorded_graph(settings: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The graph that a run's config.json names or holds; () of one that this version does not know."""
    try:
        rows = [StageRow.model_validate(row) for row in settings.get("stages", ())]
        return get_graph(str(settings.get("graph")), rows, settings.get("inputs", {}))
    except ValueError:  # also ours
        return ()


def own_graph(rows: Sequence[StageRow], given: Iterable[str] = ()) -> tuple[Stage, ...]:
    """The stages of a recipe's own graph, each after what it needs and otherwise in the order of the rows.

    A need that is no row but given by `inputs.NAME=PATH` becomes a stage that nobody makes.

    Raises:
        ConfigError: a name cannot be used or is used twice, no such kind, or a need is unknown, wrong or in a circle.
    """
    stages = [stage_of(row) for row in rows]
    names = [stage.name for stage in stages]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"stages: two are called {name}; give each a name of its own")
    inputs = frozenset(given)
    ready: list[Stage] = []
    for stage in stages:
        check_count(stage)
        for need, wanted in zip(stage.needs, stage.kind.needs, strict=False):
            if need in inputs and need not in names:
                check_name(need)
                names.append(need)
                ready.append(Stage(need, Kind(GIVEN, "", settings=None, reads=(), makes=wanted.product)))
            elif need not in names:
                raise ConfigError(
                    f"stage {stage.name} needs {need}, which is not a stage of this graph; did you mean "
                    f"{nearest(need, names)}? Where it is a model or a data set of yours, give inputs.{need}=PATH"
                )
    in_order = needs_first([*ready, *stages])
    check_needs(in_order)
    return in_order


def stage_of(row: StageRow) -> Stage:
    """A row as a stage. Raises ConfigError where its name cannot be used or there is no such kind."""
    if row.kind not in KINDS:
        measured = "every model is measured without being asked to; " if row.kind == EVALUATE.name else ""
        raise ConfigError(
            f"stage {row.name}: there is no kind {row.kind}; {measured}did you mean {nearest(row.kind, KINDS)}? "
            f"Kinds are {', '.join(KINDS)}"
        )
    kind = KINDS[row.kind]
    own = kind.sections if kind.settings is None else ()  # a stage may be called as the only section that it reads
    check_name(row.name, {name for one in KINDS.values() for name in one.sections} - set(own))
    return Stage(row.name, kind, row.needs, row.title)


def check_name(name: str, sections: Collection[str] = ()) -> None:
    """Refuse a name that can be no directory or section of settings, or has another meaning, as these sections do."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"stage {name!r}: a name has small letters, digits and underscores, begins with a letter, and has 64 characters "
            "at most"
        )
    if name in {*Config.model_fields, *sections, *RESERVED} or hasattr(Config, name) or name.startswith(OF_PYDANTIC):
        raise ConfigError(f"stage {name}: this name has another meaning in a recipe or a run; choose another one")


def check_count(stage: Stage) -> None:
    """Refuse a stage that needs more or fewer artifacts than its kind reads, or one of them twice."""
    if len(set(stage.needs)) < len(stage.needs):
        raise ConfigError(f"stage {stage.name}: needs names one stage twice: {', '.join(stage.needs)}")
    wanted = stage.kind.needs
    least = sum(not need.optional for need in wanted)
    if not least <= len(stage.needs) <= len(wanted):
        reads = ", then ".join(map(str, wanted)) or "nothing"
        raise ConfigError(f"stage {stage.name}: needs names {len(stage.needs)}, but kind {stage.kind.name} reads: {reads}")


def check_needs(graph: Sequence[Stage]) -> None:
    """Refuse a graph in which a stage needs what its kind cannot read."""
    for stage in graph:
        check_count(stage)
        for name, need in zip(stage.needs, stage.kind.needs, strict=False):
            made_by = find(graph, name).kind
            if made_by.makes != need.product or (need.kinds and made_by.name not in need.kinds):
                raise ConfigError(
                    f"stage {stage.name} needs {name}, a stage of kind {made_by.name} that makes {in_words(made_by.makes)}; "
                    f"kind {stage.kind.name} reads there: {need}"
                )


def needs_first(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The same stages, each after those it needs; among those that may come next, the first.

    Raises:
        ConfigError: some need each other in a circle.
    """
    waiting, placed = list(stages), list[Stage]()
    while waiting:
        names = {stage.name for stage in placed}
        following = next((stage for stage in waiting if names.issuperset(stage.needs)), None)
        if following is None:
            raise ConfigError(f"stages need each other in a circle: {', '.join(stage.name for stage in waiting)}")
        waiting.remove(following)
        placed.append(following)
    return tuple(placed)


def select(
    graph: Sequence[Stage], *, only: str | None = None, until: str | None = None, given: Iterable[str] = ()
) -> tuple[Stage, ...]:
    """The stages a run must have, in graph order.

    Args:
        only: this stage and what it reads directly (which must be there already).
        until: this stage, all it is made from, and their evaluations; of an evaluation, its model and no other evaluation.
        given: stages the user hands in by `inputs.STAGE=PATH`: nothing is made merely to make these.

    Raises:
        ConfigError: a name that is not in the graph (the nearest is named), or both `only` and `until`.
    """
    by_name = {stage.name: stage for stage in graph}
    given = frozenset(given)
    if only is not None and until is not None:
        raise ConfigError("--only and --until exclude each other: give one of them")
    for name in (*given, *filter(None, (only, until))):
        if name not in by_name:
            raise ConfigError(f"{name}: no such stage in this graph; did you mean {nearest(name, by_name)}?")
    if only is not None:
        return tuple(stage for stage in graph if stage.name == only or stage.name in by_name[only].needs)
    needed_by_some = {need for stage in graph if not is_evaluation(stage) for need in stage.needs}
    ends = [until] if until else [s.name for s in graph if s.name not in needed_by_some and not is_evaluation(s)]
    wanted: set[str] = set()
    while ends:
        name = ends.pop()
        if name not in wanted:
            wanted.add(name)
            ends.extend(() if name in given else by_name[name].needs)
    if until and is_evaluation(by_name[until]):
        return tuple(stage for stage in graph if stage.name in wanted)
    return tuple(stage for stage in graph if stage.name in wanted or (is_evaluation(stage) and set(stage.needs) <= wanted))


def is_evaluation(stage: Stage) -> bool:
    """Whether this is `evaluate.<model>`."""
    return stage.name.startswith("evaluate.")


def nearest(word: str, words: Iterable[str]) -> str:
    """The known word most like a mistyped one."""
    return difflib.get_close_matches(word, list(words), n=1, cutoff=0.0)[0]

"""The recipe as data: which stages there are, what each needs, and in which order they run."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from cogitate.errors import ConfigError
from cogitate.recipe.kinds import (
    ALL_SCENARIO_RL,
    COLD_START_DATA,
    DEMONSTRATIONS,
    DPO,
    EVALUATE,
    FINE_TUNE,
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
from cogitate.recipe.stage import Stage

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


def get_graph(name: str) -> tuple[Stage, ...]:
    """A graph by name, each model followed by its evaluation, in an order where needs come first."""
    if name not in GRAPHS:
        raise ConfigError(f"graph = {name!r}: no such graph; did you mean {nearest(name, GRAPHS)}?")
    stages: list[Stage] = []
    for stage in GRAPHS[name]:
        stages.append(stage)
        if stage.makes_model:
            stages.append(Stage(f"evaluate.{stage.name}", EVALUATE, (stage.name,), f"Measuring {stage.title}"))
    return tuple(stages)


def select(
    graph: Sequence[Stage], *, only: str | None = None, until: str | None = None, given: Iterable[str] = ()
) -> tuple[Stage, ...]:
    """The stages a run must have, in graph order.

    Args:
        only: this stage and what it reads directly (which must be there already).
        until: this stage, all it is made from, and their evaluations.
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
    return tuple(stage for stage in graph if stage.name in wanted or (is_evaluation(stage) and set(stage.needs) <= wanted))


def is_evaluation(stage: Stage) -> bool:
    """Whether this is `evaluate.<model>`."""
    return stage.name.startswith("evaluate.")


def nearest(word: str, words: Iterable[str]) -> str:
    """The known word most like a mistyped one."""
    return difflib.get_close_matches(word, list(words), n=1, cutoff=0.0)[0]

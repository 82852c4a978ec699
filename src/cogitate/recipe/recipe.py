"""The recipe as data: which stages there are, what each needs, and in which order they run."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from cogitate.config import Config
from cogitate.errors import ConfigError
from cogitate.recipe.context import StageContext
from cogitate.types import Artifact


class StageModule(Protocol):
    """What a stage's file offers. It may also offer

    - `files(config) -> list[Path]`: the data files it reads; their content is part of the artifact's id, their place is not.
    - `check(config, stage) -> None`: refuse settings and data it cannot work with (raising our errors); called for every stage
      of a run before the first of them spends time.

    Attributes:
        VERSION: raised by whoever changes what the stage computes; artifacts of other versions are not reused.
        SECTIONS: every setting that can change its result: names of sections ("rewards"), of plain keys ("seed") or single
            dotted keys ("runtime.dtype"). "{stage}" stands for the section named like the stage itself.
    """

    VERSION: int
    SECTIONS: tuple[str, ...]

    def run(self, config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any] | None:
        """Read only `inputs`, write only `out`. The result, if any, is a summary kept in the manifest.

        A stage that stops early by itself says why: {"stopped_early": "20 steps in a row without a learning signal"}.
        """


@dataclass(frozen=True, slots=True)
class Stage:
    """One box of the paper's figure.

    Attributes:
        name: also its directory in a run, and the name of its section of settings.
        module: its file in recipe/, imported only when it is needed, so that `--help` need not wait for torch.
        needs: the stages whose artifacts it reads, the model it starts from first.
        is_model: its artifact is a Hugging Face directory, so `evaluate.<name>` measures it.
        may_be_shipped: an artifact that the package ships under this name is this stage's.
    """

    name: str
    module: str
    needs: tuple[str, ...] = ()
    is_model: bool = True
    may_be_shipped: bool = True

    def load(self) -> StageModule:
        """Import the stage's file."""
        return cast(StageModule, importlib.import_module(self.module))


R1_ZERO = (
    Stage("base", "cogitate.recipe.stages.pretrain"),
    Stage("r1_zero", "cogitate.recipe.stages.r1_zero", needs=("base",)),
)

# The paper's figure, its two students by distillation, and the same students by RL alone (R1, figure 2 and supplement).
R1 = (
    *R1_ZERO,
    Stage("cold_start", "cogitate.recipe.stages.cold_start_data", needs=("base", "r1_zero"), is_model=False),
    Stage("r1_dev1", "cogitate.recipe.stages.cold_start_sft", needs=("base", "cold_start")),
    Stage("r1_dev2", "cogitate.recipe.stages.reasoning_rl", needs=("r1_dev1",)),
    Stage("sft_data", "cogitate.recipe.stages.rejection_sampling", needs=("r1_dev2", "base"), is_model=False),
    Stage("r1_dev3", "cogitate.recipe.stages.sft", needs=("base", "sft_data")),
    Stage("reward_models", "cogitate.recipe.stages.reward_models", needs=("r1_dev3",), is_model=False),
    Stage("r1", "cogitate.recipe.stages.all_scenario_rl", needs=("r1_dev3", "reward_models")),
    Stage("student_base_llama", "cogitate.recipe.stages.student_base"),
    Stage("student_base_qwen", "cogitate.recipe.stages.student_base"),
    Stage("r1_distill_llama", "cogitate.recipe.stages.distill", needs=("student_base_llama", "sft_data")),
    Stage("r1_distill_qwen", "cogitate.recipe.stages.distill", needs=("student_base_qwen", "sft_data")),
    Stage("student_rl_llama", "cogitate.recipe.stages.r1_zero", needs=("student_base_llama",)),
    Stage("student_rl_qwen", "cogitate.recipe.stages.r1_zero", needs=("student_base_qwen",)),
)

# The same for a given base that has no smaller relative: one student, made of some of base's layers.
R1_PRUNED_STUDENT = (
    *(stage for stage in R1 if "student" not in stage.name and "distill" not in stage.name),
    Stage("student_base_llama", "cogitate.recipe.stages.student_layers", needs=("base",), may_be_shipped=False),
    Stage("r1_distill_llama", "cogitate.recipe.stages.distill", needs=("student_base_llama", "sft_data")),
    Stage("student_rl_llama", "cogitate.recipe.stages.r1_zero", needs=("student_base_llama",)),
)

# InstructGPT (arXiv:2203.02155, figure 2), the paradigm R1 departs from, and DPO in place of its last two steps.
_INSTRUCTED = (
    Stage("base", "cogitate.recipe.stages.pretrain"),
    Stage("demonstrations", "cogitate.recipe.stages.demonstrations", needs=("base",), is_model=False),
    Stage("sft", "cogitate.recipe.stages.sft", needs=("base", "demonstrations")),
    Stage("preferences", "cogitate.recipe.stages.preferences", needs=("sft",), is_model=False),
)
_DPO = Stage("dpo", "cogitate.recipe.stages.dpo", needs=("sft", "preferences"))
INSTRUCT_GPT = (
    *_INSTRUCTED,
    Stage("reward_models", "cogitate.recipe.stages.reward_models", needs=("sft", "preferences"), is_model=False),
    Stage("ppo", "cogitate.recipe.stages.ppo", needs=("sft", "reward_models")),
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
        if stage.is_model:
            stages.append(Stage(f"evaluate.{stage.name}", "cogitate.recipe.stages.evaluate", (stage.name,), is_model=False))
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

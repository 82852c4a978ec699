"""A recipe's settings as one frozen, validated object."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationInfo, create_model, field_validator

from cogitate.config.cluster import ClusterConfig
from cogitate.config.section import Section, in_identity_unless_default, not_in_identity
from cogitate.config.shared import EvaluateConfig, JudgeConfig, RewardsConfig, RuntimeConfig, TasksConfig, TokenizerConfig

S = TypeVar("S", bound=Section)


class StageRow(Section):
    """A stage of a recipe's own graph: [[stages]] in its file. Its settings are in the section of its name."""

    name: str
    kind: str  # of recipe/kinds.py
    needs: tuple[str, ...] = ()  # names of stages, or of what is given by inputs.NAME=PATH
    title: str = ""  # for readers; the name where there is none


class Config(Section):
    """What every recipe has; `config_with` adds a section for each stage of a recipe's graph."""

    graph: str = "r1_zero"
    stages: tuple[StageRow, ...] = in_identity_unless_default(())  # instead of a graph of recipe/recipe.py
    seed: int = 0
    tasks: TasksConfig = TasksConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: dict[str, Any] = Field(default_factory=dict)  # a Hugging Face config.json, checked by model/config.py
    rewards: RewardsConfig = RewardsConfig()
    judge: JudgeConfig = JudgeConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    cluster: ClusterConfig = ClusterConfig()
    tracking: Literal["", "wandb", "trackio"] = not_in_identity("")  # where metrics go as well: apps/tracking.py
    inputs: dict[str, str] = Field(default_factory=dict)  # inputs.STAGE=PATH: take a stage's output from there

    @field_validator("cluster")
    @classmethod
    def _a_cluster_is_worked_on(cls, cluster: ClusterConfig, info: ValidationInfo) -> ClusterConfig:
        runtime = info.data.get("runtime")
        if isinstance(runtime, RuntimeConfig) and runtime.backend != "ray" and cluster != ClusterConfig():
            raise ValueError('has no effect with runtime.backend = "local": set runtime.backend=ray, or leave it out')
        rewards = info.data.get("rewards")
        if cluster.graders and isinstance(rewards, RewardsConfig) and any(part.file for part in rewards.parts.values()):
            raise ValueError("graders are on nodes that lack the files of your own rewards.parts: leave one of the two out")
        return cluster

    def section(self, name: str, kind: type[S]) -> S:
        """A stage's section, which is of this class."""
        section = getattr(self, name)
        assert isinstance(section, kind), f"{name} is a {type(section).__name__}, not a {kind.__name__}"
        return section

    def __reduce__(self) -> tuple[Any, ...]:
        """Classes with sections are made while a program runs, so that pickle could not find them by name."""
        added = {name: type(getattr(self, name)) for name in type(self).model_fields if name not in Config.model_fields}
        return _restore, (tuple(added.items()), self.model_dump())


@lru_cache(maxsize=64)
def config_with(sections: tuple[tuple[str, type[Section]], ...]) -> type[Config]:
    """The Config with further sections, each at its defaults where nothing is said; one class for equal sections."""
    fields: dict[str, Any] = {name: (section, section()) for name, section in sections}
    return create_model("Config", __base__=Config, **fields)


def _restore(sections: tuple[tuple[str, type[Section]], ...], values: dict[str, Any]) -> Config:
    return config_with(sections).model_validate(values)

"""Settings of stages that measure what other stages or experiments build on."""

from __future__ import annotations

from pydantic import Field, field_validator

from cogitate.config.section import Section


class PassRatesConfig(Section):
    """How often a model solves each training problem, before RL begins (Kimi k1.5, arXiv:2501.12599, section 2.1)."""

    samples: int = Field(10, ge=1)  # completions of each problem [10]
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)


class DrawsConfig(Section):
    """Many completions of general prompts, for best-of-n."""

    prompts: int = Field(100, ge=2)
    samples: int = Field(512, ge=2)  # of each: the largest n
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(96, ge=1)


class SearchCurvesConfig(Section):
    """Accuracy over tokens of ways to choose among several attempts (docs/search.md)."""

    methods: tuple[str, ...] = ("weighted_vote", "best_of_n", "step_beam", "mcts")  # beside majority vote
    n: int = Field(16, ge=1)  # measured at 1, 2, 4 ... up to this
    problems: int = Field(200, ge=1)
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    step_tokens: int = Field(64, ge=1)  # of a step, at most
    width: int = Field(4, ge=1)  # continuations of each step
    c_puct: float = Field(1.25, ge=0)
    verifications: int = Field(3, ge=1)

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(methods)) < len(methods):
            raise ValueError("a method is named twice")
        return methods

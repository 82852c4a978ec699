"""Settings of the stage kinds that make a model think shorter."""

from __future__ import annotations

from pydantic import Field

from cogitate.config.section import Section


class MergeConfig(Section):
    """The weights of two models, averaged."""

    share: float = Field(0.5, gt=0, lt=1)  # of the first model


class LengthPairsConfig(Section):
    """Preferences for short right completions (Kimi k1.5, section 2.4)."""

    problems: int = Field(400, ge=1)  # training problems that are asked
    samples: int = Field(8, ge=2)  # completions of each [8]
    pairs_per_problem: int = Field(2, ge=1)  # the rejected ones that are furthest from the chosen one in length
    longer: float = Field(1.5, ge=1)  # a right completion is rejected if it has more than so many times the tokens [1.5]
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)

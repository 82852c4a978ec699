"""What a probe may spend, and which settings of RL it may propose."""

from __future__ import annotations

from pydantic import Field

from cogitate.config.section import Section

# Settings of ZeroRLConfig that a probe proposes where nobody sets them.
PROPOSED = (
    "prompt",
    "open_thinking",
    "worked_examples",
    "group_size",
    "prompts_per_step",
    "max_new_tokens",
    "temperature",
    "learning_rate",
    "steps",
    "easy_first_steps",
    "dynamic_sampling",
)


class ProbeConfig(Section):
    """A look at a model before RL: its completions of training problems at several prompts, and settings that follow."""

    minutes: float = Field(20.0, gt=0)  # of RL, from which its steps are proposed
    problems: int = Field(40, ge=4)  # training problems that each prompt is measured on
    sources: int = Field(16, ge=0)  # further ones, whose right completions become worked examples
    samples: int = Field(4, ge=2)  # completions of each, at each prompt
    max_new_tokens: int = Field(128, ge=1)  # the longest completion that is sampled, and that can be proposed
    examples: int = Field(5, ge=0)  # worked examples that are made: one for each operation, one of several steps; 0: none
    tokens_per_second: float = Field(0.0, ge=0)  # of generation; 0: as it is measured

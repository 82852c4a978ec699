"""Settings of stages that make data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from cogitate.config.section import Section, in_identity_unless_default
from cogitate.config.shared import EndpointConfig


class ColdStartConfig(Section):
    """The four collectors of cold-start data (R1, section 2.3.1 and supplement)."""

    problems: int = Field(200, ge=1)  # training problems each collector asks
    samples: int = Field(4, ge=1)  # completions of each
    per_problem: int = Field(1, ge=1)  # rows kept of each problem and collector
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    review: str = ""  # of people: {"id": ..., "decision": "accept" | "edit" | "reject", "text": ...} a line; or a studio
    use_contested: bool = in_identity_unless_default(False)  # learn also what people accept against the verdict
    items: str = (
        ""  # the items.jsonl of an earlier run, or its studio, as reviewed: its candidates are taken in place of asking again
    )

    @field_validator("review")
    @classmethod
    def _log_of_a_studio(cls, value: str) -> str:
        """A studio's directory is named by the log in it, of which the decisions are read."""
        return str(Path(value) / "events.jsonl") if value and Path(value).is_dir() else value

    @field_validator("items")
    @classmethod
    def _items_of_a_directory(cls, value: str) -> str:
        """A studio or an artifact is named by the items in it."""
        return str(Path(value) / "items.jsonl") if value and Path(value).is_dir() else value

    @model_validator(mode="after")
    def _contested_by_a_review(self) -> ColdStartConfig:
        if self.use_contested and not self.review:
            raise ValueError("use_contested has no effect without review; leave it out")
        return self


class RejectionConfig(Section):
    """Rejection sampling for SFT data (R1, section 2.3.3)."""

    problems: int = Field(1200, ge=1)  # reasoning prompts
    samples: int = Field(4, ge=1)
    per_problem: int = Field(1, ge=1)  # correct and readable completions kept of each, as `prefer` says
    # shortest: Kimi k1.5's long2short. least_work: of programs those that execute the fewest instructions.
    prefer: Literal["different", "shortest", "least_work"] = in_identity_unless_default("different")
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    general_share: float = Field(0.25, ge=0, lt=1)  # of all rows [about 200 k of 800 k]
    overlap_ngram: int = Field(13, ge=2)  # words; decontamination of real text
    overlap_limit: float = Field(0.5, gt=0, le=1)  # share of n-grams a row may share with an evaluation problem
    compare_templates: bool = True  # of real text: a problem of the evaluation with other numbers is dropped
    smallest_kept_share: float = Field(0.5, ge=0, le=1)  # decontamination that drops more than the rest is refused


class WriteTestsConfig(EndpointConfig):
    """Tests of programming problems that a model proposes as values: the one behind base_url, or the stage's own."""

    problems: int = Field(100, ge=1)  # of kind code
    programs: int = Field(10, ge=1)  # that the stage's model writes for each; good are those that pass its tests
    proposals: int = Field(2, ge=0)  # replies of the author for each problem
    cases: int = Field(8, ge=1)  # asked for in each
    changed_values: int = Field(16, ge=0)  # cases beside the author's: public ones with a small change
    mutants: int = Field(30, ge=1)  # of a problem's good programs
    most: int = Field(8, ge=1)  # cases kept of each problem
    slow_seconds: float = Field(1.0, gt=0)  # of processor time: a case for which a good program needs more is slow
    efficiency: float = Field(0.0, ge=0, le=1)  # of the written problems: what part of a right program's score its work is
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)  # of a program
    author_max_new_tokens: int = Field(512, ge=1)

    @model_validator(mode="after")
    def _cases_come_from_somewhere(self) -> WriteTestsConfig:
        if not self.proposals and not self.changed_values:
            raise ValueError("proposals and changed_values are both 0: no case would be proposed")
        return self


class PreferenceDataConfig(Section):
    """Candidate answers of the stage's model, compared in pairs and labelled safe or unsafe (R1, supplement)."""

    pairs: int = Field(1500, ge=1)  # wanted; at most so many prompts are asked for them [66 k]
    samples: int = Field(4, ge=2)  # candidates of each prompt
    pairs_per_prompt: int = Field(2, ge=1)
    safety_prompts: int = Field(1000, ge=1)  # [106 k]
    unsafe_share: float = Field(0.2, ge=0, lt=0.5)  # of the labelled completions: harmful prompts are asked again until then
    judgements: int = Field(4, ge=2, multiple_of=2)  # of each pair, half of them with positions swapped [4]
    judge_noise: float = Field(0.1, ge=0)  # deviation of one judgement of a completion's true score
    position_bias: float = Field(0.05, ge=0)  # what the judge adds to the completion it reads first
    margin: float = Field(0.1, ge=0)  # pairs whose mean gap is smaller are dropped
    length_ratio: float = Field(2.0, ge=1)  # the longer answer of a pair has at most so many times the tokens
    temperature: float = Field(1.0, gt=0)
    max_new_tokens: int = Field(96, ge=1)
    pairs_file: str = ""  # preferences in TRL's format instead of drawn ones (prompt, chosen, rejected)
    labels_file: str = ""  # labelled completions instead of drawn ones (prompt, completion, label: true is safe), or such pairs


class DemonstrationsConfig(Section):
    """Conversations to begin with: the base model's own answers to general prompts that a judge found good."""

    problems: int = Field(600, ge=1)
    samples: int = Field(4, ge=1)
    threshold: float = Field(0.5, ge=0, le=1)  # of the judged helpfulness; the best answer above it is kept
    temperature: float = Field(0.8, gt=0)
    max_new_tokens: int = Field(96, ge=1)

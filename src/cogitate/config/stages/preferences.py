"""Settings of stages that learn from preferences and labels: reward models, process reward models, DPO."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cogitate.config.section import Section, in_identity_unless_default, not_in_identity


class PreferenceTrainingConfig(Section):
    """The loop over preferences: reward models and DPO."""

    epochs: int = Field(1, ge=1)
    batch: int = Field(32, ge=1)  # pairs, or labelled completions, of an optimiser step
    micro_tokens: int = Field(4096, ge=1)  # padded tokens of a forward and backward pass
    learning_rate: float = Field(3e-4, gt=0)
    final_learning_rate: float = Field(3e-5, ge=0)
    warmup_steps: int = Field(5, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    checkpoint_every: int = not_in_identity(50, ge=1)


class RewardModelsConfig(PreferenceTrainingConfig):
    """Pairwise helpfulness and pointwise safety models (R1, supplement: batch 256, lr 6e-6, one epoch)."""

    held_out_share: float = Field(0.1, gt=0, lt=1)  # of the prompts
    held_out_file: str = in_identity_unless_default("")  # further pairs that helpfulness is measured on, never learnt from
    # Tokens of a text, prompt included; longer ones are left out. 0: the context.
    longest: int = in_identity_unless_default(0, ge=0)
    # Helpfulness learns from as many pairs whose better answer is the longer one as from those where it is the shorter one.
    balance_lengths: bool = in_identity_unless_default(False)
    # Models of helpfulness, and as many of safety, that learn the same in other orders and from other heads (arXiv:2310.02743).
    members: int = in_identity_unless_default(1, ge=1)
    # What they say together. mean; worst: the least; uncertainty: the mean less variance_weight times the members' variance.
    score: Literal["mean", "worst", "uncertainty"] = in_identity_unless_default("mean")
    variance_weight: float = in_identity_unless_default(0.5, ge=0)

    @model_validator(mode="after")
    def _members_have_something_to_combine(self) -> RewardModelsConfig:
        if self.members == 1 and self.score != "mean":
            raise ValueError(f"score = {self.score} changes nothing with members = 1; set members = 3, or leave it out")
        default = type(self).model_fields["variance_weight"].default
        if self.score != "uncertainty" and self.variance_weight != default:
            raise ValueError(f"variance_weight belongs to score = uncertainty, and score is {self.score}; leave it out")
        return self


OF_SAMPLING = ("problems", "samples", "temperature", "top_p", "max_new_tokens")  # of ProcessRewardModelConfig


class ProcessRewardModelConfig(PreferenceTrainingConfig):
    """Steps of the policy's completions, what each is worth, and the loop that learns it; `batch` counts completions."""

    epochs: int = Field(3, ge=1)
    batch: int = Field(16, ge=1)
    # monte_carlo: continuations from each step (Math-Shepherd). bisection: the first wrong step (OmegaPRM). checker: what the
    # text states, by a program. outcome: the verdict alone, at the end. file: a file of the user's.
    labels: Literal["monte_carlo", "bisection", "checker", "outcome", "file"] = "monte_carlo"
    steps_file: str = ""  # TRL's stepwise format: prompt, completions, labels
    step_separator: str = "\n"  # between the steps of such a file
    soft: bool = False  # monte_carlo: the share of right continuations in place of "any is right"
    rollouts: int = Field(8, ge=1)  # continuations from a step
    problems: int = Field(300, ge=2)  # training problems
    samples: int = Field(4, ge=1)  # completions of each
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    step_form: Literal["sentences", "lines", "paragraphs"] = "sentences"  # what ends a step
    score: Literal["last", "minimum", "product", "mean"] = "minimum"  # of a solution, from those of its steps
    held_out_share: float = Field(0.2, gt=0, lt=1)  # of the prompts
    chunk: int = not_in_identity(256, ge=1)  # completions whose labels are found between two points a kill goes back to

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> ProcessRewardModelConfig:
        if (self.labels == "file") != bool(self.steps_file):
            raise ValueError("labels = file and steps_file go together: set both or none")
        of_rollouts = () if self.labels in ("monte_carlo", "bisection") else ("rollouts",)
        of_one = () if self.labels == "monte_carlo" else ("soft",)
        of_file = OF_SAMPLING if self.labels == "file" else ("step_separator",)
        of_steps = ("score",) if self.labels == "outcome" else ()
        for key in (*of_rollouts, *of_one, *of_file, *of_steps):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} changes nothing with labels = {self.labels}; leave it out")
        return self


class DPOConfig(PreferenceTrainingConfig):
    """Direct preference optimisation (arXiv:2305.18290), its conservative form, or IPO (arXiv:2310.12036)."""

    loss: Literal["dpo", "conservative_dpo", "ipo"] = "dpo"
    beta: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)  # of conservative_dpo: the share of pairs taken to be the wrong way round

    @model_validator(mode="after")
    def _smoothing_belongs_to_one_loss(self) -> DPOConfig:
        if self.label_smoothing and self.loss != "conservative_dpo":
            raise ValueError(f"label_smoothing belongs to loss conservative_dpo, and loss is {self.loss}")
        return self

"""Settings of stages that learn next tokens: pretraining, students, SFT."""

from __future__ import annotations

import itertools
from typing import Any, Literal

from pydantic import Field, model_validator

from cogitate.config.section import Section, in_identity_unless_default, not_in_identity


class SupervisedConfig(Section):
    """Next-token training on packed rows: pretraining, SFT and distillation are the same loop."""

    rows: int = Field(32, ge=1)  # packed rows per optimiser step
    row_tokens: int = Field(256, ge=16)
    micro_rows: int = Field(16, ge=1)  # rows per forward and backward pass
    # muon: matrices by it, the rest by AdamW; muon_bfloat16: in bfloat16 where a processor is faster in it (other last digits)
    optimiser: Literal["adamw", "muon", "muon_bfloat16"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0)
    final_learning_rate: float = Field(2e-4, ge=0)
    warmup_steps: int = Field(50, ge=0)
    weight_decay: float = Field(0.1, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    mtp_weight: float = Field(0.3, ge=0)
    router_bias_step: float = Field(0.001, ge=0)  # gamma, the speed of the bias that balances experts
    checkpoint_every: int = not_in_identity(200, ge=1)


class PretrainConfig(SupervisedConfig):
    """The base stage: next-token and multi-token prediction over the generated corpus (DeepSeek-V3, section 4)."""

    seed: int = 0  # of its own, so that runs of several seeds start from one base model
    steps: int = Field(1500, ge=1)
    held_out_documents: int = Field(500, ge=1)
    held_out_every: int = not_in_identity(250, ge=1)
    puzzles: float = in_identity_unless_default(0.0, ge=0, le=1)  # share of documents about the puzzles of tasks/puzzles
    guessers: float = in_identity_unless_default(0.7, ge=0, le=0.7)  # share of the puzzles' authors who guess
    going_back: bool = in_identity_unless_default(True)  # whether any of them rejects a try and goes on, or mends a slip

    @model_validator(mode="after")
    def _who_solves_puzzles_that_are_there(self) -> PretrainConfig:
        for name in ("guessers", "going_back"):
            if not self.puzzles and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is about who has solved puzzles, and puzzles = 0: nobody has; set puzzles as well")
        return self


class StudentBaseConfig(PretrainConfig):
    """A dense student's base model, pretrained on the corpus the base model read."""

    model: dict[str, Any] = Field(default_factory=dict)  # a Hugging Face config.json
    # Of base, instead of pretraining; only of kind prune.
    every_nth_layer: int = in_identity_unless_default(0, ge=0)


class PruneConfig(StudentBaseConfig):
    """A student made of a part of base, and how it goes on from there: pretraining on texts that base writes.

    Without texts the settings of pretraining have no effect and are no part of artifact ids.
    """

    kept_neurons: float = in_identity_unless_default(1.0, gt=0, le=1)  # share of each feed-forward's inner width; needs texts
    texts: int = Field(0, ge=0)  # that base writes at temperature 1, one in ten held out; 0: no pretraining
    text_tokens: int = Field(128, ge=8)  # that it writes of a text at most
    # How a text begins: base goes on from one of them.
    openings: tuple[str, ...] = ("The", "A", "In", "There", "When", "If", "How", "What", "She", "I")
    steps: int = Field(200, ge=1)
    rows: int = Field(8, ge=1)
    micro_rows: int = Field(8, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    final_learning_rate: float = Field(3e-5, ge=0)
    warmup_steps: int = Field(10, ge=0)
    mtp_weight: float = Field(0.0, ge=0)

    def identity(self) -> dict[str, Any]:
        kept = super().identity()
        return kept if self.texts else {name: kept[name] for name in ("every_nth_layer",) if name in kept}

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> PruneConfig:
        if self.kept_neurons < 1 and not self.texts:
            raise ValueError("kept_neurons keeps those that are most active in texts of base: set texts, 200 for example")
        if self.texts == 1:
            raise ValueError("texts = 1: give at least 2, since one in ten is held out")
        if not self.openings or not all(self.openings):
            raise ValueError(f"openings = {list(self.openings)}: give at least one text, and no empty one")
        return self


class BranchesConfig(StudentBaseConfig):
    """One pretraining run at a constant rate, cooled down at several lengths (arXiv:2405.18392)."""

    lengths: tuple[int, ...] = (250, 500, 1000, 2000)  # steps of each branch, its cool-down included
    cooldown: float = Field(0.2, gt=0, le=1)  # share of a length over which the rate falls to final_learning_rate [0.2]
    twin_problems: int = Field(100, ge=1)  # whose gold answers' log-probability is measured

    @property
    def forks(self) -> list[int]:
        """The step at which each length's branch leaves the trunk."""
        return [length - max(1, round(self.cooldown * length)) for length in self.lengths]

    @property
    def trained_steps(self) -> int:
        """Of the trunk and all branches together."""
        return self.forks[-1] + sum(self.lengths) - sum(self.forks)

    @model_validator(mode="after")
    def _lengths_rise_and_are_the_steps(self) -> BranchesConfig:
        if not self.lengths or any(b <= a for a, b in itertools.pairwise((0, *self.lengths))):
            raise ValueError(f"lengths = {list(self.lengths)}: give at least one number of steps, in rising order")
        if self.steps != type(self).model_fields["steps"].default:
            raise ValueError("steps has no effect here: lengths are the steps; leave it out")
        return self


class FineTuneConfig(SupervisedConfig):
    """SFT on conversations (R1, supplement B.4.3): whole epochs over packed rows."""

    epochs: int = Field(2, ge=1)

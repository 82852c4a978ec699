"""Reader: what settings, and a run that has been made, say of a stage's model and of the completions that it draws.

What settings do not say (how long completions are, how many rows a data stage keeps) is guessed and noted, or taken from a run
that has been made (`--like RUN`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.plan.measured import Measured
from cogitate.apps.plan.models import find_shape
from cogitate.apps.plan.work import StageWork, Work
from cogitate.apps.plan.workloads.given import given_model, members_given
from cogitate.config import Config, PromptConfig, PruneConfig, RewardModelsConfig, RLConfig, StudentBaseConfig, ZeroRLConfig
from cogitate.costs.generation import Sampling
from cogitate.costs.lengths import UNKNOWN_LENGTH, Lengths, usual_mean
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.recipe.stage import Stage, find

PROMPT_TOKENS = 100.0  # of a problem in its template
CHARACTERS = 4.0  # of a token
EXAMPLE_TOKENS = 25.0  # of what stands around the parts of a worked example
PROBED_TOKENS = 300.0  # of the worked examples that a probe makes
QUESTION_TOKENS = 60.0  # of a prompt those that are its own, where all begin alike


@dataclass(frozen=True, slots=True)
class Drawn:
    """Completions that a stage draws, what was guessed of them, and the deviation of time that comes from it."""

    sampling: Sampling
    notes: tuple[str, ...] = ()
    further: float = 0.0

    def work(self, shape: Shape, at_a_time: float = math.inf, graded: float = 1.0) -> Work:
        return Work(shape, 1, sampling=self.sampling, at_a_time=at_a_time, graded=graded)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads settings as work.

    Attributes:
        model: a published model's name, in place of the recipe's base.
        there: stages that need not be made -> why.
    """

    graph: Sequence[Stage]
    config: Config
    model: str
    measured: Measured
    there: Mapping[str, str]

    def nothing_to_do(self, stage: Stage) -> StageWork | None:
        """Of a stage that is given, or is there; None of others."""
        if stage.name in self.config.inputs:
            shape, note = self.given(stage.name) if stage.makes_model else (None, "")
            return StageWork(stage, shape, (), ("given", *filter(None, (note,))))
        if stage.name in self.there:
            return StageWork(stage, self.shape_of(stage.name), (), (self.there[stage.name],))
        return None

    def model_of(self, stage: Stage) -> str | None:
        """The stage whose model this one works with: the first model among its needs, else what else has weights."""
        for products in (("model",), ("reward models", "process reward model"), ("draws",)):
            for need in stage.needs:
                if find(self.graph, need).kind.makes in products:
                    return need
        return None

    def shape_of(self, name: str) -> Shape | None:
        """The model that a stage makes, or works with; None where none is known."""
        stage = find(self.graph, name)
        if name in self.config.inputs:
            has_weights = stage.kind.makes in ("model", "reward models", "process reward model")
            return self.given(name)[0] if has_weights else None
        if stage.kind.name == "pretrain":
            return find_shape(self.model)[0] if self.model else self.made_shape(self.config.model, "model")
        if stage.kind.name in ("pretrain_student", "pretrain_branches"):
            return self.made_shape(self.config.section(name, StudentBaseConfig).model, f"{name}.model")
        need = self.model_of(stage)
        parent = self.shape_of(need) if need else None
        if stage.kind.name == "prune" and parent is not None:
            settings = self.config.section(name, PruneConfig)
            every = max(1, settings.every_nth_layer)
            return Shape(
                **{
                    **shape_fields(parent),
                    "layers": -(-parent.layers // every),
                    "dense_layers": -(-parent.dense_layers // every),
                    "inner": round(settings.kept_neurons * parent.inner),
                }
            )
        return parent

    def made_shape(self, table: Mapping[str, Any], place: str) -> Shape:
        if not table:
            raise ConfigError(
                f"{place}: names no architecture, so there is nothing to plan; give its config.json's keys or --model"
            )
        try:
            return Shape.from_config({"vocab_size": self.config.tokenizer.vocab_size, **table})
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from error

    def given(self, name: str) -> tuple[Shape, str]:
        """The shape of a model that the user gives, and a note where it is a guess."""
        if self.model and find(self.graph, name).makes_model:
            return find_shape(self.model)
        return given_model(name, self.config.inputs[name])

    def need(self, stage: Stage) -> Shape:
        """The shape of the model that a stage works with."""
        shape = self.shape_of(self.model_of(stage) or stage.name)
        assert shape is not None, stage.name
        return shape

    def members(self, name: str) -> int:
        """Models that are read as one where stage `name` makes reward models; 1 of any other."""
        stage = find(self.graph, name)
        if not stage.has(RewardModelsConfig):
            return 1
        if name in self.config.inputs:
            return members_given(Path(self.config.inputs[name]))
        return self.config.section(name, RewardModelsConfig).members

    def mean_length(self, stage: str, limit: int) -> tuple[float, tuple[str, ...], float]:
        """The mean length of completions, with its note and deviation."""
        known = self.measured.of(stage, "completion_tokens") or self.measured.of(stage, "pair_completion_tokens")
        if known is not None:
            return min(known, limit), (self.measured.note,) if self.measured.note else (), 0.0
        mean = usual_mean(limit)
        return mean, (f"completions of {mean:.0f} tokens on average, of at most {limit}, are a guess",), UNKNOWN_LENGTH

    def prompt_tokens(self, stage: str, asked: PromptConfig | None = None) -> float:
        """Of a prompt, with the template and the worked examples that settings show."""
        known = self.measured.of(stage, "prompt_tokens")
        if known is not None:
            return known
        return self.usual_prompt() + shown_tokens(asked)

    def usual_prompt(self) -> float:
        """Tokens of a problem in a usual template: as RL that shows nothing more has measured them, else a guess."""
        plain = [
            one.name for one in self.graph if one.has(RLConfig) and not shown_tokens(self.config.section(one.name, RLConfig))
        ]
        known = [self.measured.of(name, "prompt_tokens") for name in plain]
        return min((tokens for tokens in known if tokens), default=PROMPT_TOKENS)

    def prefix(self, stage: str, asked: PromptConfig | None) -> float:
        """Tokens that all prompts of a stage begin with: of what is shown before the question."""
        return max(0.0, self.prompt_tokens(stage, asked) - QUESTION_TOKENS) if shown_tokens(asked) else 0.0

    def sampling(
        self, stage: str, prompts: float, samples: float, limit: int, *, asked: PromptConfig | None = None, like: str = ""
    ) -> Drawn:
        """Completions of a stage: `samples` of each prompt, at most `limit` tokens each.

        Args:
            like: the stage whose prompts they answer, where it is another one.
        """
        mean, notes, further = self.mean_length(stage, limit)
        completions = self.measured.count(stage, "completions") or prompts * samples
        prompt, running = self.prompt_tokens(like or stage, asked), float(self.config.runtime.max_batch)
        prefix = self.prefix(like or stage, asked) if self.config.runtime.prefix_cache else 0.0
        lengths = Lengths(mean, float(limit))
        return Drawn(Sampling(completions, completions / samples, prompt, lengths, running, prefix=prefix), notes, further)


def shown_tokens(asked: PromptConfig | None) -> float:
    """Tokens of what settings show before a question, beyond the usual template; a probe may add worked examples."""
    if asked is None:
        return 0.0
    examples = [one.question + one.thinking + one.answer for one in asked.worked_examples]
    probed = isinstance(asked, ZeroRLConfig) and "worked_examples" in asked.from_probe
    texts = len(asked.template + asked.system_prompt + "".join(examples)) / CHARACTERS
    return texts + EXAMPLE_TOKENS * len(examples) + (PROBED_TOKENS if probed else 0.0)


def shape_fields(shape: Shape) -> dict[str, Any]:
    """A shape's sizes by name."""
    return {name: getattr(shape, name) for name in Shape.__dataclass_fields__}

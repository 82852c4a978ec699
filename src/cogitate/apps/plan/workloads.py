"""A recipe's stages as work: how many tokens are generated and learnt from, by which model, in how many steps.

What settings do not say (how long completions are, how many rows a data stage keeps) is guessed and noted, or taken from a run
that has been made (`--like RUN`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.plan.measured import Measured
from cogitate.apps.plan.models import find_shape
from cogitate.apps.plan.work import StageWork, Work
from cogitate.config import (
    AllScenarioConfig,
    BranchesConfig,
    ColdStartConfig,
    Config,
    DemonstrationsConfig,
    DPOConfig,
    FineTuneConfig,
    PPOConfig,
    PreferenceDataConfig,
    PretrainConfig,
    RejectionConfig,
    RewardModelsConfig,
    RLConfig,
    StudentBaseConfig,
)
from cogitate.costs.generation import Sampling
from cogitate.costs.lengths import UNKNOWN_LENGTH, Lengths, usual_mean
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import is_evaluation
from cogitate.recipe.stage import Stage, find

PROMPT_TOKENS = 100.0  # of a problem in its template
KEPT_SHARE = 0.5  # of the rows that a data stage asks for: right, readable, not too alike
UNKNOWN_ROWS = 0.5  # deviation of the logarithm of what a data stage keeps
COLLECTORS = 3.0  # of the cold start, that ask every problem
BASE_PROMPTS = 3  # that a base model is measured with, see recipe/stages/evaluate.py
UNTRAINED = ("pretrain", "pretrain_student", "pretrain_branches", "prune")  # kinds whose models are measured so


def works_of(
    graph: Sequence[Stage],
    config: Config,
    *,
    model: str = "",
    measured: Measured | None = None,
    there: Mapping[str, str] | None = None,
) -> list[StageWork]:
    """The work of every stage, in order.

    Args:
        model: a published model's name, in place of the recipe's base.
        there: stages that need not be made -> why.
    """
    reader = Reader(graph, config, model, measured or Measured(), there or {})
    return [reader.of(stage) for stage in graph]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads settings as work."""

    graph: Sequence[Stage]
    config: Config
    model: str
    measured: Measured
    there: Mapping[str, str]

    def of(self, stage: Stage) -> StageWork:
        if stage.name in self.config.inputs:
            return StageWork(stage, self.shape_of(stage.name) if stage.makes_model else None, (), ("given",))
        if stage.name in self.there:
            return StageWork(stage, self.shape_of(stage.name), (), (self.there[stage.name],))
        if stage.needs and self.shape_of(stage.needs[0]) is None:
            return StageWork(stage, None, (), ("not planned: its model comes from a stage whose kind is not planned",))
        if is_evaluation(stage):
            return self.evaluation(stage)
        read = READERS.get(stage.kind.name)
        if read is None:
            return StageWork(stage, None, (), (f"kind {stage.kind.name} is not planned: it takes seconds",))
        return read(self, stage)

    def shape_of(self, name: str) -> Shape | None:
        """The model that a stage makes, or works with; None where none is known."""
        stage = find(self.graph, name)
        if name in self.config.inputs:
            return self.given_shape(name)
        if stage.kind.name == "pretrain":
            return find_shape(self.model)[0] if self.model else self.made_shape(self.config.model, "model")
        if stage.kind.name in ("pretrain_student", "pretrain_branches"):
            return self.made_shape(self.config.section(name, StudentBaseConfig).model, f"{name}.model")
        parent = self.shape_of(stage.needs[0]) if stage.needs else None
        if stage.kind.name == "prune" and parent is not None:
            every = self.config.section(name, StudentBaseConfig).every_nth_layer
            return Shape(
                **{**shape_fields(parent), "layers": -(-parent.layers // every), "dense_layers": -(-parent.layers // every)}
            )
        return parent

    def made_shape(self, table: Mapping[str, Any], place: str) -> Shape:
        if not table:
            raise ConfigError(
                f"{place}: names no architecture, so there is nothing to plan; give its config.json's keys or --model"
            )
        return Shape.from_config({"vocab_size": self.config.tokenizer.vocab_size, **table})

    def given_shape(self, name: str) -> Shape:
        path = Path(self.config.inputs[name])
        if self.model and find(self.graph, name).makes_model:
            return find_shape(self.model)[0]
        try:
            return Shape.from_config(json.loads((path / "config.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"inputs.{name}={path}: no config.json is there; name a published model instead: --model NAME"
            ) from error

    def preference_data(self) -> PreferenceDataConfig:
        """How preferences are drawn; the defaults where they are given."""
        found = getattr(self.config, "preferences", None)
        return found if isinstance(found, PreferenceDataConfig) else PreferenceDataConfig()

    def need(self, stage: Stage) -> Shape:
        shape = self.shape_of(stage.needs[0] if stage.needs else stage.name)
        assert shape is not None, stage.name
        return shape

    def mean_length(self, stage: str, limit: int) -> tuple[float, tuple[str, ...], float]:
        """The mean length of completions, with its note and deviation."""
        known = self.measured.of(stage, "completion_tokens")
        if known is not None:
            return min(known, limit), (), 0.0
        mean = usual_mean(limit)
        return mean, (f"completions of {mean:.0f} tokens on average, of at most {limit}, are a guess",), UNKNOWN_LENGTH

    def sampling(self, stage: str, prompts: float, samples: float, limit: int) -> tuple[Sampling, tuple[str, ...], float]:
        mean, notes, further = self.mean_length(stage, limit)
        lengths = Lengths(mean, float(limit))
        running = float(self.config.runtime.max_batch)
        prompt = self.measured.of(stage, "prompt_tokens") or PROMPT_TOKENS
        completions = self.measured.count(stage, "completions") or prompts * samples
        return Sampling(completions, completions / samples, prompt, lengths, running), notes, further

    def evaluation(self, stage: Stage) -> StageWork:
        settings, shape = self.config.evaluate, self.need(stage)
        further_ones = settings.further_problems * len(list(filter(None, settings.further.split(","))))
        tried = BASE_PROMPTS if find(self.graph, stage.needs[0]).kind.name in UNTRAINED else 1
        prompts = float(tried * settings.problems + settings.general_problems + further_ones)
        completions = settings.samples * prompts + settings.consensus_problems * settings.consensus_samples
        sampling, notes, further = self.sampling(stage.name, prompts, completions / prompts, settings.max_new_tokens)
        return StageWork(stage, shape, (Work(shape, 1, sampling=sampling),), notes, further)

    def pretraining(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, PretrainConfig), self.shape_of(stage.name)
        assert shape is not None
        tokens = settings.rows * settings.row_tokens
        steps = settings.trained_steps if isinstance(settings, BranchesConfig) else settings.steps
        work = Work(
            shape, steps, tokens, settings.micro_rows * settings.row_tokens, settings.row_tokens,
            muon=settings.optimiser.startswith("muon"), mtp=settings.mtp_weight > 0,
        )  # fmt: skip
        return StageWork(stage, shape, (work,))

    def fine_tuning(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, FineTuneConfig), self.need(stage)
        step_tokens = float(settings.rows * settings.row_tokens)
        steps, notes, further = self.measured.of(stage.name, "steps"), tuple[str, ...](), 0.0
        if steps is None:
            rows, length = self.rows_of(stage.needs[1])
            steps = max(1.0, settings.epochs * rows * length / step_tokens)
            notes, further = (f"{rows:.0f} conversations of {length:.0f} tokens are a guess",), UNKNOWN_ROWS
        work = Work(
            shape, steps, step_tokens, settings.micro_rows * settings.row_tokens, settings.row_tokens,
            muon=settings.optimiser.startswith("muon"), mtp=settings.mtp_weight > 0,
        )  # fmt: skip
        return StageWork(stage, shape, (work,), notes, further)

    def rows_of(self, name: str) -> tuple[float, float]:
        """Conversations that a data stage makes, and their tokens."""
        if name in self.config.inputs:
            return 1000.0, PROMPT_TOKENS + 500.0
        kind = find(self.graph, name).kind.name
        if kind == "cold_start_data":
            cold = self.config.section(name, ColdStartConfig)
            return KEPT_SHARE * COLLECTORS * cold.problems * cold.per_problem, PROMPT_TOKENS + usual_mean(cold.max_new_tokens)
        if kind == "rejection_sampling":
            kept = self.config.section(name, RejectionConfig)
            rows = KEPT_SHARE * kept.problems * kept.per_problem / (1 - kept.general_share)
            return rows, PROMPT_TOKENS + usual_mean(kept.max_new_tokens)
        shown = self.config.section(name, DemonstrationsConfig)
        return KEPT_SHARE * shown.problems, PROMPT_TOKENS + usual_mean(shown.max_new_tokens)

    def reinforcement(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, RLConfig), self.need(stage)
        drawn = settings.prompts_per_step * (1.5 if settings.dynamic_sampling else 1.0)
        sampling, notes, further = self.sampling(stage.name, drawn, settings.group_size, settings.max_new_tokens)
        length = sampling.prompt_tokens + sampling.lengths.mean
        tokens = settings.prompts_per_step * settings.group_size * length * settings.inner_epochs
        judges = 2 if len(stage.needs) > 1 and stage.kind.name in ("all_scenario_rl", "ppo") else 0
        reference = 1 if settings.kl_beta else 0
        updated = self.measured.of(stage.name, "updated_share") or 1.0
        critic = 1 if isinstance(settings, PPOConfig) else 0
        if settings.dynamic_sampling:
            notes, further = (*notes, "dynamic sampling draws half as many prompts again"), further + 0.1
        steps = self.measured.of(stage.name, "steps") or settings.steps
        if settings.token_budget:
            steps = min(steps, math.ceil(settings.token_budget / (drawn * settings.group_size * sampling.lengths.mean)))
        work = Work(
            shape,
            steps,
            tokens,
            tokens / settings.minibatches,
            length,
            sampling,
            reference * updated + judges * general_share(settings),
            updated,
            single_update=settings.minibatches * settings.inner_epochs == 1,
            other_models=reference + judges,
            critics=critic,
        )
        return StageWork(stage, shape, (work,), notes, further)

    def cold_start(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, ColdStartConfig), self.need(stage)
        prompts = COLLECTORS * settings.problems
        sampling, notes, further = self.sampling(stage.name, prompts, settings.samples, settings.max_new_tokens)
        return StageWork(stage, shape, (Work(shape, 1, sampling=sampling),), notes, further)

    def rejection(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, RejectionConfig), self.need(stage)
        prompts = settings.problems / (1 - settings.general_share)
        sampling, notes, further = self.sampling(stage.name, prompts, settings.samples, settings.max_new_tokens)
        return StageWork(stage, shape, (Work(shape, 1, sampling=sampling),), notes, further)

    def drawing(self, stage: Stage) -> StageWork:
        """Completions from which nothing is learnt, or little beside what they cost."""
        settings, shape = getattr(self.config, stage.name), self.need(stage)
        prompts, samples = DRAWN[stage.kind.name](settings, self.config)
        sampling, notes, further = self.sampling(stage.name, prompts, samples, settings.max_new_tokens)
        return StageWork(stage, shape, (Work(shape, 1, sampling=sampling),), notes, further)

    def demonstrations(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, DemonstrationsConfig), self.need(stage)
        sampling, notes, further = self.sampling(stage.name, settings.problems, settings.samples, settings.max_new_tokens)
        return StageWork(stage, shape, (Work(shape, 1, sampling=sampling),), notes, further)

    def preferences(self, stage: Stage) -> StageWork:
        shape = self.need(stage)
        work, notes, further = self.candidates(stage.name, shape)
        return StageWork(stage, shape, work, notes, further)

    def candidates(self, stage: str, shape: Shape) -> tuple[tuple[Work, ...], tuple[str, ...], float]:
        """Drawing answers to be compared; nothing where pairs are given."""
        data = self.preference_data()
        if data.pairs_file:
            return (), ("pairs are given",), 0.0
        prompts = float(data.pairs / data.pairs_per_prompt + data.safety_prompts)
        sampling, notes, further = self.sampling(stage, prompts, data.samples, data.max_new_tokens)
        return (Work(shape, 1, sampling=sampling),), notes, further

    def judging(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, RewardModelsConfig), self.need(stage)
        drawn, notes, further = self.candidates(stage.name, shape) if len(stage.needs) == 1 else ((), (), 0.0)
        data = self.preference_data()
        length = self.measured.of(stage.name, "text_tokens") or PROMPT_TOKENS + usual_mean(data.max_new_tokens)
        texts = (2.0 * data.pairs + data.safety_prompts) * settings.epochs
        step_tokens = 2 * settings.batch * length
        work = Work(shape, max(1.0, texts / (2 * settings.batch)), step_tokens, min(settings.micro_tokens, step_tokens), length)
        return StageWork(stage, shape, (*drawn, work), notes, further)

    def direct_preferences(self, stage: Stage) -> StageWork:
        settings, shape = self.config.section(stage.name, DPOConfig), self.need(stage)
        data = self.preference_data()
        length = self.measured.of(stage.name, "text_tokens") or PROMPT_TOKENS + usual_mean(data.max_new_tokens)
        step_tokens = 2 * settings.batch * length
        steps = max(1.0, settings.epochs * data.pairs / settings.batch)
        micro = min(settings.micro_tokens, step_tokens)
        work = Work(shape, steps, step_tokens, micro, length, scorings=1, other_models=1)
        return StageWork(stage, shape, (work,))


# (prompts, completions of each) of kinds that draw; how many steps are labelled or searched is a guess.
DRAWN: dict[str, Callable[[Any, Config], tuple[float, float]]] = {
    "length_pairs": lambda settings, _: (settings.problems, settings.samples),
    "pass_rates": lambda settings, config: (config.tasks.train_problems, settings.samples),
    "draws": lambda settings, _: (settings.prompts, settings.samples),
    "process_reward_model": lambda settings, _: (
        settings.problems,
        settings.samples * (1 + (2 * settings.rollouts if settings.labels in ("monte_carlo", "bisection") else 0)),
    ),
    "search_curves": lambda settings, _: (settings.problems, 2 * settings.n * (1 + len(settings.methods))),
}
READERS: dict[str, Callable[[Reader, Stage], StageWork]] = {
    "pretrain": Reader.pretraining,
    "pretrain_student": Reader.pretraining,
    "fine_tune": Reader.fine_tuning,
    "rl_zero": Reader.reinforcement,
    "reasoning_rl": Reader.reinforcement,
    "all_scenario_rl": Reader.reinforcement,
    "ppo": Reader.reinforcement,
    "cold_start_data": Reader.cold_start,
    "rejection_sampling": Reader.rejection,
    "demonstrations": Reader.demonstrations,
    "preferences": Reader.preferences,
    "reward_models": Reader.judging,
    "dpo": Reader.direct_preferences,
    **dict.fromkeys(DRAWN, Reader.drawing),
    "process_rl": Reader.reinforcement,
    "pretrain_branches": Reader.pretraining,
}


def general_share(settings: RLConfig) -> float:
    """Of the prompts of all steps, those that reward models judge; all where a stage has no others."""
    if not isinstance(settings, AllScenarioConfig):
        return 1.0
    later = max(0, settings.steps - settings.general_from_step) / settings.steps
    return later * settings.general_prompts_per_step / settings.prompts_per_step


def shape_fields(shape: Shape) -> dict[str, Any]:
    """A shape's sizes by name."""
    return {name: getattr(shape, name) for name in Shape.__dataclass_fields__}

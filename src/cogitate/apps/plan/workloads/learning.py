"""Stages that learn: next tokens, preferences, by reinforcement."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from cogitate.apps.plan.work import StageWork, Work
from cogitate.apps.plan.workloads.drawing import COLLECTORS, candidates, preference_data
from cogitate.apps.plan.workloads.given import rows_given
from cogitate.apps.plan.workloads.reader import PROMPT_TOKENS, Reader
from cogitate.config import (
    AllScenarioConfig,
    BranchesConfig,
    ColdStartConfig,
    DemonstrationsConfig,
    DPOConfig,
    FineTuneConfig,
    LengthPairsConfig,
    PPOConfig,
    PreferenceTrainingConfig,
    PretrainConfig,
    ProbeConfig,
    ProcessRewardModelConfig,
    RejectionConfig,
    RewardModelsConfig,
    RLConfig,
    SupervisedConfig,
    ZeroRLConfig,
)
from cogitate.costs.lengths import usual_mean
from cogitate.costs.shape import Shape
from cogitate.recipe.stage import Stage, find, proposals_for

KEPT_SHARE = 0.5  # of the rows that a data stage asks for: right, readable, not too alike
UNKNOWN_ROWS = 0.5  # deviation of the logarithm of what a data stage keeps
UNKNOWN_SETTINGS = 1.0  # the same of a stage whose settings a probe proposes
GIVEN_ROWS, GIVEN_LENGTH = (
    1000.0,
    500.0,
)  # of data that a user gives, where their file cannot be counted; tokens of a completion
JUDGES = {"all_scenario_rl": 2, "ppo": 2, "process_rl": 1}  # models that score completions, by kind of stage
PADDING = 1.5  # of preferences: the longest item of a batch over the mean
LEAST_SHARED = 128.0  # tokens that prompts must begin with for our learner to read them once
CONTINUED = 2.0  # of `rollouts` continuations of each completion: some four steps of it, each continued for half its length


def supervised(
    shape: Shape, settings: SupervisedConfig, steps: float, sequence: float = math.inf, predicted: float = 1.0
) -> Work:
    """The loop over packed rows, of texts of so many tokens, of which this share is predicted."""
    length = settings.row_tokens
    return Work(
        shape, steps, float(settings.rows * length), settings.micro_rows * length, min(sequence, length), predicted,
        packed=sequence < length, muon=settings.optimiser.startswith("muon"), mtp=settings.mtp_weight > 0,
    )  # fmt: skip


def pretraining(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, PretrainConfig), reader.shape_of(stage.name)
    assert shape is not None
    steps = settings.trained_steps if isinstance(settings, BranchesConfig) else settings.steps
    return StageWork(stage, shape, (supervised(shape, settings, steps),))


def fine_tuning(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, FineTuneConfig), reader.need(stage)
    steps, data = reader.measured.of(stage.name, "steps"), stage.needs[1]
    rows, length, is_guess = conversations(reader, data)
    of_row, said = reader.measured.of(data, "row_tokens"), reader.measured.of(data, "row_predicted")
    if of_row and said:
        length, predicted = of_row, said / of_row
    else:
        predicted = max(0.0, 1 - PROMPT_TOKENS / length)
    if steps is not None:
        return StageWork(stage, shape, (supervised(shape, settings, steps, length, predicted),))
    steps = max(1.0, settings.epochs * rows * length / (settings.rows * settings.row_tokens))
    guess = f"{rows:.0f} conversations of {length:.0f} tokens" if is_guess else f"{length:.0f} tokens of a conversation"
    work = supervised(shape, settings, steps, length, predicted)
    return StageWork(stage, shape, (work,), (f"{guess} are a guess",), UNKNOWN_ROWS)


def conversations(reader: Reader, name: str) -> tuple[float, float, bool]:
    """Conversations that a data stage makes, their tokens, and whether their number is a guess."""
    config, stage = reader.config, find(reader.graph, name)
    if name in config.inputs:
        counted = rows_given(Path(config.inputs[name]))
        return float(counted or GIVEN_ROWS), PROMPT_TOKENS + GIVEN_LENGTH, not counted
    if stage.has(ColdStartConfig):
        cold = config.section(name, ColdStartConfig)
        return KEPT_SHARE * COLLECTORS * cold.problems * cold.per_problem, PROMPT_TOKENS + usual_mean(cold.max_new_tokens), True
    if stage.has(RejectionConfig):
        kept = config.section(name, RejectionConfig)
        rows = KEPT_SHARE * kept.problems * kept.per_problem / (1 - kept.general_share)
        return rows, PROMPT_TOKENS + usual_mean(kept.max_new_tokens), True
    if stage.has(DemonstrationsConfig):
        shown = config.section(name, DemonstrationsConfig)
        return KEPT_SHARE * shown.problems, PROMPT_TOKENS + usual_mean(shown.max_new_tokens), True
    return GIVEN_ROWS, PROMPT_TOKENS + GIVEN_LENGTH, True  # of a kind that is not this package's


def reinforcement(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, RLConfig), reader.need(stage)
    drawn = settings.prompts_per_step * (1.5 if settings.dynamic_sampling else 1.0)
    found = reader.sampling(stage.name, drawn, settings.group_size, settings.max_new_tokens, asked=settings)
    sampling, notes, further = found.sampling, found.notes, found.further
    length = sampling.prompt_tokens + sampling.lengths.mean
    tokens = settings.prompts_per_step * settings.group_size * length * settings.inner_epochs
    judges = JUDGES.get(stage.kind.name, 0) * reader.members(stage.needs[1]) if len(stage.needs) > 1 else 0
    reference = 1 if settings.kl_beta else 0
    updated = reader.measured.of(stage.name, "updated_share") or 1.0
    if settings.dynamic_sampling and reader.measured.count(stage.name, "completions") is None:
        notes, further = (*notes, "dynamic sampling draws half as many prompts again"), further + 0.1
    steps = reader.measured.of(stage.name, "steps") or settings.steps
    if settings.token_budget:
        steps = min(steps, math.ceil(settings.token_budget / (drawn * settings.group_size * sampling.lengths.mean)))
    work = Work(
        shape,
        steps,
        tokens,
        tokens / settings.minibatches,
        length,
        sampling.lengths.mean / length,
        sampling,
        prefix=prefix if (prefix := reader.prefix(stage.name, settings)) >= LEAST_SHARED else 0.0,
        scorings=reference * updated + judges * general_share(settings) * general_length(reader, stage.name, settings),
        updated_share=updated,
        graded=1 - general_share(settings) if judges else 1.0,
        packed=True,
        uneven=True,
        most_updated_share=reader.measured.of(stage.name, "most_updated_share") or 1.0,
        single_update=settings.minibatches * settings.inner_epochs == 1,
        other_models=reference + judges,
        critics=1 if isinstance(settings, PPOConfig) else 0,
    )
    left = settings.from_probe if isinstance(settings, ZeroRLConfig) else ()
    if not left:
        return StageWork(stage, shape, (work,), notes, further)
    probe = proposals_for(reader.graph, stage.needs)[0]
    said = f"{', '.join(left)} will be proposed by {probe}: defaults are planned"
    minutes = reader.config.section(probe, ProbeConfig).minutes if probe not in reader.config.inputs else 0.0
    seconds = 60 * minutes if "steps" in left and reader.measured.of(stage.name, "steps") is None else 0.0
    return StageWork(stage, shape, (work,), (*notes, said), further + UNKNOWN_SETTINGS, seconds=seconds)


def general_share(settings: RLConfig) -> float:
    """Of the prompts of all steps, those that models judge; all where a stage has no others."""
    if not isinstance(settings, AllScenarioConfig):
        return 1.0
    later = max(0, settings.steps - settings.general_from_step) / settings.steps
    return later * settings.general_prompts_per_step / settings.prompts_per_step


def general_length(reader: Reader, stage: str, settings: RLConfig) -> float:
    """How long completions are that models judge, over all completions; 1 where no run has measured it."""
    mixed, judged = (reader.measured.of(stage, name) for name in ("mixed_tokens", "mixed_reasoning_tokens"))
    mean = reader.measured.of(stage, "completion_tokens")
    share = settings.general_prompts_per_step / settings.prompts_per_step if isinstance(settings, AllScenarioConfig) else 0.0
    if not share or not mixed or not judged or not mean:
        return 1.0
    return max(0.0, mixed - (1 - share) * judged) / share / mean


def preference_steps(
    reader: Reader, stage: Stage, shape: Shape, settings: PreferenceTrainingConfig, name: str, items: float, tokens: float,
    sequence: float, *, reference: int = 0, predicted: float = 0.0, source: str = "",
) -> Work:  # fmt: skip
    """The loop over preferences, whose batches count items, padded to the longest. Models that score make no logits.

    Args:
        name: of what is trained, as the log has it; items: of an epoch; tokens: of an item. source: the stage whose items they
            are.
    """
    tokens *= reader.measured.of(source, "padding") or PADDING
    known = reader.measured.of(stage.name, f"steps of {name}")
    steps = known or max(1.0, settings.epochs * items / settings.batch)
    step_tokens = tokens * (settings.batch if known else min(float(settings.batch), items))
    micro = min(float(settings.micro_tokens), step_tokens)
    return Work(
        shape, steps, step_tokens, micro, sequence, predicted, scorings=reference, other_models=reference, packed=True,
        uneven=True,
    )  # fmt: skip


def text_sizes(reader: Reader, source: str, limit: int) -> tuple[float, float]:
    """Tokens of a text with its prompt, and of a pair, whose prompt is read once."""
    text = reader.measured.of(source, "text_tokens") or PROMPT_TOKENS + usual_mean(limit)
    completion = reader.measured.of(source, "pair_completion_tokens") or usual_mean(limit)
    return text, text + min(completion, text)


def judging(reader: Reader, stage: Stage) -> StageWork:
    """Reward models of pairs and of labelled texts, after drawing these where no other stage has."""
    settings, shape = reader.config.section(stage.name, RewardModelsConfig), reader.need(stage)
    data, source = preference_data(reader), stage.needs[1] if len(stage.needs) > 1 else stage.name
    found = candidates(reader, stage.name, data) if source == stage.name else None
    text, pair = text_sizes(reader, source, data.max_new_tokens)
    pairs = reader.measured.of(source, "pairs") or rows_of_file(data.pairs_file) or float(data.pairs)
    labelled = reader.measured.of(source, "labels") or rows_of_file(data.labels_file) or float(data.safety_prompts)
    learnt = 1 - settings.held_out_share
    of_one = (
        preference_steps(reader, stage, shape, settings, "helpfulness", learnt * pairs, pair, text, source=source),
        preference_steps(reader, stage, shape, settings, "safety", learnt * labelled, text, text, source=source),
    )
    works = tuple(replace(work, steps=settings.members * work.steps) for work in of_one)  # members are made one after another
    if found is None:
        return StageWork(stage, shape, works)
    return StageWork(stage, shape, (found.work(shape, 256.0 * data.samples, graded=0.0), *works), found.notes, found.further)


def rows_of_file(name: str) -> float | None:
    """Rows of a file of preferences that settings name."""
    return rows_given(Path(name)) if name else None


def direct_preferences(reader: Reader, stage: Stage) -> StageWork:
    settings, shape, source = (
        reader.config.section(stage.name, DPOConfig),
        reader.need(stage),
        find(reader.graph, stage.needs[1]),
    )
    pairs, limit, notes = pairs_of(reader, source)
    text, pair = text_sizes(reader, source.name, limit)
    pairs = reader.measured.of(source.name, "pairs") or pairs
    predicted = 2 * (pair - text) / pair
    work = preference_steps(
        reader, stage, shape, settings, stage.name, pairs, pair, text, reference=1, predicted=predicted, source=source.name
    )
    return StageWork(stage, shape, (work,), notes, UNKNOWN_ROWS if notes else 0.0)


def pairs_of(reader: Reader, source: Stage) -> tuple[float, int, tuple[str, ...]]:
    """Pairs that a stage makes, or that are given, the limit of their completions, and what is guessed of them."""
    if source.name in reader.config.inputs:
        counted = rows_given(Path(reader.config.inputs[source.name]))
        return counted or GIVEN_ROWS, 2 * int(GIVEN_LENGTH), () if counted else (f"{GIVEN_ROWS:.0f} pairs are a guess",)
    if source.has(LengthPairsConfig):
        settings = reader.config.section(source.name, LengthPairsConfig)
        pairs = KEPT_SHARE * settings.problems * settings.pairs_per_problem
        return pairs, settings.max_new_tokens, (f"{pairs:.0f} pairs are a guess",)
    data = preference_data(reader)
    return rows_of_file(data.pairs_file) or float(data.pairs), data.max_new_tokens, ()


def process_rewards(reader: Reader, stage: Stage) -> StageWork:
    """Completions whose steps are labelled, by further completions from each where that is asked for, and the model of them."""
    settings, shape = reader.config.section(stage.name, ProcessRewardModelConfig), reader.need(stage)
    drawn: tuple[Work, ...] = ()
    notes: tuple[str, ...]
    if settings.labels == "file":
        rows = rows_of_file(settings.steps_file)
        length = PROMPT_TOKENS + GIVEN_LENGTH
        items, notes, further = rows or GIVEN_ROWS, (f"texts of {length:.0f} tokens are a guess",), UNKNOWN_ROWS
    else:
        continued = CONTINUED * settings.rollouts if settings.labels in ("monte_carlo", "bisection") else 0.0
        samples = settings.samples * (1 + continued)
        found = reader.sampling(stage.name, settings.problems, samples, settings.max_new_tokens)
        if tokens := reader.measured.count(stage.name, "tokens_generated"):
            found = replace(found, sampling=replace(found.sampling, sequences=tokens / found.sampling.lengths.mean))
        length, items = found.sampling.prompt_tokens + found.sampling.lengths.mean, float(settings.problems * settings.samples)
        drawn, notes, further = (found.work(shape, settings.chunk * (1 + continued)),), found.notes, found.further
        if continued:
            notes, further = (*notes, f"{continued:.0f} continuations of each completion are a guess"), further + 0.3
    learnt = (1 - settings.held_out_share) * items
    work = preference_steps(reader, stage, shape, settings, stage.name, learnt, length, length)
    return StageWork(stage, shape, (*drawn, work), notes, further)

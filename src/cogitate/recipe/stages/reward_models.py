"""reward_models: helpfulness from pairs, safety from labelled completions (R1, supplement).

Two model directories, helpfulness/ and safety/, that start from the first input; what they learnt from lies beside them. The
preferences come from the second input where the graph has one, else they are drawn here (recipe/data/preferences.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import torch

from cogitate.backend import Scorer
from cogitate.config import Config, PreferenceDataConfig, RewardModelsConfig
from cogitate.errors import CheckpointError, DataError
from cogitate.json_lines import RowFaults
from cogitate.model.files.hf import load_config
from cogitate.model.files.value_model import load_value_model, save_value_model
from cogitate.recipe.data.preferences import (
    COUNTS,
    LABELS,
    PAIRS,
    check_preferences,
    make_preferences,
    preference_files,
)
from cogitate.recipe.data.reward_model_reports import balanced_by_length, hold_out, pair_report, safety_report
from cogitate.recipe.kinds import PREFERENCE_DATA
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.rewards.reward_model import READINGS
from cogitate.tasks.files.datasets import load_labelled, load_preferences
from cogitate.tasks.files.pairs import Turns
from cogitate.tasks.files.preference_forms import load_pairs
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.prompts import turns_as_text
from cogitate.train.conversations import texts_of, too_long_line
from cogitate.train.preference import PreferenceRun, train_preferences
from cogitate.train.rows.shared_prompts import row_sizes
from cogitate.types import LabelledText, Message, PreferencePair, Text, TextPair


@dataclass(frozen=True, slots=True)
class Making:
    """What both models are made with.

    Attributes:
        start: the model both start from.
        longest: tokens of a text at most: the model's context, or fewer.
    """

    config: Config
    start: Path
    out: Path
    context: StageContext
    form: ConversationForm
    longest: int

    @property
    def settings(self) -> RewardModelsConfig:
        return self.config.section(self.context.stage, RewardModelsConfig)

    def texts(self, name: str, rows: Sequence[tuple[str, Turns, Sequence[Turns]]]) -> tuple[list[list[Text]], list[int]]:
        """What the model called `name` reads of completions, of each last turn what it judges.

        Args:
            rows: place, prompt, and completions of it.

        Returns:
            the texts of each row that fits, and the rows' numbers. The others are counted and said.
        """
        read: list[list[Text]] = []
        faults = RowFaults("preferences", CheckpointError)
        for place, prompt, completions in rows:
            with faults.at(place):
                judged = [(*turns, Message("assistant", READINGS[name](last.content))) for *turns, last in completions]
                read.append(texts_of(self.form, prompt, judged))
        faults.check()
        tokens = [max(len(text.tokens) for text in texts) for texts in read]
        long = [(rows[i][0], count) for i, count in enumerate(tokens) if count > self.longest]
        if long:
            self.context.say(too_long_line(f"rows of {name}", long, len(rows), self.longest))
        fitting = [i for i, count in enumerate(tokens) if count <= self.longest]
        return [read[i] for i in fitting], fitting

    def pairs(self, rows: Sequence[PreferencePair]) -> tuple[list[TextPair], list[str]]:
        """What the helpfulness model reads of the pairs that fit its context, (chosen, rejected), and their prompts."""
        texts, fitting = self.texts("helpfulness", [(row.place, row.prompt, (row.chosen, row.rejected)) for row in rows])
        return [TextPair(chosen, rejected) for chosen, rejected in texts], [turns_as_text(rows[i].prompt) for i in fitting]

    def run_of(self, name: str, first_row: int) -> PreferenceRun:
        """The loop of the model called `name`."""
        checkpoint = self.context.checkpoint / name
        checkpoint.mkdir(parents=True, exist_ok=True)
        return PreferenceRun(
            name, self.config.seed, self.settings, self.context.metrics, checkpoint, self.context.begin, first_row
        )

    def scorer(self, name: str) -> Scorer:
        """The finished model called `name`."""
        return self.context.backend.scorer(self.out / name)


def files(config: Config, stage: Stage) -> list[Path]:
    held_out = config.section(stage.name, RewardModelsConfig).held_out_file
    return [*preference_files(config), *([Path(held_out)] if held_out else [])]


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent, and held-out pairs that are learnt from."""
    check_preferences(config)
    held_out = config.section(stage.name, RewardModelsConfig).held_out_file
    pairs_file = config.section(PREFERENCE_DATA, PreferenceDataConfig).pairs_file
    if held_out and pairs_file:
        learnt = {pair.prompt for pair in load_pairs(pairs_file)[0]}
        if any(pair.prompt in learnt for pair in load_pairs(held_out)[0]):
            raise DataError(f"{held_out}: prompts of it are also in {pairs_file}, which is learnt from")
    elif held_out:
        load_pairs(held_out)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, *given = (artifact.path for artifact in inputs.values())
    data, counts = (given[0], {}) if given else (out, drawn_here(config, start, out, context))
    context_length = load_config(start).max_position_embeddings
    longest = min(context_length, config.section(context.stage, RewardModelsConfig).longest or context_length)
    form = ConversationForm.load(start, Tokenizer.load(start))
    making = Making(config, start, out, context, form, longest)
    helpfulness, steps = make_helpfulness(making, data / PAIRS)
    safety = make_safety(making, data / LABELS, first_row=steps)
    return {**({"preferences": counts} if counts else {}), "helpfulness": helpfulness, "safety": safety}


def drawn_here(config: Config, start: Path, out: Path, context: StageContext) -> dict[str, Any]:
    """Draw the preferences, unless an earlier attempt has: COUNTS is written last."""
    if (out / COUNTS).is_file():
        counts: dict[str, Any] = json.loads((out / COUNTS).read_text(encoding="utf-8"))
        return counts
    return make_preferences(config, start, out, context)


def make_helpfulness(making: Making, data: Path) -> tuple[dict[str, Any], int]:
    """The pairwise model. Its rewards are shifted and scaled to mean 0 and deviation 1 over the held-out completions: pairs
    leave the level open, and PPO and R1 add them to other rewards.

    Returns:
        its report, and the steps it took.
    """
    rows = load_preferences(data)
    pairs, prompts = making.pairs(rows)
    share = making.settings.held_out_share
    learnt, held_out = hold_out(prompts, share, seed=making.config.seed)
    lengths = [(len(chosen.completion_ids), len(rejected.completion_ids)) for chosen, rejected in pairs]
    balanced = learnt
    if making.settings.balance_lengths:
        balanced = balanced_by_length(learnt, lengths, seed=making.config.seed)
    items = [pairs[i] for i in balanced]
    learner = making.context.backend.helpfulness_learner(making.start, making.settings)
    steps = train_preferences(learner, items, row_sizes(items), making.run_of("helpfulness", 0))
    unscaled = making.context.handover / "helpfulness"
    learner.save_weights(unscaled)
    scorer = making.context.backend.scorer(unscaled)
    chosen = rewards_of(scorer, [pairs[i].chosen for i in held_out])
    rejected = rewards_of(scorer, [pairs[i].rejected for i in held_out])
    mean, deviation = fmean([*chosen, *rejected]), pstdev([*chosen, *rejected]) or 1.0
    model = load_value_model(unscaled, dtype=getattr(torch, making.config.runtime.dtype))
    model.rescale(mean, deviation)
    save_value_model(model, making.out / "helpfulness")
    making.form.tokenizer.save(making.out / "helpfulness")
    chosen, rejected = ([(reward - mean) / deviation for reward in rewards] for rewards in (chosen, rejected))
    report = pair_report([prompts[i] for i in held_out], chosen, rejected, [lengths[i] for i in held_out])
    counts = {"pairs": len(balanced), "too_long": len(rows) - len(pairs)}
    if making.settings.balance_lengths:
        counts["left_out_by_length"] = len(learnt) - len(balanced)
    return {**counts, **report, **on_held_out_file(making)}, steps


def on_held_out_file(making: Making) -> dict[str, Any]:
    """How good the trained model is on pairs of a file it has not learnt from; {} where none is named."""
    name = making.settings.held_out_file
    if not name:
        return {}
    rows, _ = load_pairs(name)
    pairs, prompts = making.pairs(rows)
    scorer = making.scorer("helpfulness")
    chosen, rejected = (rewards_of(scorer, [pair[side] for pair in pairs]) for side in (0, 1))
    lengths = [(len(one.completion_ids), len(other.completion_ids)) for one, other in pairs]
    report = pair_report(prompts, chosen, rejected, lengths)
    return {"held_out_file": {"file": Path(name).stem, "too_long": len(rows) - len(pairs), **report}}


def make_safety(making: Making, data: Path, *, first_row: int) -> dict[str, Any]:
    """The pointwise model: its score is the logit of "safe". Returns its report."""
    rows = load_labelled(data)
    texts, fitting = making.texts("safety", [(row.place, row.prompt, (row.completion,)) for row in rows])
    items = [LabelledText(text, rows[i].label) for i, (text,) in zip(fitting, texts, strict=True)]
    prompts = [turns_as_text(rows[i].prompt) for i in fitting]
    share = making.settings.held_out_share
    learnt, held_out = hold_out(prompts, share, seed=making.config.seed)
    unsafe = sum(not items[i].safe for i in learnt)
    if not 0 < unsafe < len(learnt):
        making.context.say(f"{unsafe} of {len(learnt)} labelled completions are unsafe: a safety model cannot tell them apart")
    learner = making.context.backend.safety_learner(making.start, making.settings)
    to_learn = [items[i] for i in learnt]
    train_preferences(learner, to_learn, row_sizes([[item.text] for item in to_learn]), making.run_of("safety", first_row))
    learner.save_weights(making.out / "safety")
    making.form.tokenizer.save(making.out / "safety")
    scores = rewards_of(making.scorer("safety"), [items[i].text for i in held_out])
    lengths = [len(items[i].text.completion_ids) for i in held_out]
    report = safety_report([prompts[i] for i in held_out], scores, [items[i].safe for i in held_out], lengths)
    return {"completions": len(learnt), "unsafe": unsafe, "too_long": len(rows) - len(fitting), **report}


def rewards_of(scorer: Scorer, texts: Sequence[Text]) -> list[float]:
    return scorer.rewards([text.prompt_ids for text in texts], [text.completion_ids for text in texts])

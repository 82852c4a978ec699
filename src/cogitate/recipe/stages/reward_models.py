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

from cogitate.config import Config
from cogitate.errors import CheckpointError, DataError
from cogitate.json_lines import RowFaults
from cogitate.model.files.hf import load_config, load_model
from cogitate.model.value_head import ValueModel, save_value_model
from cogitate.recipe.context import StageContext
from cogitate.recipe.data import preferences
from cogitate.recipe.data.held_out import hold_out, pair_report, safety_report
from cogitate.recipe.data.preferences import COUNTS, LABELS, PAIRS, check_preferences, make_preferences, preference_files
from cogitate.rewards.reward_model import READINGS
from cogitate.tasks.files.datasets import load_labelled, load_preferences
from cogitate.tasks.files.pairs import Turns
from cogitate.tasks.files.preference_forms import load_pairs
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.prompts import turns_as_text
from cogitate.train.conversations import texts_of, too_long_line
from cogitate.train.preference import Objective, PairwiseReward, PointwiseSafety, PreferenceRun, train_preferences
from cogitate.train.scorer import ModelScorer
from cogitate.train.shared_prompts import Text
from cogitate.types import Artifact, Message, PreferencePair

VERSION = 2
SECTIONS = (*preferences.SECTIONS, "{stage}")


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

    def untrained(self) -> ValueModel:
        backend = self.context.backend
        model = ValueModel(load_model(self.start, dtype=backend.dtype, device=backend.device))
        model.trunk.gradient_checkpointing = self.config.runtime.gradient_checkpointing
        return model

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

    def pairs(self, rows: Sequence[PreferencePair]) -> tuple[list[tuple[Text, Text]], list[str]]:
        """What the helpfulness model reads of the pairs that fit its context, (chosen, rejected), and their prompts."""
        texts, fitting = self.texts("helpfulness", [(row.place, row.prompt, (row.chosen, row.rejected)) for row in rows])
        return [(chosen, rejected) for chosen, rejected in texts], [turns_as_text(rows[i].prompt) for i in fitting]

    def train(self, name: str, objective: Objective, first_row: int) -> int:
        """Returns the number of steps."""
        checkpoint = self.context.checkpoint / name
        checkpoint.mkdir(parents=True, exist_ok=True)
        settings = getattr(self.config, self.context.stage)
        return train_preferences(
            objective,
            PreferenceRun(name, self.config.seed, settings, self.context.metrics, checkpoint, self.context.begin, first_row),
        )

    def save(self, name: str, model: ValueModel) -> None:
        save_value_model(model, self.out / name)
        self.form.tokenizer.save(self.out / name)


def files(config: Config) -> list[Path]:
    held_out = config.reward_models.held_out_file
    return [*preference_files(config), *([Path(held_out)] if held_out else [])]


def check(config: Config, stage: str) -> None:
    """Refuse bad data before any time is spent, and held-out pairs that are learnt from."""
    check_preferences(config)
    held_out = config.reward_models.held_out_file
    if held_out and config.preferences.pairs_file:
        learnt = {pair.prompt for pair in load_pairs(config.preferences.pairs_file)[0]}
        if any(pair.prompt in learnt for pair in load_pairs(held_out)[0]):
            raise DataError(f"{held_out}: prompts of it are also in {config.preferences.pairs_file}, which is learnt from")
    elif held_out:
        load_pairs(held_out)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    start, *given = (artifact.path for artifact in inputs.values())
    data, counts = (given[0], {}) if given else (out, drawn_here(config, start, out, context))
    context_length, limit = load_config(start).max_position_embeddings, config.reward_models.longest
    longest = min(context_length, limit or context_length)
    form = ConversationForm.load(start, context.backend.tokenizer(start))
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
    share = making.config.reward_models.held_out_share
    learnt, held_out = hold_out(prompts, share, seed=making.config.seed)
    model = making.untrained()
    steps = making.train("helpfulness", PairwiseReward(model, [pairs[i] for i in learnt]), 0)
    chosen = rewards_of(model, [pairs[i][0] for i in held_out])
    rejected = rewards_of(model, [pairs[i][1] for i in held_out])
    mean, deviation = fmean([*chosen, *rejected]), pstdev([*chosen, *rejected]) or 1.0
    model.rescale(mean, deviation)
    making.save("helpfulness", model)
    lengths = [(len(pairs[i][0].completion_ids), len(pairs[i][1].completion_ids)) for i in held_out]
    chosen, rejected = ([(reward - mean) / deviation for reward in rewards] for rewards in (chosen, rejected))
    report = pair_report([prompts[i] for i in held_out], chosen, rejected, lengths)
    return {"pairs": len(learnt), "too_long": len(rows) - len(pairs), **report, **on_held_out_file(making, model)}, steps


def on_held_out_file(making: Making, model: ValueModel) -> dict[str, Any]:
    """How good the trained model is on pairs of a file it has not learnt from; {} where none is named."""
    name = making.config.reward_models.held_out_file
    if not name:
        return {}
    rows, _ = load_pairs(name)
    pairs, prompts = making.pairs(rows)
    chosen, rejected = (rewards_of(model, [pair[side] for pair in pairs]) for side in (0, 1))
    lengths = [(len(one.completion_ids), len(other.completion_ids)) for one, other in pairs]
    report = pair_report(prompts, chosen, rejected, lengths)
    return {"held_out_file": {"file": Path(name).stem, "too_long": len(rows) - len(pairs), **report}}


def make_safety(making: Making, data: Path, *, first_row: int) -> dict[str, Any]:
    """The pointwise model: its score is the logit of "safe". Returns its report."""
    rows = load_labelled(data)
    texts, fitting = making.texts("safety", [(row.place, row.prompt, (row.completion,)) for row in rows])
    items = [(text, rows[i].label) for i, (text,) in zip(fitting, texts, strict=True)]
    prompts = [turns_as_text(rows[i].prompt) for i in fitting]
    share = making.config.reward_models.held_out_share
    learnt, held_out = hold_out(prompts, share, seed=making.config.seed)
    unsafe = sum(not items[i][1] for i in learnt)
    if not 0 < unsafe < len(learnt):
        making.context.say(f"{unsafe} of {len(learnt)} labelled completions are unsafe: a safety model cannot tell them apart")
    model = making.untrained()
    making.train("safety", PointwiseSafety(model, [items[i] for i in learnt]), first_row)
    making.save("safety", model)
    scores = rewards_of(model, [items[i][0] for i in held_out])
    lengths = [len(items[i][0].completion_ids) for i in held_out]
    report = safety_report([prompts[i] for i in held_out], scores, [items[i][1] for i in held_out], lengths)
    return {"completions": len(learnt), "unsafe": unsafe, "too_long": len(rows) - len(fitting), **report}


def rewards_of(model: ValueModel, texts: Sequence[Text]) -> list[float]:
    return ModelScorer(model).rewards([text.prompt_ids for text in texts], [text.completion_ids for text in texts])

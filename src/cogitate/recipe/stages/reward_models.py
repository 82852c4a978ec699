"""reward_models: helpfulness from pairs, safety from labelled completions (R1, supplement).

Two model directories, helpfulness/ and safety/, that start from the first input; what they learnt from lies beside them. The
preferences come from the second input where the graph has one, else they are drawn here (recipe/data/preferences.py). With
`members` each is an ensemble: models that learn the same pairs in other orders and from other heads, one after another.
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
from cogitate.recipe.data.reward_model_reports import (
    balanced_by_length,
    hold_out,
    report_of_pairs,
    report_of_safety,
)
from cogitate.recipe.kinds import PREFERENCE_DATA
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.rewards.ensemble import Combination, member_directory, read_ensemble, save_ensemble
from cogitate.rewards.reward_model import READINGS
from cogitate.runtime import derive_seed
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
class Member:
    """One of the models that are read together, or the only one.

    Attributes:
        name: as the log and checkpoints call it: helpfulness, helpfulness.2 and so on.
        directory: where it is when it is finished.
        head_seed: of the head it starts from; None: zeros, as those of the first, which is the model that one alone would be.
    """

    name: str
    directory: Path
    head_seed: int | None


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

    def members(self, name: str) -> list[Member]:
        """The models called `name`."""
        found = [Member(name, self.out / name, None)]
        for number in range(1, self.settings.members):
            called = f"{name}.{number + 1}"
            head_seed = derive_seed(self.config.seed, "head", called)
            found.append(Member(called, member_directory(self.out / name, number), head_seed))
        return found

    def combination(self, said_MN: Sequence[Sequence[float]], *, standardise: bool) -> Combination:
        """How the models' scores of held-out texts become one score, of mean 0 and deviation 1 where that is asked for."""
        settings = self.settings
        plain = Combination(settings.score, settings.variance_weight)
        if len(said_MN) == 1 or not standardise:
            return plain
        said_N = [plain.of(said) for said in zip(*said_MN, strict=True)]
        return Combination(settings.score, settings.variance_weight, fmean(said_N), pstdev(said_N) or 1.0)

    def save_combination(self, name: str, combination: Combination) -> None:
        """Beside the first of several models; one alone is an ordinary reward model."""
        if self.settings.members > 1:
            save_ensemble(self.out / name, self.settings.members, combination)


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
    """The pairwise models. Rewards are shifted and scaled to mean 0 and deviation 1 over the held-out completions, each model's
    and those of all together: pairs leave the level open, and PPO and R1 add them to other rewards.

    Returns:
        their report, and the steps they took.
    """
    rows = load_preferences(data)
    pairs, prompts = making.pairs(rows)
    share = making.settings.held_out_share
    learnt, held_out = hold_out(prompts, share, seed=making.config.seed)
    lengths = [(len(chosen.completion_ids), len(rejected.completion_ids)) for chosen, rejected in pairs]
    balanced = learnt
    if making.settings.balance_lengths:
        balanced = balanced_by_length(learnt, lengths, seed=making.config.seed)
    items, measured = [pairs[i] for i in balanced], [pairs[i] for i in held_out]
    steps, said_MN = 0, list[list[float]]()
    for member in making.members("helpfulness"):
        steps, said = helpful_member(making, member, items, measured, first_row=steps)
        said_MN.append(said)
    combination = making.combination(said_MN, standardise=True)
    making.save_combination("helpfulness", combination)
    report = report_of_pairs([prompts[i] for i in held_out], said_MN, [lengths[i] for i in held_out], combination)
    counts = {"pairs": len(balanced), "too_long": len(rows) - len(pairs)}
    if making.settings.balance_lengths:
        counts["left_out_by_length"] = len(learnt) - len(balanced)
    return {**counts, **report, **on_held_out_file(making)}, steps


def helpful_member(
    making: Making, member: Member, items: Sequence[TextPair], held_out: Sequence[TextPair], *, first_row: int
) -> tuple[int, list[float]]:
    """Train one pairwise model, or go on with it, and save it standardised.

    Returns:
        the number of the log's next row; its rewards of all chosen held-out texts, then of all rejected ones.
    """
    learner = making.context.backend.helpfulness_learner(making.start, making.settings, head_seed=member.head_seed)
    steps = train_preferences(learner, items, row_sizes(items), making.run_of(member.name, first_row))
    unscaled = making.context.handover / member.name
    learner.save_weights(unscaled)
    said = rewards_of_pairs(making.context.backend.scorer(unscaled), held_out)
    mean, deviation = fmean(said), pstdev(said) or 1.0
    model = load_value_model(unscaled, dtype=getattr(torch, making.config.runtime.dtype))
    model.rescale(mean, deviation)
    save_value_model(model, member.directory)
    making.form.tokenizer.save(member.directory)
    return first_row + steps, [(reward - mean) / deviation for reward in said]


def on_held_out_file(making: Making) -> dict[str, Any]:
    """How good the trained models are on pairs of a file they have not learnt from; {} where none is named."""
    name = making.settings.held_out_file
    if not name:
        return {}
    rows, _ = load_pairs(name)
    pairs, prompts = making.pairs(rows)
    members, combination = read_ensemble(making.out / "helpfulness")
    said_MN = [rewards_of_pairs(making.context.backend.scorer(member), pairs) for member in members]
    lengths = [(len(one.completion_ids), len(other.completion_ids)) for one, other in pairs]
    report = report_of_pairs(prompts, said_MN, lengths, combination)
    return {"held_out_file": {"file": Path(name).stem, "too_long": len(rows) - len(pairs), **report}}


def make_safety(making: Making, data: Path, *, first_row: int) -> dict[str, Any]:
    """The pointwise models: their score is the logit of "safe". Returns their report."""
    rows = load_labelled(data)
    texts, fitting = making.texts("safety", [(row.place, row.prompt, (row.completion,)) for row in rows])
    items = [LabelledText(text, rows[i].label) for i, (text,) in zip(fitting, texts, strict=True)]
    prompts = [turns_as_text(rows[i].prompt) for i in fitting]
    share = making.settings.held_out_share
    learnt, held_out = hold_out(prompts, share, seed=making.config.seed)
    unsafe = sum(not items[i].safe for i in learnt)
    if not 0 < unsafe < len(learnt):
        making.context.say(f"{unsafe} of {len(learnt)} labelled completions are unsafe: a safety model cannot tell them apart")
    to_learn, measured = [items[i] for i in learnt], [items[i] for i in held_out]
    said_MN = list[list[float]]()
    for member in making.members("safety"):
        first_row, said = safe_member(making, member, to_learn, measured, first_row=first_row)
        said_MN.append(said)
    combination = making.combination(said_MN, standardise=False)
    making.save_combination("safety", combination)
    lengths = [len(item.text.completion_ids) for item in measured]
    safe = [item.safe for item in measured]
    report = report_of_safety([prompts[i] for i in held_out], said_MN, safe, lengths, combination)
    return {"completions": len(learnt), "unsafe": unsafe, "too_long": len(rows) - len(fitting), **report}


def safe_member(
    making: Making, member: Member, items: Sequence[LabelledText], held_out: Sequence[LabelledText], *, first_row: int
) -> tuple[int, list[float]]:
    """Train one pointwise model, or go on with it, and save it.

    Returns:
        the number of the log's next row; its logits of the held-out texts.
    """
    learner = making.context.backend.safety_learner(making.start, making.settings, head_seed=member.head_seed)
    steps = train_preferences(learner, items, row_sizes([[item.text] for item in items]), making.run_of(member.name, first_row))
    learner.save_weights(member.directory)
    making.form.tokenizer.save(member.directory)
    return first_row + steps, rewards_of(making.context.backend.scorer(member.directory), [item.text for item in held_out])


def rewards_of_pairs(scorer: Scorer, pairs: Sequence[TextPair]) -> list[float]:
    """Of all chosen texts, then of all rejected ones."""
    return [reward for side in (0, 1) for reward in rewards_of(scorer, [pair[side] for pair in pairs])]


def rewards_of(scorer: Scorer, texts: Sequence[Text]) -> list[float]:
    return scorer.rewards([text.prompt_ids for text in texts], [text.completion_ids for text in texts])

"""The reward of a completion to a general prompt: what two reward models say, format and language (R1, section 2.3.4).

    reward = helpfulness_weight * helpfulness + safety_weight * safety + format + language_weight * language

- helpfulness: the sigmoid of the reward model's score of the final answer. The score is standardised when the model is made, so
  that 0.5 is the mean of held-out completions and one deviation more is 0.73: no outlier can outweigh everything else. A
  completion without a final answer has 0 and is not shown to the model.
- safety: the probability that everything said, thinking included, is safe: the sigmoid of the safety model's logit.
- format: 1 for closed thinking with text after it, and for an answer without thinking: a greeting needs none.
- language: share of the thinking's words that are of the question's language; without thinking, of the answer's words that are
  of the language asked for.

Where reward models have several members (rewards/ensemble.py), how far these disagree stands beside the parts, with weight 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import pstdev

from cogitate.backend import Backend
from cogitate.config import AllScenarioConfig, RewardsConfig
from cogitate.rewards.ensemble import Ensemble
from cogitate.rewards.format import grade_format
from cogitate.rewards.kinds import has_rules
from cogitate.rewards.language import language_share
from cogitate.rewards.reward_model import READINGS, Reading, final_answer, judged_ids
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rollouts import Reward, Sampled, Score
from cogitate.types import Message, Problem


@dataclass(frozen=True, slots=True)
class Said:
    """What a judge says of a completion.

    Attributes:
        score: None where there was nothing to read.
        of_members: what each model says; () where there was nothing to read.
    """

    score: float | None = None
    of_members: tuple[float, ...] = ()

    @property
    def share(self) -> float:
        """The sigmoid of the score; 0 where there was nothing to read."""
        return 0.0 if self.score is None else sigmoid(self.score)

    def spread_as(self, name: str) -> dict[str, float]:
        """The deviation of several members' scores, to be logged; {} of one model alone."""
        return {f"{name}_spread": pstdev(self.of_members)} if len(self.of_members) > 1 else {}


@dataclass(frozen=True, slots=True)
class Judge:
    """A reward model, or several that are read as one, and what is read of a completion."""

    ensemble: Ensemble
    form: ConversationForm
    reading: Reading

    @classmethod
    def load(cls, backend: Backend, reward_models: Path, name: str) -> Judge:
        """`name`: helpfulness or safety."""
        directory = reward_models / name
        form = ConversationForm.load(directory, Tokenizer.load(directory))
        return cls(Ensemble.load(backend, directory), form, READINGS[name])

    def judge(self, batch: Sequence[Sampled]) -> list[Said]:
        """What is said of each completion."""
        return self.judge_texts([(sampled.problem.conversation, sampled.text) for sampled in batch])

    def judge_texts(self, batch: Sequence[tuple[Sequence[Message], str]]) -> list[Said]:
        """The same of (prompt, completion's text)."""
        read = [self.reading(text) for _, text in batch]
        shown = [number for number, text in enumerate(read) if text]
        pairs = [judged_ids(self.form, batch[number][0], read[number]) for number in shown]
        said = [Said()] * len(batch)
        if not pairs:
            return said
        scores_NM = self.ensemble.rewards_of_members([prompt for prompt, _ in pairs], [completion for _, completion in pairs])
        for number, scores in zip(shown, scores_NM, strict=True):
            said[number] = Said(self.ensemble.combination.of(scores), scores)
        return said


@dataclass(frozen=True, slots=True)
class GeneralReward:
    """The score of completions to general prompts."""

    helpfulness: Judge
    safety: Judge
    settings: AllScenarioConfig
    rewards: RewardsConfig

    def __call__(self, batch: Sequence[Sampled]) -> list[Reward]:
        rewards = list[Reward]()
        for helpful, safe, sampled in zip(self.helpfulness.judge(batch), self.safety.judge(batch), batch, strict=True):
            total, parts = self.combine(helpful.share, safe.share, sampled.text, sampled.problem)
            rewards.append((total, {**parts, **helpful.spread_as("helpfulness"), **safe.spread_as("safety")}))
        return rewards

    def combine(self, helpful: float, safe: float, text: str, problem: Problem) -> tuple[float, dict[str, float]]:
        """The weighted sum and its parts."""
        form, language = general_format(text), general_language(text, problem)
        total = self.settings.helpfulness_weight * helpful + self.settings.safety_weight * safe
        total += self.rewards.format * form + self.settings.language_weight * language
        return total, {"helpfulness": helpful, "safety": safe, "format": form, "language": language}


def by_kind(reasoning: Score, general: Score) -> Score:
    """Rules for reasoning prompts, reward models for general ones."""

    def score(batch: Sequence[Sampled]) -> list[Reward]:
        of_models = [not has_rules(sampled.problem.kind) for sampled in batch]
        ruled = iter(reasoning([sampled for sampled, other in zip(batch, of_models, strict=True) if not other]))
        chosen = [sampled for sampled, other in zip(batch, of_models, strict=True) if other]
        judged = iter(general(chosen) if chosen else [])
        return [next(judged if other else ruled) for other in of_models]

    return score


def general_format(text: str) -> float:
    """1 for R1's form, and for text without any thinking tag."""
    parts = split_thinking(text)
    if parts.thinking is None:
        return float(bool(parts.answer_region.strip()))
    return grade_format(text, "think_text").score


def general_language(text: str, problem: Problem) -> float:
    """The language reward; 0 where there are no words."""
    thinking = split_thinking(text).thinking
    if thinking is not None:
        return language_share(thinking, problem.language) or 0.0
    return language_share(final_answer(text), problem.fields.get("answer_language", problem.language)) or 0.0


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))

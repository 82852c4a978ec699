"""The reward of a completion to a general prompt: what two reward models say, format and language (R1, section 2.3.4).

    reward = helpfulness_weight * helpfulness + safety_weight * safety + format + language_weight * language

- helpfulness: the sigmoid of the reward model's score of the final answer. The score is standardised when the model is made, so
  that 0.5 is the mean of held-out completions and one deviation more is 0.73: no outlier can outweigh everything else. A
  completion without a final answer has 0 and is not shown to the model.
- safety: the probability that everything said, thinking included, is safe: the sigmoid of the safety model's logit.
- format: 1 for closed thinking with text after it, and for an answer without thinking: a greeting needs none.
- language: share of the thinking's words that are of the question's language; without thinking, of the answer's words that are
  of the language asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cogitate.backend import Backend, Scorer
from cogitate.config import AllScenarioConfig, RewardsConfig
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
class Judge:
    """A reward model and what it reads of a completion."""

    scorer: Scorer
    form: ConversationForm
    reading: Reading

    @classmethod
    def load(cls, backend: Backend, reward_models: Path, name: str) -> Judge:
        """`name`: helpfulness or safety."""
        directory = reward_models / name
        form = ConversationForm.load(directory, Tokenizer.load(directory))
        return cls(backend.scorer(directory), form, READINGS[name])

    def judge(self, batch: Sequence[Sampled]) -> list[float]:
        """The sigmoid of each completion's score; 0 where there is nothing to read."""
        return [0.0 if score is None else sigmoid(score) for score in self.scores(batch)]

    def scores(self, batch: Sequence[Sampled]) -> list[float | None]:
        """What the model says of each completion; None where there is nothing to read."""
        return self.scores_of([(sampled.problem.conversation, sampled.text) for sampled in batch])

    def scores_of(self, batch: Sequence[tuple[Sequence[Message], str]]) -> list[float | None]:
        """The same of (prompt, completion's text)."""
        read = [self.reading(text) for _, text in batch]
        shown = [number for number, text in enumerate(read) if text]
        pairs = [judged_ids(self.form, batch[number][0], read[number]) for number in shown]
        scores = self.scorer.rewards([prompt for prompt, _ in pairs], [completion for _, completion in pairs]) if pairs else []
        said: list[float | None] = [None] * len(batch)
        for number, score in zip(shown, scores, strict=True):
            said[number] = score
        return said


@dataclass(frozen=True, slots=True)
class GeneralReward:
    """The score of completions to general prompts."""

    helpfulness: Judge
    safety: Judge
    settings: AllScenarioConfig
    rewards: RewardsConfig

    def __call__(self, batch: Sequence[Sampled]) -> list[Reward]:
        judged = zip(self.helpfulness.judge(batch), self.safety.judge(batch), strict=True)
        return [
            self.combine(helpful, safe, sampled.text, sampled.problem)
            for (helpful, safe), sampled in zip(judged, batch, strict=True)
        ]

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

"""What a part of the reward sees of a completion; a user's own function gets this record as its one argument."""

from __future__ import annotations

from dataclasses import dataclass

from cogitate.rewards.answer import Contract, answer_text
from cogitate.tokenizer.thinking import split_thinking
from cogitate.types import FinishReason, Problem, Verdict


@dataclass(frozen=True, slots=True)
class SampledCompletion:
    """A completion as it was sampled, and its verdict.

    Attributes:
        text: all of it. Where the prompt has opened the thinking, it begins with that `<think>`.
        tokens: how many were sampled, the end token included.
        finish_reason: "stop" (end token) or "length" (cut off at the limit).
        verdict: `value` ("right", "wrong" or "none"), `score` (0..1), `reason`, `extracted` (the answer that was found).
        problem: `id`, `task`, `kind`, `question`, `gold`, `language`, and `fields`, the other keys of its row.
        contract: where the answer stands.
        prefilled: the prompt ended in `<think>`, which the text does not repeat.
    """

    text: str
    tokens: int
    finish_reason: FinishReason
    verdict: Verdict
    problem: Problem
    contract: Contract = "r1"
    prefilled: bool = False

    @property
    def thinking(self) -> str | None:
        """The text between the thinking tags; None where there is no thinking."""
        return split_thinking(self.text, prefilled=self.prefilled).thinking

    @property
    def answer(self) -> str:
        """The text in which the answer stands: the last `<answer>` block, without one all text after the thinking."""
        return answer_text(self.text, self.contract)

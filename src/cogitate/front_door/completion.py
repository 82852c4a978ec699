"""What a model answered, as `generate` returns it and `grade` takes it."""

from __future__ import annotations

from dataclasses import dataclass

from cogitate.types import FinishReason


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered.

    Attributes:
        text: all of it, without end tokens; it begins with `<think>` where the prompt has opened the thinking. Of a model
            with other tags it holds R1's in their place, as transcripts do: graders read these alone.
        thinking: the text between the thinking tags; None where there is no thinking.
        answer: what stands after the thinking, or in the last `<answer>`; "" where the thinking is never closed.
        tokens: how many were sampled, the end token included.
        thinking_tokens: how many the thinking takes; 0 without thinking.
        finish_reason: "stop" (it ended by itself) or "length" (at max_new_tokens).
        seed: fixes the completion, with the prompt and the settings.
        logprobs: log-probability of each token at the sampling temperature; None where they were not asked for.
    """

    text: str
    thinking: str | None
    answer: str
    tokens: int
    thinking_tokens: int
    finish_reason: FinishReason
    seed: int
    logprobs: tuple[float, ...] | None = None

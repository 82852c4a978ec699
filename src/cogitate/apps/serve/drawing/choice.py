"""One completion of a request, from its tokens to what a client is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cogitate.apps.serve.drawing.engine_loop import Step
from cogitate.apps.serve.drawing.shaping import TokenLogprob
from cogitate.apps.serve.drawing.splitter import Splitter
from cogitate.engine.thinking.budget import Thinking
from cogitate.types import ThinkingBudget

Finish = Literal["stop", "length"]


@dataclass(slots=True)
class Delta:
    """What a step adds.

    Attributes:
        thinking, answer: text.
        finish: why the completion is complete, once it is.
        stop: the stop text or the stop token that ended it.
    """

    thinking: str = ""
    answer: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: Finish | None = None
    stop: str | int | None = None

    @property
    def says_something(self) -> bool:
        return bool(self.thinking or self.answer or self.finish or self.logprobs)


class Choice:
    """Reads a completion's steps.

    Args:
        texts: the bytes of each token of the vocabulary.
        tags: those of the model's thinking; None where it is not split.
        opened: the prompt has opened the thinking.
        stop_ids: tokens that end it and are no part of its text.

    Attributes:
        tokens: drawn so far, those that are set and the one that ends it included.
    """

    def __init__(
        self,
        texts: Sequence[bytes],
        prompt_ids: Sequence[int],
        *,
        tags: tuple[str, str],
        split: bool,
        opened: bool,
        stops: Sequence[str] = (),
        stop_ids: frozenset[int] = frozenset(),
    ):
        self._texts, self._stop_ids = texts, stop_ids
        self._splitter = Splitter(tags=tags if split else None, opened=opened, stops=stops)
        self._thinking = Thinking(ThinkingBudget(tags, (), ()), texts, prompt_ids)
        self.tokens = 0
        self.finish: Finish | None = None

    @property
    def thinking_tokens(self) -> int:
        return self._thinking.count

    def take(self, step: Step) -> Delta:
        """The next tokens; what comes after its end is ignored."""
        delta = Delta()
        for number, token in enumerate(step.token_ids if self.finish is None else ()):
            self.tokens += 1
            self._thinking.take(token)
            delta.token_ids.append(token)
            delta.logprobs += step.logprobs[number : number + 1]
            if token in self._stop_ids:
                delta.finish, delta.stop = "stop", token
                break
            self._add(delta, self._splitter.feed(self._texts[token]))
            if self._splitter.reached is not None:
                delta.finish, delta.stop = "stop", self._splitter.reached
                break
        if self.finish is None and delta.finish is None and step.ended in ("stop", "length"):
            delta.finish = "stop" if step.ended == "stop" else "length"
        if delta.finish is not None:
            self._add(delta, self._splitter.finish())
            self.finish = delta.finish
        return delta

    @staticmethod
    def _add(delta: Delta, pieces: Sequence[tuple[str, str]]) -> None:
        for channel, text in pieces:
            if channel == "thinking":
                delta.thinking += text
            else:
                delta.answer += text

"""One completion of a request, from its tokens to what a client is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cogitate.apps.serve.drawing.engine_loop import Step
from cogitate.apps.serve.drawing.shaping import TokenLogprob
from cogitate.apps.serve.drawing.splitter import Piece, Splitter, joined
from cogitate.engine.thinking.budget import Thinking
from cogitate.types import ThinkingBudget

Finish = Literal["stop", "length"]


@dataclass(slots=True)
class Delta:
    """What a step adds.

    Attributes:
        pieces: text of thinking and of answer, in the order in which it was written.
        finish: why the completion is complete, once it is.
        stop: the stop text or the stop token that ended it.
    """

    pieces: list[Piece] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: Finish | None = None
    stop: str | int | None = None

    @property
    def thinking(self) -> str:
        return "".join(text for channel, text in self.pieces if channel == "thinking")

    @property
    def answer(self) -> str:
        return "".join(text for channel, text in self.pieces if channel == "answer")

    @property
    def says_something(self) -> bool:
        return bool(self.pieces or self.finish or self.logprobs)

    def add(self, later: Delta) -> None:
        """What a later step adds to it."""
        self.pieces = joined([*self.pieces, *later.pieces])
        self.token_ids += later.token_ids
        self.logprobs += later.logprobs
        if later.finish is not None:
            self.finish, self.stop = later.finish, later.stop


class Choice:
    """Reads a completion's steps.

    Args:
        texts: the bytes of each token of the vocabulary.
        tags: those of the model's thinking.
        split: thinking and answer are told apart.
        thinks: what looks like thinking is thinking; else nothing is, and nothing is counted.
        opened: the prompt has opened the thinking.
        given_ids: tokens after the prompt with which the completion begins: what is read of it goes on from there.
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
        thinks: bool = True,
        given_ids: Sequence[int] = (),
        stops: Sequence[str] = (),
        stop_ids: frozenset[int] = frozenset(),
    ):
        self._texts, self._stop_ids = texts, stop_ids
        self._splitter = Splitter(tags=tags if split and thinks else None, opened=opened, stops=stops)
        self._thinking = Thinking(ThinkingBudget(tags, (), ()), texts, prompt_ids) if thinks else None
        self._given = 0  # thinking tokens that are not drawn
        if given_ids:
            self._splitter.begin(b"".join(texts[token] for token in given_ids))
            for token in given_ids:
                if self._thinking is not None:
                    self._thinking.take(token)
            self._given = self.thinking_tokens
        self.tokens = 0
        self.finish: Finish | None = None

    @property
    def thinking_tokens(self) -> int:
        return 0 if self._thinking is None else max(0, self._thinking.count - self._given)

    def take(self, step: Step) -> Delta:
        """The next tokens; what comes after its end is ignored."""
        delta = Delta()
        for number, token in enumerate(step.token_ids if self.finish is None else ()):
            self.tokens += 1
            if self._thinking is not None:
                self._thinking.take(token)
            delta.token_ids.append(token)
            delta.logprobs += step.logprobs[number : number + 1]
            if token in self._stop_ids:
                delta.finish, delta.stop = "stop", token
                break
            delta.pieces += self._splitter.feed(self._texts[token])
            if self._splitter.reached is not None:
                delta.finish, delta.stop = "stop", self._splitter.reached
                break
        if self.finish is None and delta.finish is None and step.ended in ("stop", "length"):
            delta.finish = "stop" if step.ended == "stop" else "length"
        if delta.finish is not None:
            delta.pieces += self._splitter.finish()
            if self._splitter.reached is not None:  # also one that is complete only now: its text could have been a tag's
                delta.finish, delta.stop = "stop", self._splitter.reached
            self.finish = delta.finish
        delta.pieces = joined(delta.pieces)
        return delta

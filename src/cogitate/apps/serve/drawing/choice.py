"""One completion of a request, from its tokens to what a client is told of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from cogitate.apps.serve.drawing.engine_loop import Step
from cogitate.apps.serve.drawing.shaping import TokenLogprob
from cogitate.apps.serve.drawing.splitter import Splitter, Text, joined
from cogitate.engine.thinking.budget import Thinking
from cogitate.tokenizer.tools.call_stream import CallReader, Said
from cogitate.tokenizer.tools.turns import ToolCall
from cogitate.types import ThinkingBudget

Piece = Text | ToolCall
Finish = Literal["stop", "length", "tool_calls"]


@dataclass(slots=True)
class Delta:
    """What a step adds.

    Attributes:
        pieces: text of thinking and of answer, and calls, in the order in which they were written.
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
        return "".join(piece[1] for piece in self.pieces if not isinstance(piece, ToolCall) and piece[0] == "thinking")

    @property
    def answer(self) -> str:
        return "".join(piece[1] for piece in self.pieces if not isinstance(piece, ToolCall) and piece[0] == "answer")

    @property
    def calls(self) -> list[ToolCall]:
        return [piece for piece in self.pieces if isinstance(piece, ToolCall)]

    @property
    def says_something(self) -> bool:
        return bool(self.pieces or self.finish or self.logprobs)

    def add(self, later: Delta) -> None:
        """What a later step adds to it."""
        self.pieces = merged([*self.pieces, *later.pieces])
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
        calls: reads calls in the answer; None: there are none.
        most_calls: after so many the completion ends; 0: as many as it likes.

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
        calls: CallReader | None = None,
        most_calls: int = 0,
    ):
        self._texts, self._stop_ids, self._reader, self._most_calls = texts, stop_ids, calls, most_calls
        self._splitter = Splitter(tags=tags if split and thinks else None, opened=opened, stops=stops)
        self._thinking = Thinking(ThinkingBudget(tags, (), ()), texts, prompt_ids) if thinks else None
        self._given = 0  # thinking tokens that are not drawn
        if given_ids:
            self._splitter.begin(b"".join(texts[token] for token in given_ids))
            for token in given_ids:
                if self._thinking is not None:
                    self._thinking.take(token)
            self._given = self.thinking_tokens
        self.tokens = self.calls = 0
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
            delta.pieces += self._with_calls(self._splitter.feed(self._texts[token]))
            if self._splitter.reached is not None:
                delta.finish, delta.stop = "stop", self._splitter.reached
                break
            if self._has_all_calls:
                delta.finish = "stop"
                break
        if self.finish is None and delta.finish is None and step.ended in ("stop", "length"):
            delta.finish = "stop" if step.ended == "stop" else "length"
        if delta.finish is not None:
            delta.pieces += self._with_calls(self._splitter.finish(), ended=True)
            if self._splitter.reached is not None:  # also one that is complete only now: its text could have been a tag's
                delta.finish, delta.stop = "stop", self._splitter.reached
            if self.calls and delta.finish == "stop" and delta.stop is None:
                delta.finish = "tool_calls"
            self.finish = delta.finish
        delta.pieces = merged(delta.pieces)
        return delta

    @property
    def _has_all_calls(self) -> bool:
        return bool(self._most_calls) and self.calls >= self._most_calls

    def _with_calls(self, pieces: Sequence[Text], *, ended: bool = False) -> list[Piece]:
        """The same with the calls that the answer holds; what follows the last that is wanted is dropped."""
        made: list[Piece] = []
        for channel, text in pieces:
            if self._reader is None or channel == "thinking":
                made.append((channel, text))
            else:
                self._read_calls(self._reader.feed(text), made)
        if ended and self._reader is not None:
            self._read_calls(self._reader.finish(), made)
        return made

    def _read_calls(self, said: Sequence[Said], made: list[Piece]) -> None:
        for each in said:
            if self._has_all_calls:
                return
            if isinstance(each, ToolCall):
                self.calls += 1
                made.append(replace(each, id=f"call_{uuid.uuid4().hex[:24]}"))
            else:
                made.append(("answer", each))


def merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Without empty texts; neighbours of one channel as one."""
    made: list[Piece] = []
    texts: list[Text] = []
    for piece in pieces:
        if isinstance(piece, ToolCall):
            made += [*joined(texts), piece]
            texts = []
        else:
            texts.append(piece)
    return [*made, *joined(texts)]

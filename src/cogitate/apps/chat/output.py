"""How a completion looks while it is drawn: dimmed thinking on a terminal, plain text elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, TextIO

from cogitate.tokenizer.tags import R1_TAGS, Tags
from cogitate.tokenizer.thinking import Channel, ThinkingStream

DIM, NORMAL = "\x1b[2m", "\x1b[0m"
# Escape sequences begin with one of these: a model must not be able to steer the terminal.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def is_styled(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether styles may be written: the stream is a terminal that knows them."""
    return stream.isatty() and environment.get("TERM", "dumb") != "dumb" and not environment.get("NO_COLOR")


class Output(Protocol):
    def begin(self, *, thinking: bool) -> None:
        """A completion begins; `thinking`: its prompt has opened the thinking."""

    def write(self, text: str) -> None:
        """The next piece of it."""

    def end(self) -> None:
        """It is complete."""


class PlainOutput:
    """Exactly what the model wrote, tags included, and the end of the line."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def begin(self, *, thinking: bool) -> None: ...

    def write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def end(self) -> None:
        self.write("\n")


class TerminalOutput:
    """Thinking dimmed, without its tags, and apart from the answer."""

    def __init__(self, stream: TextIO, tags: Tags = R1_TAGS):
        self._stream, self._tags = stream, tags
        self._thinking = ThinkingStream(tags=tags.thinking)
        self._channel: Channel | None = None  # of the text that stands on the screen

    def begin(self, *, thinking: bool) -> None:
        self._thinking, self._channel = ThinkingStream(prefilled=thinking, tags=self._tags.thinking), None

    def write(self, text: str) -> None:
        self._show(self._thinking.feed(text))

    def end(self) -> None:
        self._show(self._thinking.finish())
        self._stream.write("\n")
        self._stream.flush()

    def _show(self, events: list[tuple[Channel, str]]) -> None:
        for channel, text in events:
            if channel != self._channel:
                text = text.lstrip()  # what stands between a tag and the first word
                if not text:
                    continue
                if self._channel is not None:
                    self._stream.write("\n\n")
                self._channel = channel
            safe = CONTROL_CHARACTERS.sub("\ufffd", text)
            self._stream.write(f"{DIM}{safe}{NORMAL}" if channel == "thinking" else safe)
        self._stream.flush()

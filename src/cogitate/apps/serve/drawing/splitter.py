"""From the bytes of a completion to what was thought and what is answered, while they arrive.

The pieces are the same text however the bytes are cut: within a character, within a tag, within a stop text. An answer that is
sent as a whole is therefore exactly the joined stream.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from cogitate.apps.serve.drawing.stop_texts import StopTexts
from cogitate.tokenizer.thinking import Channel, ThinkingStream

Text = tuple[Channel, str]


class Splitter:
    """Feed bytes, get ("thinking" | "answer", text) pieces.

    Tags are no part of a piece, and neither is white space around the thinking and before the answer. Stop texts are looked
    for in the answer alone. Bytes that are no UTF-8 become U+FFFD.

    Args:
        tags: what opens and closes the thinking, as the model writes it; None: everything is answer, white space included.
        opened: the prompt has opened the thinking.
        stops: texts at which the answer ends.
    """

    def __init__(self, *, tags: tuple[str, str] | None, opened: bool = False, stops: Sequence[str] = ()):
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stream = None if tags is None else ThinkingStream(prefilled=opened, tags=tags)
        self._stops = StopTexts(stops)
        self._begun = {"thinking": False, "answer": tags is None}  # by channel: text that is no white space has come
        self._white = ""  # at the end of the thinking so far
        self._skipped = 0  # characters at the beginning of what the stream holds back that are no part of a piece

    @property
    def reached(self) -> str | None:
        """The stop text that has ended the answer."""
        return self._stops.reached

    def begin(self, data: bytes) -> None:
        """What the completion begins with and its reader has: it is split, but no part of a piece and of no stop text. A piece
        that goes on with an answer keeps its white space, so that both can be joined."""
        if self._stream is None:
            return
        last = ""
        for channel, text in self._stream.feed(data.decode(errors="replace")):
            self._begun[channel] |= bool(text.strip())
            last = channel
        self._skipped = len(self._stream.held)
        if last == self._stream.channel == "answer" and not self._skipped:
            self._begun["answer"] = True

    def feed(self, data: bytes) -> list[Text]:
        return self._split(self._decoder.decode(data))

    def finish(self) -> list[Text]:
        """What is still held back when no token follows."""
        pieces = self._split(self._decoder.decode(b"", final=True))
        pieces += self._trimmed([] if self._stream is None else self._unskipped(self._stream.finish()))
        return joined([*pieces, ("answer", self._stops.finish())])

    def _split(self, text: str) -> list[Text]:
        if self._stream is None:
            return joined(self._trimmed([("answer", text)]))
        events: list[Text] = []
        while self._skipped and text:  # one character at a time completes one tag at most
            events += self._unskipped(self._stream.feed(text[0]))
            self._skipped = min(self._skipped, len(self._stream.held))
            text = text[1:]
        return joined(self._trimmed([*events, *self._stream.feed(text)]))

    def _unskipped(self, events: Sequence[Text]) -> list[Text]:
        """Without what was held back of the beginning."""
        left: list[Text] = []
        for channel, text in events:
            if self._skipped:
                self._begun[channel] = True
            left.append((channel, text[self._skipped :]))
            self._skipped -= min(self._skipped, len(text))
        return left

    def _trimmed(self, events: Sequence[Text]) -> list[Text]:
        pieces: list[Text] = []
        for channel, text in events:
            if self.reached is not None:
                break
            if not self._begun[channel]:
                text = text.lstrip()
                self._begun[channel] = bool(text)
            if channel == "thinking":
                text = self._white + text
                bare = text.rstrip()
                self._white, text = text[len(bare) :], bare
            else:
                text = self._stops.feed(text)
            pieces.append((channel, text))
        return pieces


def joined(pieces: Sequence[Text]) -> list[Text]:
    """Without empty pieces; neighbours of one channel as one."""
    made: list[Text] = []
    for channel, text in pieces:
        if made and text and made[-1][0] == channel:
            made[-1] = channel, made[-1][1] + text
        elif text:
            made.append((channel, text))
    return made

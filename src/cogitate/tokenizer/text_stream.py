"""Text while its tokens arrive: no half characters, and nothing beyond a stop text."""

from __future__ import annotations

from collections.abc import Sequence

from cogitate.tokenizer.bpe import Tokenizer

UNFINISHED = "\ufffd"  # decoding shows one or more for the first bytes of a character whose others are still to come


class TextStream:
    """Feed token ids, get the text they add. Pieces and `finish` together are what `decode` makes of all ids.

    Only the last few tokens are decoded again for each piece: those since the last whole character, and one feed before them,
    because some tokenizers write a token differently at the beginning of a text.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._context: list[int] = []  # tokens whose text has been given out
        self._new: list[int] = []  # tokens whose text has not, or not fully
        self._given = 0  # characters of the new tokens' text that have been given out

    def feed(self, token_ids: Sequence[int]) -> str:
        """The text that is certain now; the first bytes of a character wait for the others."""
        self._new += token_ids
        text = self._text()
        piece = text.rstrip(UNFINISHED)[self._given :]
        self._given += len(piece)
        if self._new and not text.endswith(UNFINISHED):
            self._context, self._new, self._given = self._new, [], 0
        return piece

    def finish(self) -> str:
        """The text still held back when no token follows."""
        piece = self._text()[self._given :]
        self._given += len(piece)
        return piece

    def _text(self) -> str:
        before = self._tokenizer.decode(self._context)
        return self._tokenizer.decode(self._context + self._new)[len(before) :]


class StopText:
    """Passes text on until a stop text occurs; what could be its beginning is held back.

    Attributes:
        reached: the stop text has occurred; it and all after it are dropped.
    """

    def __init__(self, stop: str | None):
        self._stop = stop
        self._held = ""
        self.reached = False

    def feed(self, piece: str) -> str:
        if self._stop is None:
            return piece
        text = "" if self.reached else self._held + piece
        before, found, _ = text.partition(self._stop)
        self.reached = self.reached or bool(found)
        held = 0 if self.reached else self._beginning(before)
        self._held = before[len(before) - held :]
        return before[: len(before) - held]

    def finish(self) -> str:
        """The text still held back when none follows."""
        held, self._held = self._held, ""
        return held

    def _beginning(self, text: str) -> int:
        """How many characters at the end of the text could be the beginning of the stop text."""
        assert self._stop
        longest = min(len(self._stop) - 1, len(text))
        return next((n for n in range(longest, 0, -1) if self._stop.startswith(text[-n:])), 0)

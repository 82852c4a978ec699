"""Passes text on until one of several stop texts occurs; what could be the beginning of one is held back."""

from __future__ import annotations

from collections.abc import Sequence


class StopTexts:
    """The stop text that is complete first counts; of those, the longest. So it does not matter how the text is cut.

    Attributes:
        reached: the stop text that has occurred; it and all after it are dropped.
    """

    def __init__(self, stops: Sequence[str]):
        self._stops = tuple(stops)
        self._held = ""
        self.reached: str | None = None

    def feed(self, piece: str) -> str:
        if not self._stops or self.reached is not None:
            return "" if self._stops else piece
        text = self._held + piece
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            _, at, self.reached = min(found)
            self._held = ""
            return text[:at]
        held = self._beginning(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """The text still held back when none follows."""
        held, self._held = self._held, ""
        return held

    def _beginning(self, text: str) -> int:
        """How many characters at the end of the text could be the beginning of a stop text."""
        longest = min(max(map(len, self._stops)) - 1, len(text))
        return next((n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in self._stops)), 0)

"""From an answer's text to its calls, while it arrives.

What comes out is the same however the text is cut: a call comes once it is complete, and what could be the beginning of one is
held back. What looks like a call and is none is text.
"""

from __future__ import annotations

import json
from typing import Protocol

from cogitate.tokenizer.tools.call_forms import CallForm
from cogitate.tokenizer.tools.turns import ToolCall

Said = str | ToolCall


class CallReader(Protocol):
    def feed(self, text: str) -> list[Said]:
        """What is known of the answer now; never an empty text."""

    def finish(self) -> list[Said]:
        """What is still held back when no text follows."""


def call_reader(form: CallForm) -> CallReader:
    return TaggedCalls(form) if form.opens else BareCalls(form)


class TaggedCalls:
    """Calls between tags. White space beside a call is dropped."""

    def __init__(self, form: CallForm):
        self._form = form
        self._outside = [tag for tag in (form.opens, form.begins, form.ends) if tag]
        self._held, self._inside = "", False
        self._white = ""  # at the end of the text so far
        self._after_call = False

    def feed(self, text: str) -> list[Said]:
        self._held += text
        said: list[Said] = []
        while True:
            if self._inside:
                body, tag, rest = self._held.partition(self._form.closes)
                if not tag:
                    return said
                self._end_call(said, body, tag)
            else:
                tag, at = min(
                    ((tag, at) for tag in self._outside if (at := self._held.find(tag)) >= 0),
                    key=lambda found: found[1], default=("", -1),
                )  # fmt: skip
                if at < 0:
                    known = len(self._held) - self._partial_tag()
                    self._say(said, self._held[:known])
                    self._held = self._held[known:]
                    return said
                self._say(said, self._held[:at])
                rest = self._held[at + len(tag) :]
                self._inside = tag == self._form.opens
            self._held = rest

    def finish(self) -> list[Said]:
        said: list[Said] = []
        if self._inside:
            self._end_call(said, self._held, "")  # a model may leave the closing tag out
        else:
            self._say(said, self._held)
        if self._white and not self._after_call:
            said.append(self._white)
        self._held = self._white = ""
        return said

    def _end_call(self, said: list[Said], body: str, tag: str) -> None:
        call = self._form.read(body)
        self._inside = False
        if call is None:
            self._say(said, f"{self._form.opens}{body}{tag}")
            return
        said.append(call)
        self._white, self._after_call = "", True

    def _say(self, said: list[Said], text: str) -> None:
        text = text.lstrip() if self._after_call else self._white + text
        bare = text.rstrip()
        if bare:
            said.append(bare)
            self._after_call = False
        if not self._after_call:
            self._white = text[len(bare) :]

    def _partial_tag(self) -> int:
        """How many characters at the end of the held text could be the beginning of a tag."""
        longest = min(max(map(len, self._outside)) - 1, len(self._held))
        return next((n for n in range(longest, 0, -1) if any(tag.startswith(self._held[-n:]) for tag in self._outside)), 0)


class BareCalls:
    """An answer that is nothing but calls, as JSON objects; one that begins like that is held back until it ends."""

    PREFIX = "<|python_tag|>"

    def __init__(self, form: CallForm):
        self._form = form
        self._held: str | None = ""  # None: it is text

    def feed(self, text: str) -> list[Said]:
        if self._held is None:
            return [text] if text else []
        self._held += text
        start = self._held.lstrip()
        if start.startswith(("{", self.PREFIX)) or self.PREFIX.startswith(start):
            return []
        text, self._held = self._held, None
        return [text]

    def finish(self) -> list[Said]:
        text, self._held = self._held or "", None
        return [*calls] if (calls := self._calls(text)) else [text] if text else []

    def _calls(self, text: str) -> list[ToolCall]:
        """None where a part of the text is none."""
        rest, calls = text.strip().removeprefix(self.PREFIX).strip(), list[ToolCall]()
        while rest:
            try:
                _, end = json.JSONDecoder().raw_decode(rest)
            except (ValueError, RecursionError):
                return []
            call = self._form.read(rest[:end])
            if call is None:
                return []
            calls.append(call)
            rest = rest[end:].strip(" \n;")
        return calls


def calls_in(text: str, form: CallForm) -> list[ToolCall]:
    reader = call_reader(form)
    return [each for each in [*reader.feed(text), *reader.finish()] if isinstance(each, ToolCall)]

"""From an answer's text to its calls, while it arrives.

What comes out is the same however the text is cut: a call comes once it is complete, and what could be the beginning of one is
held back. What looks like a call and is none is text, as soon as that is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Protocol

from cogitate.tokenizer.tools.call_forms import CallForm
from cogitate.tokenizer.tools.turns import ToolCall

Said = str | ToolCall
QUOTED = re.compile(r'\\.|["\x00-\x1f]', re.DOTALL)  # what counts within a JSON string


class CallReader(Protocol):
    def feed(self, text: str) -> list[Said]:
        """What is known of the answer now; never an empty text."""

    def finish(self) -> list[Said]:
        """What is still held back when no text follows."""


def call_reader(form: CallForm, names: Collection[str] | None = None) -> CallReader:
    """
    Args:
        names: of the functions that may be called: what calls another is text. None: of any.
    """
    return TaggedCalls(form, names) if form.opens else BareCalls(form, names)


class TaggedCalls:
    """Calls between tags. White space beside a call is dropped.

    A tag in a JSON string of a call does not end it. An opening tag that begins no call is text, and what follows it is read
    anew. Text that is held back is looked at once, so that time grows with its length.
    """

    def __init__(self, form: CallForm, names: Collection[str] | None = None):
        self._form, self._names = form, names
        self._outside = [tag for tag in (form.opens, form.begins, form.ends) if tag]
        self._tag = any_of(self._outside)
        self._unquoted = any_of([form.opens, form.closes, '"', "\\"])
        self._ahead = ""  # not looked at
        self._body: list[str] | None = None  # after an opening tag: what has been looked at
        self._begun = False  # it has more than white space
        self._quoted = False  # it ends within a JSON string
        self._white: list[str] = []  # at the end of the text so far
        self._after_call = False

    def feed(self, text: str) -> list[Said]:
        self._ahead += text
        said: list[Said] = []
        while self._read_text(said) if self._body is None else self._read_body(said, self._body):
            pass
        return said

    def finish(self) -> list[Said]:
        said: list[Said] = []
        while self._body is not None:
            self._end_body(said, [*self._body, self._ahead], "", "")  # a model may leave the closing tag out
            said += self.feed("")
        self._say(said, self._ahead)
        if self._white and not self._after_call:
            said.append("".join(self._white))
        self._ahead, self._white = "", []
        return said

    def _read_text(self, said: list[Said]) -> bool:
        """Up to the next tag; whether there is one."""
        found = self._tag.search(self._ahead)
        known = len(self._ahead) - partial(self._ahead, self._outside) if found is None else found.start()
        self._say(said, self._ahead[:known])
        self._ahead = self._ahead[known if found is None else found.end() :]
        if found is not None and found.group() == self._form.opens:
            self._body, self._begun, self._quoted = [], False, False
        return found is not None

    def _read_body(self, said: list[Said], body: list[str]) -> bool:
        """Up to the end of a call, or of what is none; whether it is there."""
        text, begin = self._ahead, 0
        if not self._begun and (bare := text.lstrip()):
            self._begun = True
            if not bare.startswith(self._form.first):  # a tag that is mentioned: who reads need not wait for its end
                self._end_body(said, body, "", text)
                return True
        while found := (QUOTED if self._quoted else self._unquoted).search(text, begin):
            end, mark = found.end(), found.group()
            # JSON has no line break in a string, and no backslash elsewhere. The latter keeps the time linear: with it two tags
            # could both begin bodies that run to the end of the text.
            if mark in (self._form.closes, self._form.opens, "\\") or mark < " ":
                self._end_body(said, [*body, text[begin : found.start()]], mark, text[end:])
                return True
            body.append(text[begin:end])
            self._quoted ^= mark == '"'
            begin = end
        rest = text[begin:]
        known = len(rest) - (rest.endswith("\\") if self._quoted else partial(rest, [self._form.opens, self._form.closes]))
        body.append(rest[:known])
        self._ahead = rest[known:]
        return False

    def _end_body(self, said: list[Said], body: list[str], mark: str, rest: str) -> None:
        text = "".join(body)
        call = offered(self._form.read(text), self._names) if mark in ("", self._form.closes) else None
        self._body = None
        if call is None:
            self._say(said, self._form.opens)
            self._ahead = text + mark + rest
            return
        said.append(call)
        self._ahead, self._white, self._after_call = rest, [], True

    def _say(self, said: list[Said], text: str) -> None:
        if self._after_call:
            text = text.lstrip()
        bare = text.rstrip()
        if bare:
            said.append("".join(self._white) + bare)
            self._white, self._after_call = [], False
        if len(bare) < len(text):
            self._white.append(text[len(bare) :])


class BareCalls:
    """An answer that is nothing but calls, as JSON objects; one that begins like that is held back until it ends."""

    PREFIX = "<|python_tag|>"

    def __init__(self, form: CallForm, names: Collection[str] | None = None):
        self._form, self._names = form, names
        self._held: list[str] | None = []  # None: it is text
        self._start = ""  # of the answer, without white space, until it is known how it begins
        self._begun = False

    def feed(self, text: str) -> list[Said]:
        if self._held is None:
            return [text] if text else []
        self._held.append(text)
        if not self._begun:
            self._start = (self._start + text).lstrip()
            self._begun = self._start.startswith(("{", self.PREFIX))
        if self._begun or self.PREFIX.startswith(self._start):
            return []
        text, self._held = "".join(self._held), None
        return [text]

    def finish(self) -> list[Said]:
        text, self._held = "".join(self._held or ()), None
        return [*calls] if (calls := self._calls(text)) else [text] if text else []

    def _calls(self, text: str) -> list[ToolCall]:
        """None where a part of the text is none."""
        rest, calls = text.strip().removeprefix(self.PREFIX).strip(), list[ToolCall]()
        while rest:
            try:
                _, end = json.JSONDecoder().raw_decode(rest)
            except (ValueError, RecursionError):
                return []
            call = offered(self._form.read(rest[:end]), self._names)
            if call is None:
                return []
            calls.append(call)
            rest = rest[end:].strip(" \n;")
        return calls


def calls_in(text: str, form: CallForm) -> list[ToolCall]:
    reader = call_reader(form)
    return [each for each in [*reader.feed(text), *reader.finish()] if isinstance(each, ToolCall)]


def offered(call: ToolCall | None, names: Collection[str] | None) -> ToolCall | None:
    """A call of one of these functions; None where it is none."""
    return call if call is not None and (names is None or call.name in names) else None


def any_of(texts: Collection[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, texts)))


def partial(text: str, tags: Collection[str]) -> int:
    """How many characters at the end of a text could be the beginning of a tag."""
    longest = min(max(map(len, tags)) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if any(tag.startswith(text[-n:]) for tag in tags)), 0)

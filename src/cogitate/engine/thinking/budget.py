"""How far a completion's thinking has come, and which tokens are set in it: budget forcing (s1, arXiv:2501.19393), exact to the
token. What counts as a thinking token is defined in `types.ThinkingBudget`.

Tags are found in the bytes of the tokens, so they may be one token or several, and share tokens with the text around them. A
model that begins a closing tag of several tokens has not closed anything until it is complete: if it then has to wait, these
tokens are taken back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

from cogitate.tokenizer.tags import LONGEST_TAG
from cogitate.types import ThinkingBudget


class TagFinder:
    """Finds a tag in bytes that arrive token by token.

    Attributes:
        matched: bytes of the tag with which what has arrived ends.
        first: the number of the token that holds the first of these.
    """

    def __init__(self, tag: bytes):
        self._tag = tag
        self._back = [0] * (len(tag) + 1)  # by matched bytes: the longest shorter match that they end with (Knuth-Morris-Pratt)
        for length in range(2, len(tag) + 1):
            shorter = self._back[length - 1]
            while shorter and tag[shorter] != tag[length - 1]:
                shorter = self._back[shorter]
            self._back[length] = shorter + (tag[shorter] == tag[length - 1])
        self.matched = 0
        self._tokens: deque[int] = deque(maxlen=len(tag))  # the token of each of the last bytes

    @property
    def first(self) -> int:
        return self._tokens[-self.matched]

    def feed(self, text: bytes, number: int) -> int | None:
        """Where in this token's bytes the tag is complete; None where it is not."""
        for at, byte in enumerate(text):
            self._tokens.append(number)
            while self.matched and self._tag[self.matched] != byte:
                self.matched = self._back[self.matched]
            self.matched += self._tag[self.matched] == byte
            if self.matched == len(self._tag):
                return at + 1
        return None


class Thinking:
    """One completion's thinking. Before each token ask `next_set`, then say by `take` which token it was.

    Tokens are numbered from the first of `given_ids`.

    Attributes:
        forced: numbers of the tokens that were set.
        waits: how often it had to wait.
    """

    def __init__(self, budget: ThinkingBudget, texts: Sequence[bytes], prompt_ids: Sequence[int]):
        """
        Args:
            texts: the bytes of each token of the vocabulary; none for those that no reader sees.
        """
        self.budget, self._texts = budget, texts
        opens, self._closes = (tag.encode() for tag in budget.tags)
        before = b"".join(texts[token] for token in prompt_ids[-LONGEST_TAG:]).rstrip()
        self._state: Literal["before", "inside", "closing", "after"] = "inside" if before.endswith(opens) else "before"
        self._finder = TagFinder(self._closes if self._state == "inside" else opens)
        self._tokens: list[int] = []
        self._start = self._end = 0  # numbers of the first thinking token, and of the one after the last, once that is known
        self._to_set: deque[int] = deque()
        self._given = 0
        self.forced: list[int] = []
        self.waits = 0

    @property
    def length(self) -> int:
        """Tokens so far."""
        return len(self._tokens)

    @property
    def count(self) -> int:
        """Thinking tokens so far. Those that begin what may become a closing tag count until it is complete."""
        if self._state == "before":
            return 0
        return (len(self._tokens) if self._state == "inside" else self._end) - self._start

    @property
    def watches(self) -> bool:
        """Whether the next token is sampled and may be taken back later: what it is sampled from is needed then."""
        return self._state == "inside" and not self._to_set and self._may_wait(self._certain)

    @property
    def revocable(self) -> int:
        """How many of the last tokens may still be taken back."""
        if self._state != "inside" or self._certain < max(self._given, self._start) or not self._may_wait(self._certain):
            return 0
        return len(self._tokens) - self._certain

    def next_set(self) -> int | None:
        """The token that has to come next; None where one is sampled."""
        at_most = self.budget.at_most
        if not self._to_set and self._state == "inside" and at_most is not None and self.count >= at_most:
            early = self._may_wait(self._certain)  # it must not end where the tag begins
            rest = self.budget.rest_ids[self._finder.matched] if self._begun and not early else ()
            self._end = self._certain if rest else len(self._tokens)
            self._to_set.extend(rest or self.budget.closing_ids)
            self._state = "closing"
        return self._to_set[0] if self._to_set else None

    def take(self, token: int, *, ends: bool = False) -> int:
        """The next token, sampled or set.

        Args:
            ends: a sampled one that ends the completion.

        Returns:
            How many tokens, this one included, are taken back; 0: it stands. After others a token has to be set.
        """
        number, is_set = len(self._tokens), bool(self._to_set)
        if is_set:
            expected = self._to_set.popleft()
            assert token == expected, f"token {token} in place of {expected}, which has to be set"
            self.forced.append(number)
        self._tokens.append(token)
        if self._state == "closing":
            self._state = "closing" if self._to_set else "after"
            return 0
        inside = self._state == "inside"
        closed = self._read(token, number)
        if is_set or not (closed or (ends and inside)):
            return 0
        first = self._finder.first if closed else number
        if first >= max(self._given, self._start) and self._may_wait(first):
            del self._tokens[first:]
            self._begin_to_wait()
            return number + 1 - first
        self._state, self._end = "after", max(first, self._start)
        return 0

    def drop_revocable(self) -> int:
        """Forget the tokens that may still be taken back; how many they were."""
        count = self.revocable
        if count:
            del self._tokens[-count:]
            self._finder = TagFinder(self._closes)
        return count

    def replay(self, given: Sequence[int], forced: Sequence[int]) -> None:
        """Take over what has been given; `forced` as in GenerationRequest.given_forced."""
        was_set = frozenset(forced)
        for number, token in enumerate(given):
            self._given = number + 1
            expected = self.next_set()
            if number in was_set and expected is None and self._state == "inside":
                self._begin_to_wait()
                expected = self._to_set[0]
            if expected is not None and (number not in was_set or token != expected):
                self._to_set.clear()  # it goes on in another way than we would have
                self._state = "inside" if self._state == "closing" else self._state
            self.take(token)

    def _read(self, token: int, number: int) -> bool:
        """A token before or within the thinking; whether it completes the closing tag."""
        text = self._texts[token]
        end = self._finder.feed(text, number) if self._state != "after" else None
        if self._state == "before" and end is not None:
            self._state, self._start = "inside", number + 1
            self._finder = TagFinder(self._closes)
            end = self._finder.feed(text[end:], number)
        return self._state == "inside" and end is not None

    def _begin_to_wait(self) -> None:
        self.waits += 1
        self._state, self._finder = "inside", TagFinder(self._closes)
        at_most, wait_ids = self.budget.at_most, self.budget.wait_ids
        room = len(wait_ids) if at_most is None else max(1, at_most - self.count)
        self._to_set.extend(wait_ids[:room])

    def _may_wait(self, end: int) -> bool:
        """Where the thinking ended before the token of this number."""
        return self.waits < self.budget.waits and end - self._start < self.budget.at_least

    @property
    def _begun(self) -> bool:
        return self._finder.matched > 0

    @property
    def _certain(self) -> int:
        """The number of the first token that holds a part of what may become the closing tag, or of the next one."""
        return max(self._finder.first, self._start) if self._begun else len(self._tokens)

"""The one definition of how thinking opens and closes; templates, format reward, parser, chat and server all use it.

A model may write other tags; its text is translated before it is read here, see `tags`.

Two formats (arXiv:2501.12948, table 1 and section 2.3):

- `r1_zero`: `<think> reasoning </think> <answer> answer </answer>`
- `r1`: `<think> reasoning </think> summary`, the final answer in `\\boxed{}`

Rules, in the order they apply:

1. Tags are exact: lower case, no spaces inside. `< think >` is text.
2. Thinking runs from the first `<think>` to the first `</think>`, whatever stands between them, code included: a reader that
   streams must decide at once, and in R1's vocabulary both are special tokens.
3. A prompt that ends in `<think>` has opened the thinking (`prefilled`): the completion then starts inside it.
4. `</think>` without `<think>`: what stands before it is thinking (the prompt is taken to have opened it), but only a prefilled
   completion is well-formed.
5. A completion without either tag has no thinking; all of it is the answer region. Prefilled, all of it is unfinished thinking.
6. Thinking that is never closed (truncation) leaves an empty answer region.
7. After the thinking everything belongs to the answer region. A further tag makes the completion ill-formed, unless it stands
   in code (a fenced block or between backticks), where it is text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"

ThinkingFormat = Literal["r1_zero", "r1"]
Channel = Literal["thinking", "answer"]

# Text of end tokens that a decoder may leave behind: part of no answer.
END_TOKENS = (
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "</s>", "<｜end▁of▁sentence｜>", "<|end|>",
)  # fmt: skip

_INLINE_CODE = re.compile(r"`[^`\n]*`")
CODE = r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`"  # fenced or between backticks; the dot matches line breaks
_CODE = re.compile(CODE, re.DOTALL)


@dataclass(frozen=True, slots=True)
class ThinkingParts:
    """A completion cut at its thinking tags.

    Attributes:
        thinking: the text between the tags; None where there is no thinking at all.
        answer_region: the text after the thinking (all of it where there is none); "" where the thinking is never closed.
        opened: the completion itself writes `<think>`.
        closed: the thinking is closed.
        well_formed: the thinking is opened once (by prompt or completion) before any other text, and closed once.
        preamble: the text before the completion's own `<think>`.
    """

    thinking: str | None
    answer_region: str
    opened: bool
    closed: bool
    well_formed: bool
    preamble: str = ""


def split_thinking(completion: str, *, prefilled: bool = False) -> ThinkingParts:
    """Cut a completion at its thinking tags; end tokens left at its end are dropped.

    Args:
        prefilled: the prompt ended in `<think>`.
    """
    completion = strip_end_tokens(completion)
    opened_at, closed_at = completion.find(THINK_OPEN), completion.find(THINK_CLOSE)
    if prefilled or (closed_at >= 0 and not 0 <= opened_at < closed_at):
        start, preamble, opened = 0, "", False  # rule 3, rule 4
    elif opened_at >= 0:
        start, preamble, opened = opened_at + len(THINK_OPEN), completion[:opened_at], True
    else:
        return ThinkingParts(None, completion, opened=False, closed=False, well_formed=False)
    if closed_at < 0:
        return ThinkingParts(completion[start:], "", opened, closed=False, well_formed=False, preamble=preamble)
    thinking, region = completion[start:closed_at], completion[closed_at + len(THINK_CLOSE) :]
    visible = blank_code(region)
    well_formed = (
        (opened or prefilled)
        and not preamble.strip()
        and THINK_OPEN not in thinking
        and THINK_OPEN not in visible
        and THINK_CLOSE not in visible
    )
    return ThinkingParts(thinking, region, opened, closed=True, well_formed=well_formed, preamble=preamble)


def begins_inside_thinking(text: str) -> bool:
    """Whether a completion carries the closing tag alone (rule 4): its prompt had opened the thinking.

    A tag between backticks is text: who writes about tags has not closed anything.
    """
    visible = _INLINE_CODE.sub(lambda code: " " * len(code.group()), text)
    opened_at, closed_at = visible.find(THINK_OPEN), visible.find(THINK_CLOSE)
    return closed_at >= 0 and not 0 <= opened_at < closed_at


def join_thinking(thinking: str, answer: str) -> str:
    """A completion with its thinking in tags, as in the templates of DeepSeek-R1 and Qwen3."""
    return f"{THINK_OPEN}\n{thinking.strip()}\n{THINK_CLOSE}\n\n{answer.strip()}"


def answer_blocks(region: str) -> list[str]:
    """Contents of the complete `<answer>` blocks, in order. A block may hold code; tags that stand in code are text."""
    visible = blank_code(region, keep_open_blocks=True)
    blocks, position = [], 0
    while (start := visible.find(ANSWER_OPEN, position)) >= 0:
        end = visible.find(ANSWER_CLOSE, start)
        if end < 0:
            break
        blocks.append(region[start + len(ANSWER_OPEN) : end])
        position = end + len(ANSWER_CLOSE)
    return blocks


def blank_code(text: str, *, keep_open_blocks: bool = False) -> str:
    """The text with code (fenced or between backticks) replaced by spaces, so that every position keeps its place.

    Args:
        keep_open_blocks: a fence that is never closed is not taken for code.
    """

    def blank(match: re.Match[str]) -> str:
        code = match.group()
        if keep_open_blocks and not code.endswith(code[:3] if code.startswith(("```", "~~~")) else "`"):
            return code
        return " " * len(code)

    return _CODE.sub(blank, text)


def strip_end_tokens(text: str) -> str:
    """Drop end tokens (and white space between them) from the end of a completion."""
    while True:
        bare = text.rstrip()
        token = next((token for token in END_TOKENS if bare.endswith(token)), None)
        if token is None:
            return text
        text = bare[: -len(token)]


class ThinkingStream:
    """The same cut, made while text arrives: feed pieces, get ("thinking" | "answer", text) events.

    A tag may be split over pieces; the least possible text is held back. Without a tag, text is "answer": a stream cannot know
    that `</think>` will follow, so tell it when the prompt has opened the thinking.

    Args:
        tags: what opens and closes the thinking in the text as the model writes it.
    """

    def __init__(self, *, prefilled: bool = False, tags: tuple[str, str] = (THINK_OPEN, THINK_CLOSE)):
        self._opens, self._closes = tags
        self._channel: Channel = "thinking" if prefilled else "answer"
        # The tag that would switch; None after the thinking.
        self._tag: str | None = self._closes if prefilled else self._opens
        self._held = ""

    @property
    def channel(self) -> Channel:
        """What the next text is, as far as one knows."""
        return self._channel

    @property
    def held(self) -> str:
        """The text at the end of what was fed that could be the beginning of a tag."""
        return self._held

    def feed(self, piece: str) -> list[tuple[Channel, str]]:
        """Events for one piece of text, in order; never an empty text."""
        self._held += piece
        events: list[tuple[Channel, str]] = []
        while self._tag is not None and (at := self._held.find(self._tag)) >= 0:
            self._emit(events, at)
            self._held = self._held[len(self._tag) :]
            self._channel, self._tag = ("thinking", self._closes) if self._tag == self._opens else ("answer", None)
        self._emit(events, len(self._held) - self._partial_tag())
        return events

    def finish(self) -> list[tuple[Channel, str]]:
        """Events for the text still held back when the completion ends."""
        events: list[tuple[Channel, str]] = []
        self._emit(events, len(self._held))
        return events

    def _emit(self, events: list[tuple[Channel, str]], length: int) -> None:
        if length:
            events.append((self._channel, self._held[:length]))
            self._held = self._held[length:]

    def _partial_tag(self) -> int:
        """How many characters at the end of the held text could be the beginning of the tag."""
        if self._tag is None:
            return 0
        longest = min(len(self._tag) - 1, len(self._held))
        return next((n for n in range(longest, 0, -1) if self._tag.startswith(self._held[-n:])), 0)

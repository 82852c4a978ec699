"""Where the answer of a completion stands. Three contracts, and the statements by which an answer is announced.

- `r1`: in `<answer>` and/or `\\boxed{}` after the thinking; with neither, the text after `</think>`.
- `bare`: the prediction is the answer, perhaps inside a sentence.
- `free`: no tags needed; the answer stated last (a box, `#### 42`, `A: 42`, "the answer is 42", `**42**`), inside the last
  `<answer>` where there happens to be one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cogitate.tokenizer.thinking import (
    ANSWER_CLOSE,
    ANSWER_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    answer_blocks,
    blank_code,
    split_thinking,
    strip_end_tokens,
)

Contract = Literal["r1", "bare", "free"]
CONTRACTS: tuple[Contract, ...] = ("r1", "bare", "free")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a completion commits to.

    Attributes:
        text: the answer, "" where there is none.
        source: how it was found: "answer tag", "box", "statement" or "text" (no mark: everything after the thinking).
        alternatives: further answers marked in the same way; where they differ from `text` the completion hedges.
        region: everything outside the thinking.
        problem: why there is no answer, one sentence; "" where there is one.
    """

    text: str
    source: Literal["answer tag", "box", "statement", "text"]
    alternatives: tuple[str, ...]
    region: str
    problem: str = ""


def find_answer(prediction: str, contract: Contract) -> Answer:
    """The answer of a completion under a contract. Never raises for a string."""
    if contract == "r1":
        return _r1_answer(prediction)
    text = strip_end_tokens(prediction).strip()
    if not text:
        return Answer("", "text", (), "", "the completion is empty")
    if contract == "bare":
        return _boxed_or_stated(text, stated=False)
    blocks = answer_blocks(text)  # `free` needs no tags, but a model that writes them anyway has said where its answer stands
    return _boxed_or_stated(blocks[-1] if blocks else _TAG.sub("\n", text), stated=True)


def _r1_answer(prediction: str) -> Answer:
    parts = split_thinking(prediction)
    if parts.opened and not parts.closed:
        return Answer("", "text", (), "", "the thinking is never closed, so there is no answer")
    region = outside_thinking(parts.answer_region)
    blocks = answer_blocks(region)
    if blocks:
        boxes = find_boxes(region)
        inner = [box for block in blocks for box in find_boxes(block)]
        marks = inner or [block.strip() for block in blocks]
        others = [*marks[:-1], *(box for box in boxes if box not in inner)]
        return Answer(marks[-1], "answer tag", tuple(others), region, "" if marks[-1] else "the answer is empty")
    if ANSWER_OPEN in blank_code(region):
        return Answer("", "text", (), region, "<answer> is never closed, so there is no answer")
    if not region.strip():
        return Answer("", "text", (), region, "nothing stands after the thinking")
    return _boxed_or_stated(region, stated=True)


def answer_text(prediction: str, contract: Contract) -> str:
    """The answer as plain text, for graders that read all of it (code, instructions): no box or announcement is looked for.

    Under `r1` the last `<answer>` block, else everything after the thinking; "" where the thinking is never closed.
    """
    if contract != "r1":
        return strip_end_tokens(prediction)
    parts = split_thinking(prediction)
    region = outside_thinking(parts.answer_region)
    blocks = answer_blocks(region)
    return blocks[-1] if blocks else region


def outside_thinking(region: str) -> str:
    """Further `<think>` blocks (outside code) are no answer either; one that stays open reaches to the end."""
    while (start := blank_code(region).find(THINK_OPEN)) >= 0:
        end = region.find(THINK_CLOSE, start)
        region = region[:start] + ("" if end < 0 else region[end + len(THINK_CLOSE) :])
    return region


def _boxed_or_stated(text: str, *, stated: bool) -> Answer:
    """The last box; without one the announced answer (where `stated`), else the whole text."""
    boxes = find_boxes(text)
    if boxes:
        return Answer(boxes[-1], "box", tuple(boxes[:-1]), text, "" if boxes[-1] else "the box is empty")
    if _BOX.search(text):
        return Answer("", "box", (), text, "the box is never closed")
    announced = find_statement(text) if stated else None
    if announced:
        return Answer(announced, "statement", (), text)
    return Answer(text.strip(), "text", (), text)


_TAG = re.compile("|".join((THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)))
_BOX = re.compile(r"(?<!\\)\\+(?:boxed|fbox)\s*(?=\{|[^\s{a-zA-Z])")


def find_boxes(text: str) -> list[str]:
    """Contents of `\\boxed{}` and `\\fbox{}`, in order; of nested boxes the innermost; a box that is never closed is none."""
    boxes, position = [], 0
    while match := _BOX.search(text, position):
        start = match.end()
        if text[start] != "{":
            boxes.append(text[start])
            position = start + 1
            continue
        end = closing_brace(text, start)
        if end < 0:
            break
        inner = text[start + 1 : end]
        boxes.extend(find_boxes(inner) or [inner.strip()])
        position = end + 1
    return boxes


def closing_brace(text: str, start: int) -> int:
    """Where the brace at `start` closes, or -1; escaped braces do not count."""
    depth, position = 0, start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 2
            continue
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return position
        position += 1
    return -1


# Words that announce an answer, in the languages of the corpora. Whichever stands last counts.
_ANNOUNCED = re.compile(
    r"""
    \#{4}
    | ^[ \t]*(?:A|Ans)\s*:
    | \b(?:final\s+|correct\s+|right\s+|exact\s+)?(?:answer|solution|result|choice|option)s?\b
      \s*(?:\([^()\n]{0,40}\)\s*)?(?:[*_]{1,3}\s*)?
      (?:is\s*:|are\s*:|is\b|are\b|equals\b|would\s+be\b|must\s+be\b|should\s+be\b|will\s+be\b|:|=)
    | \b(?:r[ée]ponse|respuesta|resposta|antwort|ответ)\b\s*(?:finale?\s*)?(?:est\s*:|es\s*:|ist\s*:|est\b|es\b|ist\b|:)
    | (?:最终|正确|最后的?)?(?:答案|结果|答)(?:就?[是为]|等于|：|:)[：:]?
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_EMPHASIS = re.compile(r"(?<![\w)\]}*])\*\*(?=[^\s*])(.+?)(?<=[^\s*])\*\*(?![\w(\[{*])")
_MARKUP = re.compile(r"</?(?:b|i|u|em|strong|p|span|code|center|font|div)(?:\s[^<>]{0,200})?>", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“'‘]([^\"“”'‘’]+)[\"”'’]\.?")
_BOLD = re.compile(r"\*\*([^*\n]+?)\*\*")


def find_statement(text: str) -> str | None:
    """What stands behind the last announcement, to the end of its line; else the last bold text; None without either."""
    for match in reversed(list(_ANNOUNCED.finditer(text))):
        line = text[match.end() :].lstrip(" \t\n_:：").split("\n", 1)[0].strip()
        if line.count("**") % 2:  # the announcement stood in bold, or half of it
            line = line.removeprefix("**").lstrip(" :：") if line.startswith("**") else line.removesuffix("**")
        if line.strip("*"):
            return strip_markdown(line)
    bold = _BOLD.findall(text)
    return strip_markdown(bold[-1]) if bold else None


def strip_markdown(text: str) -> str:
    """Without marks of emphasis and of code around words, quotes and white space around it; 3**5 stays a power."""
    text = _EMPHASIS.sub(r"\1", _MARKUP.sub("", text).strip())
    quoted = _QUOTED.fullmatch(text)
    text = quoted.group(1) if quoted else text
    return text.strip("`").strip() if text.startswith("`") and text.endswith("`") else text.strip()

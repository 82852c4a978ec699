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
    CODE,
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
        lead: its line up to the end of the announcement, where the answer is a statement ("I doubt that the answer is").
        region: everything outside the thinking.
        problem: why there is no answer, one sentence; "" where there is one.
    """

    text: str
    source: Literal["answer tag", "box", "statement", "text"]
    alternatives: tuple[str, ...]
    region: str
    problem: str = ""
    lead: str = ""


def find_answer(prediction: str, contract: Contract) -> Answer:
    """The answer of a completion under a contract. Never raises for a string."""
    if contract == "r1":
        parts = split_thinking(prediction)
        if parts.opened and not parts.closed:
            return Answer("", "text", (), "", "the thinking is never closed, so there is no answer")
        region = outside_thinking(parts.answer_region)
        empty = "nothing stands after the thinking"
    else:
        region, empty = strip_end_tokens(prediction).strip(), "the completion is empty"
    if not region.strip():
        return Answer("", "text", (), region, empty)
    boxes, open_box = scan_boxes(region)
    if open_box:
        return Answer("", "box", (), region, "the last box is never closed, so there is no answer")
    if has_open_answer(region):
        return Answer("", "text", (), region, "<answer> is never closed, so there is no answer")
    blocks = answer_blocks(region) if contract != "bare" else []
    if contract == "r1" and blocks:
        return _tagged(region, blocks, boxes)
    if contract == "free":  # no tags are needed, but a model that writes them anyway has said where its answer stands
        region = blocks[-1] if blocks else _TAG.sub("\n", region)
        boxes = find_boxes(region)
    return _boxed_or_stated(region, boxes, stated=contract != "bare")


def _tagged(region: str, blocks: list[str], boxes: list[str]) -> Answer:
    inner = [box for block in blocks for box in find_boxes(block)]
    marks = inner or [block.strip() for block in blocks]
    others = [*marks[:-1], *(box for box in boxes if box not in inner)]
    return Answer(marks[-1], "answer tag", tuple(others), region, "" if marks[-1] else "the answer is empty")


def _boxed_or_stated(region: str, boxes: list[str], *, stated: bool) -> Answer:
    """The last box; without one the announced answer (where `stated`), else the whole text."""
    if boxes:
        return Answer(boxes[-1], "box", tuple(boxes[:-1]), region, "" if boxes[-1] else "the box is empty")
    announced = _find_announcement(region) if stated else None
    if announced:
        return Answer(announced[1], "statement", (), region, lead=announced[0])
    return Answer(region.strip(), "text", (), region)


def answer_text(prediction: str, contract: Contract) -> str:
    """The answer as plain text, for graders that read all of it (code, instructions): no box or announcement is looked for.

    Under `r1` the last `<answer>` block, else everything after the thinking; "" where the thinking or the last `<answer>` is
    never closed.
    """
    if contract != "r1":
        return strip_end_tokens(prediction)
    parts = split_thinking(prediction)
    region = outside_thinking(parts.answer_region)
    if has_open_answer(region):
        return ""
    blocks = answer_blocks(region)
    return blocks[-1] if blocks else region


def outside_thinking(region: str) -> str:
    """Further `<think>` blocks (outside code) are no answer either; one that stays open reaches to the end."""
    kept, position, searched = [], 0, 0
    while match := _CODE_OR_THINK.search(region, searched):
        searched = match.end()
        if match.group() != THINK_OPEN:
            continue
        kept.append(region[position : match.start()])
        end = region.find(THINK_CLOSE, searched)
        position = searched = len(region) if end < 0 else end + len(THINK_CLOSE)
    return "".join([*kept, region[position:]])


def has_open_answer(region: str) -> bool:
    """Whether the last `<answer>` (outside code) is never closed."""
    visible = blank_code(region, keep_open_blocks=True)
    return visible.rfind(ANSWER_OPEN) > visible.rfind(ANSWER_CLOSE)


_TAG = re.compile("|".join((THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)))
_CODE_OR_THINK = re.compile(f"{CODE}|{THINK_OPEN}", re.DOTALL)
_BOX_OR_BRACE = re.compile(r"(?<!\\)\\+(?:boxed|fbox)(?![a-zA-Z])\s*(?P<argument>[^\sa-zA-Z}]|\Z)|\\.|[{}]", re.DOTALL)


def find_boxes(text: str) -> list[str]:
    """Contents of `\\boxed{}` and `\\fbox{}`, in order; of nested boxes the innermost; a box that is never closed is none."""
    return scan_boxes(text)[0]


def scan_boxes(text: str) -> tuple[list[str], bool]:
    """The boxes of a text, and whether one is opened and never closed. Escaped braces do not count."""
    boxes: list[str] = []
    opened: list[tuple[int, int]] = []  # open braces: where a box's content begins (-1: no box), boxes found before it
    for match in _BOX_OR_BRACE.finditer(text):
        argument = match["argument"]
        if match.group() == "{" or argument == "{":
            opened.append((match.end() if argument else -1, len(boxes)))
        elif argument == "":
            opened.append((match.end(), len(boxes)))  # the text ends behind \boxed
        elif argument is not None:
            boxes.append(argument)
        elif match.group() == "}" and opened:
            start, before = opened.pop()
            if start >= 0 and len(boxes) == before:
                boxes.append(text[start : match.start()].strip())
    return boxes, any(start >= 0 for start, _ in opened)


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
_EMPHASIS = re.compile(r"(?<![\w)\]}*])\*\*(?=[^\s*])([^\n]{1,400}?)(?<=[^\s*])\*\*(?![\w(\[{*])")
_MARKUP = re.compile(r"</?(?:b|i|u|em|strong|p|span|code|center|font|div)(?:\s[^<>]{0,200})?>", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“'‘]([^\"“”'‘’]+)[\"”'’]\.?")
# "... and this result is consistent" says something about an answer, and does not give it.
_PREDICATE = re.compile(
    r"(?:also\s+|indeed\s+|therefore\s+)?(?:correct|right|consistent|valid|verified|confirmed|reasonable|plausible|unique|found|given"
    r"|obtained|shown|exact|complete|simple|clear|the\s+same|as\s+follows|below|above)\b(?![^\n]*\d)",
    re.IGNORECASE,
)
_LONGEST_LEAD = 300  # characters
_LINE_BEHIND = re.compile(r"[ \t\n_:：]*(?P<line>[^\n]*)")
_BOLD = re.compile(r"\*\*([^*\n]+?)(?<![:：])\*\*(?!\s*[:：])")  # with a colon it is a heading


def find_statement(text: str) -> str | None:
    """What stands behind the last announcement, to the end of its line; else the last bold text; None without either."""
    found = _find_announcement(text)
    return None if found is None else found[1]


def _find_announcement(text: str) -> tuple[str, str] | None:
    """The last statement, and its line up to there."""
    for match in reversed(list(_ANNOUNCED.finditer(text))):
        behind = _LINE_BEHIND.match(text, match.end())
        line = behind["line"].strip() if behind else ""
        if line.count("**") % 2:  # the announcement stood in bold, or half of it
            line = line.removeprefix("**").lstrip(" :：") if line.startswith("**") else line.removesuffix("**")
        if line.strip("*") and not _PREDICATE.match(line):
            start = text.rfind("\n", max(0, match.start() - _LONGEST_LEAD), match.start()) + 1
            lead = text[max(start, match.start() - _LONGEST_LEAD) : match.end()].rstrip(" \n:：=#*_")
            return lead, strip_markdown(line)
    bold = _BOLD.findall(text)
    return ("", strip_markdown(bold[-1])) if bold else None


def strip_markdown(text: str) -> str:
    """Without marks of emphasis and of code around words, quotes and white space around it; 3**5 stays a power."""
    text = _EMPHASIS.sub(r"\1", _MARKUP.sub("", text).strip())
    quoted = _QUOTED.fullmatch(text)
    text = quoted.group(1) if quoted else text
    return text.strip("`").strip() if text.startswith("`") and text.endswith("`") else text.strip()

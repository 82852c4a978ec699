"""What a sentence states: "so the total is **$1,200**, give or take nothing" states $1,200.

A sentence is understood or it is no answer. It is understood where it announces its value (wording.py), the value is read to
its end, and nothing before or behind it denies, doubts or changes it. The reference is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cogitate.rewards.answer import strip_markdown
from cogitate.rewards.math.parser.nodes import Node
from cogitate.rewards.math.reading import Reading, read
from cogitate.rewards.math.wording import (
    ANNOUNCING,
    CLAUSE_START,
    LEADING_IN,
    TAIL_START,
    VALUE_IS_THE_ANSWER,
    is_plain_lead,
    is_plain_sequel,
    is_plain_tail,
)

LONGEST_SENTENCE = 1000  # characters
MOST_ANCHORS, MOST_TAILS, MOST_SENTENCES = 6, 8, 40
_RUN_ON = re.compile(r"<\|(?:im_start|im_end|eot_id|end|endoftext|user|start_header_id)\|>.*", re.DOTALL)
_SENTENCE = re.compile(
    r"(?<=[.!?])(?<!i\.e\.)(?<!e\.g\.)(?<!approx\.)(?<![ap]\.m\.)(?<!\bMrs\.)(?<!\b[MD]r\.)(?<!\bsq\.)\s+|(?<=[。！？])|\n+"
)
_FORMULA_ON_ITS_OWN = re.compile(
    r"(?<![.!?。！？\n])\n\s*(?=\\\[|\$\$|\\begin\b)|(?<=\\\[)\n|(?<=\$\$)\n(?=[^\n]{1,300}\n\$\$)|\n(?=\\\])"
)
_JOINING = re.compile(r"(?:^|\s)(?:and|or|et|ou|und|oder)$", re.IGNORECASE)
_HOLDS_VALUE = re.compile(r"\d|[\\$=<>^+*/√π∞≤≥≠½⅓⅔¼¾∅]")
_STATES_VALUE = re.compile(r"\d|[=<>^√π∞≤≥≠½⅓⅔¼¾∅²³⁰-⁹]|\\(?!(?:text|[()\[\],;!])\b)[A-Za-z]+|^\s*\$")


def read_statement(text: str, *, announced: bool, lead: str = "", reference: bool = False) -> Reading:
    """The value that a text states; without a tree where it states none that we understand.

    Args:
        announced: the text stands behind an announcement ("the answer is"), so its first sentence counts; else its last.
        lead: that announcement and what stands before it in its line.
        reference: it is a reference's.
    """
    if not is_plain_lead(lead):
        return Reading(f"{lead} {text}", (), f"{lead.strip()!r} takes it back")
    sentences = _sentences(text)
    if not announced:
        sentences.reverse()
    for number, sentence in enumerate(sentences[:MOST_SENTENCES]):
        found = _read_sentence(sentence, announced=announced, reference=reference)
        if found is not None:
            sequel = sentences[number + 1 : number + 3] if announced and not reference else []
            plain = all(map(is_plain_sequel, sequel))
            return found if plain else Reading(text, (), "what follows takes it back")
        if announced or _HOLDS_VALUE.search(sentence) or not is_plain_sequel(sentence):
            break
    return Reading(text, (), "it states no value that is understood")


def _sentences(text: str) -> list[str]:
    text = _FORMULA_ON_ITS_OWN.sub(" ", _RUN_ON.sub("", text).strip())
    return [sentence.strip() for sentence in _SENTENCE.split(text) if sentence and sentence.strip()]


def _read_sentence(sentence: str, *, announced: bool, reference: bool) -> Reading | None:
    sentence = strip_markdown(sentence)
    if len(sentence) > LONGEST_SENTENCE:
        return None
    start = LEADING_IN.match(sentence)
    position = start.end() if start else 0
    reversed_ = VALUE_IS_THE_ANSWER.fullmatch(sentence, position)
    if reversed_ and is_plain_tail(reversed_["tail"], value=None, measured=False):
        found = read(reversed_["value"], reference=reference)
        if found.is_value and _STATES_VALUE.search(found.text):
            return found
    for begin, lead in _anchors(sentence, position):
        rest = sentence[begin:]
        if (begin == position and announced) or _STATES_VALUE.search(rest):
            found_here = _read_beginning(rest, reference=reference)
            if found_here is not None:
                return found_here if is_plain_lead(lead) else None
    return None


def _anchors(sentence: str, start: int) -> Iterator[tuple[int, str]]:
    """Where a value may begin, and what stands before it: the sentence, then behind its last verb, then at its last clause."""
    yield start, ""
    for match in list(ANNOUNCING.finditer(sentence, start))[: -MOST_ANCHORS - 1 : -1]:
        yield match.end(), sentence[: match.start()]
    for match in list(CLAUSE_START.finditer(sentence, start))[: -MOST_ANCHORS - 1 : -1]:
        yield match.end(), ""


def _read_beginning(rest: str, *, reference: bool) -> Reading | None:
    """The longest beginning of a text that is a value, where what follows it lets it stand."""
    ends = [match.start() for match in TAIL_START.finditer(rest)][:MOST_TAILS]
    for end in [len(rest), *reversed(ends)]:
        value = rest[:end].rstrip(" .,;:。*").strip()
        if not value or not _STATES_VALUE.search(value) or _JOINING.search(value):
            continue
        found = read(value, reference=reference)
        if not found.is_value:
            continue
        tree = found.trees[0]
        number = float(tree.value[0]) if tree.op == "num" else None
        if is_plain_tail(rest[end:], value=number, measured=_is_measured(tree)):
            return _last_calculation(found)
    return None


def _is_measured(node: Node) -> bool:
    beside_letter = node.op == "mul" and node.value == "spaced" and node.args[1].op == "var"  # 79 g
    return node.op in ("measured", "percent", "degree") or beside_letter or (node.op == "neg" and _is_measured(node.args[0]))


def _last_calculation(found: Reading) -> Reading:
    """Of several calculations ("16 - 3 = 13, and 13 + 5 = 18") the last."""
    tree = found.trees[0]
    if tree.op == "list" and all(_is_calculation(item) for item in tree.args):
        return Reading(found.text, (tree.args[-1],))
    return found


def _is_calculation(node: Node) -> bool:
    return node.op == "rel" and set(node.value) == {"="} and not any(_has_name(arg) for arg in node.args)


def _has_name(node: Node) -> bool:
    return node.op in ("var", "text", "call") or any(_has_name(arg) for arg in node.args)

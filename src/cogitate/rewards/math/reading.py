"""One answer, read: its text and, where we can read it, its trees."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cogitate.rewards.answer import strip_markdown
from cogitate.rewards.math.parser.nodes import QUALIFYING_WORDS, RELATIONS, Node
from cogitate.rewards.math.parser.syntax import parse
from cogitate.rewards.math.parser.tokens import NotMathError
from cogitate.rewards.math.wording import is_plain_name

_DECIMAL_COMMA = re.compile(r"\s*\$?\s*[-+]?\d+,(\d+)\s*\$?\s*")
_EUROPEAN = re.compile(r"\s*\$?\s*[-+]?\d{1,3}(?:\.\d{3})+,\d\d?\s*\$?\s*")  # 1.234,50
_THOUSANDS = re.compile(r"\s*\$?\s*[-+]?[1-9]\d{0,2}(?:,\d{3})+\s*\$?\s*")
_NAMED = re.compile(r"([^=0-9,;<>~!≠^+*/-][^=0-9,;<>~!≠]{0,79})=([^=<>~]+)")
_RELATION_NAMES = frozenset(RELATIONS) | {"neg", "lnot", "nexists", "notin", "pm", "mp"}


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as text and, where we can read it, as trees (more than one where the text is ambiguous: 1,22).

    Attributes:
        fault: why there is no tree, half a sentence.
    """

    text: str
    trees: tuple[Node, ...]
    fault: str = ""

    @property
    def is_value(self) -> bool:
        """Whether it was read as more than words, and without words beside values."""
        if not self.trees or self.trees[0].op == "text":
            return False
        kinds = {item.op == "text" for item in self.trees[0].args} if self.trees[0].op == "list" else set()
        return len(kinds) < 2


def read(text: str, *, reference: bool = False) -> Reading:
    """Read one answer.

    Args:
        reference: it is a reference: any word may be a unit, and "3,7" is a list of two values, while an answer's comma may be
            a decimal one before a single digit too.
    """
    text = strip_markdown(text)
    trees: list[Node] = []
    fault = ""
    try:
        trees.append(parse(text, open_units=reference))
    except NotMathError as error:
        fault = str(error)
        trees.extend(_named_value(text, reference=reference))
    comma = _DECIMAL_COMMA.fullmatch(text)
    if comma and len(comma.group(1)) >= (2 if reference else 1) and not _THOUSANDS.fullmatch(text):
        trees.append(parse(text.replace(",", ".")))
    if _EUROPEAN.fullmatch(text):
        trees.append(parse(text.replace(".", "").replace(",", ".")))
    return Reading(text, tuple(trees), fault)


def _named_value(text: str, *, reference: bool) -> list[Node]:
    """`rank A = 2`: the value of something whose name we do not read, where the name holds no number and no doubt."""
    named = _NAMED.fullmatch(text)
    if named is None or not _is_readable_name(named.group(1)):
        return []
    try:
        return [parse(named.group(2), open_units=reference)]
    except NotMathError:
        return []


def _is_readable_name(name: str) -> bool:
    words = set(re.findall(r"[a-z']+", name.casefold()))
    whole = name.count("(") == name.count(")") and name.count("[") == name.count("]") and name.count("|") % 2 == 0
    plain = is_plain_name(name) and not words & (QUALIFYING_WORDS | _RELATION_NAMES)
    return whole and plain and re.search(r"[\w)\]}|']\s*$", name) is not None

"""The statements of a thinking that a program can check: equations, remainders, and results compared with what is wanted.

Precise rather than complete: a formula with an unknown in it, a question, a supposition, a negation and code state nothing.
Numbers are unsigned decimals with or without thousands separators; `x` is a multiplication between two numbers alone.
"""

from __future__ import annotations

import ast
import itertools
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from cogitate.tokenizer.thinking import blank_code

StatementKind = Literal["equation", "remainder", "comparison", "claim"]


@dataclass(frozen=True, slots=True)
class Statement:
    """Something said in a thinking.

    Attributes:
        kind: equation ("4 + 10 = 14"), remainder ("17 / 5 leaves 2"), comparison ("14, 6? no"; "6, yes"), claim (of a knight
            or a knave: "Ann says Ben is a knave: true").
        start, end: where it stands.
        subject: what it is about, without what it says of it: two statements of one subject contradict or repeat each other.
        value: the result that it states, where it is a number.
        rejects: of a comparison, whether it says that the result is not what is wanted.
    """

    kind: StatementKind
    start: int
    end: int
    subject: str
    right: bool
    value: Fraction | int | None = None
    rejects: bool = False


# Bounds and the possessive digits keep the time linear in the text, whatever a model repeats for ever.
_NUMBER = r"(?<!\d)(?:\d{1,3}(?:,\d{3}){1,9}(?!\d)|\d++)(?:\.\d++)?"
_GAP = r"[^\S\n]*"  # a statement stands on one line
_ATOM = rf"(?:\({_GAP}){{0,9}}{_NUMBER}(?:{_GAP}\)){{0,9}}"
_OPERATOR = r"(?:[+\-−*×·/÷]|(?<=\s)x(?=\s))"
_TERMS = rf"{_ATOM}(?:{_GAP}{_OPERATOR}{_GAP}{_ATOM}){{0,40}}"
_EQUALS = r"(?:={1,2}|\b(?:is|equals|makes|gives)\b(?!\s+not)|等于|得到?|是)"
_EQUATION = re.compile(rf"(?P<first>{_TERMS})(?P<others>(?:{_GAP}{_EQUALS}{_GAP}[-−]?{_TERMS})+)")
_EQUALS_ALONE = re.compile(_EQUALS)
_REMAINDER = re.compile(
    rf"(?P<left>{_NUMBER})\s*(?:/|÷|divided by|除以)\s*(?P<by>{_NUMBER})"
    rf"(?:\s*(?:=|is|等于|得)\s*(?P<times>\d+))?\s*,?，?\s*"
    rf"(?:leaves|remainder|with remainder|has remainder|\br|余数?是?)\s*(?P<rest>\d+)(?!\d|\.\d)"
    rf"|(?P<left2>{_NUMBER})\s*(?:%|mod)\s*(?P<by2>{_NUMBER})\s*(?:=|is|是|等于)\s*(?P<rest2>\d+)(?!\d|\.\d)",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\b(?:if|suppose|assume|assuming|whether|unless|need|needs|want|wants|should|would|must|let(?!\s+(?:me|us)\b)|not|cannot|never)\b"
    r"|如果|假设|假如|若|设|要使|需要|应该|希望|不是|并非",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;。；\n,，:：!！?？]")
_ASKED = re.compile(r"\s*[?？]")
_NEAR = 24  # characters before a side that say whether it is whole
_CUT_BEFORE = re.compile(r"\d[^\S\n]+$|\sx\s*$|\bof\s*$|的$")
_MINUS_BEFORE = re.compile(r"[\w)]\s*[-−]$")
_CUT_AFTER = re.compile(
    r"[A-Za-z_^%]|\s*[+\-−*×·/÷^]\s*[\w(]|\s*[)]|[.,]\d|[^\S\n]+\d|\s*(?:leaves|remainder|余)",
)
_CALCULATION = re.compile(rf"\d[\s)]*{_OPERATOR}")


def find_statements(thinking: str, wanted: frozenset[int] | None = None) -> list[Statement]:
    """Equations, remainders and comparisons, in the order in which they end.

    Args:
        wanted: the results that the problem asks for. Without them only comparisons that name both numbers are judged.
    """
    text = blank_code(thinking)
    remainders = list(_remainders(text))
    inside = [(found.start, found.end) for found in remainders]
    equations = [
        found for found in _equations(text) if not any(start < found.end and found.start < end for start, end in inside)
    ]
    results = sorted([*remainders, *equations], key=lambda found: found.end)
    compared = [comparison for found in results if (comparison := compare(text, found, wanted))]
    return sorted([*results, *compared], key=lambda found: (found.end, found.start))


def _equations(text: str) -> Iterator[Statement]:
    """Each pair of neighbours of a chain a = b = c of which one at least is to be calculated."""
    for match in _EQUATION.finditer(text):
        parts, position = [(match["first"], match.start(), match.end("first"))], match.start("others")
        for piece in _split(match["others"]):
            start = position + len(piece) - len(piece.lstrip())
            position += len(piece)
            parts.append((piece, start, position))
        if _is_cut_left(text, match.start()):
            parts = parts[1:]
        if _is_cut_right(text, match.end()):
            parts = parts[:-1]
        if _is_supposed(text, match.start(), match.end()):
            continue
        yield from _pairs(parts)


def _split(others: str) -> list[str]:
    """`= 14 = 10 + 4` as two pieces, each with its sign of equality."""
    starts = [found.start() for found in _EQUALS_ALONE.finditer(others)]
    return [others[start:end] for start, end in zip([0, *starts[1:]], [*starts[1:], len(others)], strict=True)]


def _pairs(parts: list[tuple[str, int, int]]) -> Iterator[Statement]:
    for (first, start, _), (second, _, end) in itertools.pairwise(parts):
        sign = _EQUALS_ALONE.search(second)
        left, right = (_EQUALS_ALONE.sub("", side).strip() for side in (first, second))
        calculated = _is_calculation(left)
        if not calculated and (not _is_calculation(right) or (sign and "=" not in sign.group())):
            continue  # "half of 6 is 6 / 2" says nothing of the number 6
        values = value_of(left), value_of(right)
        if values[0] is not None and values[1] is not None:
            subject = _plain(left if calculated else right)
            yield Statement("equation", start, end, subject, values[0] == values[1], values[1])


def _is_calculation(text: str) -> bool:
    return _CALCULATION.search(text) is not None


def _is_cut_left(text: str, start: int) -> bool:
    """Whether what stands before belongs to the first side: a letter or a sign of an operation."""
    near = text[max(0, start - _NEAR) : start]
    before = near.rstrip()
    if not before:
        return False
    last = near[-1]
    if last in "_.," or (last.isascii() and last.isalnum()):
        return True
    if before[-1] in "-−" and not _MINUS_BEFORE.search(before):
        return True  # a signed number, which is not read
    return before[-1] in "+-−*×·/÷^(%" or _CUT_BEFORE.search(near) is not None


def _is_cut_right(text: str, end: int) -> bool:
    """Whether the last side goes on with something that is not read: an unknown, a power, a decimal."""
    return _CUT_AFTER.match(text, end) is not None


def _is_supposed(text: str, start: int, end: int) -> bool:
    """Whether the clause asks, supposes or denies."""
    if _ASKED.match(text, end):
        return True
    begins = max(0, start - 80)
    if not _SUPPOSED.search(text, begins, start):
        return False
    ends = [found.end() for found in _CLAUSE_END.finditer(text, begins, start)]
    return _SUPPOSED.search(text, ends[-1] if ends else begins, start) is not None


def _remainders(text: str) -> Iterator[Statement]:
    for match in _REMAINDER.finditer(text):
        if _is_cut_left(text, match.start()) or _is_supposed(text, match.start(), match.end()):
            continue
        if match.end() - match.start() > LONGEST:
            continue
        left, by, rest = (match[name] or match[f"{name}2"] for name in ("left", "by", "rest"))
        number, modulus, remainder = (Fraction(part.replace(",", "")) for part in (left, by, rest))
        if not modulus:
            continue
        is_right = number % modulus == remainder and (match["times"] is None or number // modulus == int(match["times"]))
        yield Statement("remainder", match.start(), match.end(), f"{left}%{by}", is_right, remainder)


_AND = r"[\s,，.。;；]*"
_NO_TARGET = re.compile(
    rf"{_AND}(?:(?:no\b|不对|不行){_AND})?(?:but|which\s+is|that\s+is|it\s+is|而|这)?\s*(?:not|isn't|≠|不是|不等于)\s*(?P<target>\d{{1,20}})(?!\d|\.\d)",
    re.IGNORECASE,
)
_YES_TARGET = re.compile(
    rf"{_AND}(?:(?:yes|right|对){_AND}(?P<a>\d{{1,20}})|(?:that\s+is|which\s+is|正好是|就是|是)\s*(?P<b>\d{{1,20}})|(?P<c>\d{{1,20}}){_AND}(?:yes|right|对))(?!\d|\.\d)"
    r"(?!\s*[+\-*/=])",
    re.IGNORECASE,
)
_COMPARED = re.compile(  # "15, 6? no"; "6, wanted 6, yes"
    rf"{_AND}(?:wanted|want|for|is\s+it|要|目标|是)?\s*(?P<target>\d{{1,20}})\s*吗?\s*[?？,，:：]\s*"
    r"(?:(?P<no>no\b|not\b|wrong\b|不对|不是|还?不行)|yes\b|right\b|that\s+fits\b|对|是|行|正好)",
    re.IGNORECASE,
)
_YES = re.compile(rf"{_AND}(?:yes|对)(?=\s*(?:[.,;，。；]|$))", re.IGNORECASE)
_NO = re.compile(
    rf"{_AND}(?:no(?=\s*(?:[.;]|$))|不对(?=\s*(?:[。；]|$))|不行|too\s+(?:small|large|big|low|high)|太[小大])", re.IGNORECASE
)


def compare(text: str, result: Statement, wanted: frozenset[int] | None) -> Statement | None:
    """The comparison that follows a result directly; None where there is none, or none that can be judged."""
    value, subject = result.value, f"{result.subject}={result.value}"
    assert value is not None, result
    asked = _COMPARED.match(text, result.end)
    if asked:
        target, rejects = int(asked["target"]), asked["no"] is not None
        is_right = (value == target) != rejects and (wanted is None or target in wanted)
        return Statement("comparison", result.end, asked.end(), subject, is_right, rejects=rejects)
    named = _NO_TARGET.match(text, result.end)
    if named:
        target = int(named["target"])
        is_right = value != target and (wanted is None or target in wanted)
        return Statement("comparison", result.end, named.end(), subject, is_right, rejects=True)
    named = _YES_TARGET.match(text, result.end)
    if named:
        target = int(named["a"] or named["b"] or named["c"])
        is_right = value == target and (wanted is None or target in wanted)
        return Statement("comparison", result.end, named.end(), subject, is_right)
    for pattern, rejects in ((_NO, True), (_YES, False)):
        plain = pattern.match(text, result.end)
        if plain and wanted is not None:
            return Statement("comparison", result.end, plain.end(), subject, (value in wanted) != rejects, rejects=rejects)
    return None


LONGEST = 200  # characters of one side of a statement
_OPERATIONS: dict[type[ast.operator], Callable[[Fraction | int, Fraction | int], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


@lru_cache(maxsize=4096)  # the same sums come again and again in the completions of a group
def value_of(text: str) -> Fraction | int | None:
    """The exact value of an expression; None for what is none, is longer than LONGEST, or divides by zero."""
    plain = _plain(text)
    if plain.isascii() and plain.isdigit() and (plain[0] != "0" or plain == "0") and len(plain) <= LONGEST:
        return int(plain)
    if len(plain) > LONGEST:
        return None
    try:
        return _value(ast.parse(plain, mode="eval").body)
    except (SyntaxError, ZeroDivisionError, KeyError, ValueError):
        return None


_SIGNS = str.maketrans({"−": "-", "×": "*", "·": "*", "÷": "/", "x": "*", ",": None})


def _plain(text: str) -> str:
    """With the signs of a programming language, without spaces and thousands separators."""
    return "".join(text.translate(_SIGNS).split())


def _value(node: ast.expr) -> Fraction | int:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        return Fraction(left, right) if isinstance(node.op, ast.Div) else _OPERATIONS[type(node.op)](left, right)
    raise ValueError(f"{type(node).__name__} is no part of an expression")

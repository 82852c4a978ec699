"""A user's answer as text, and whether it is mathematics, which the grader of mathematics compares, or words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import shown
from cogitate.rewards.math.units import find_unit

NUMBER = re.compile(r"[-+−]?[$€£¥]?[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:/\d+)?(?:[eE][-+]?\d+)?\s*(?:\\?%|°)?")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
TEXT_COMMANDS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
ENVIRONMENTS = re.compile(r"\\(?:begin|end)\s*\{[a-z]+\*?\}")
COMMANDS = re.compile(r"\\[A-Za-z]+|\\[^A-Za-z]")
MATHS_CHARACTERS = re.compile(r"[\w\s.,;|!'&°%+\-−–*/^=<>≤≥≠±×÷·√∞π∪∩∈(){}\[\]$€£¥_]*", re.ASCII)
MATHS_WORD = re.compile(r"(?:arc)?(?:sin|cos|tan)|cot|sec|csc|log|exp|sqrt|max|min|mod|gcd|lcm|inf")
SHORT_WORD = re.compile(
    r"is|at|in|of|to|no|or|an|as|by|am|pm|my|we|he|it|on|if|up|do|so|mr|ms|dr|st|us|uk|eu|bc|ad", re.IGNORECASE
)
AMOUNT = re.compile(
    r"[-+−]?[$€£¥]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:\s+\d+/\d+|/\d+)?(?<=\d)(?P<space>\s*)(?P<unit>[^\W\d_]\D*)"
)
SYMBOL = re.compile(r"(?![A-Z][a-z]+$)[A-Za-z]{0,2}[A-Z][A-Za-z]{0,2}")  # kWh, GHz, USD; not a name
TIME = re.compile(r"\d{1,2}(?:[:.]\d{2})?\s*[ap]\.?\s*m\.?", re.IGNORECASE)
DATES_AND_TIMES = frozenset(
    [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "noon",
        "midnight",
        "oclock",
        "clock",
        "bce",
        "ce",
        "年",
        "月",
        "日",
        "号",
        "点",
    ]
)
JOINING_WORDS = frozenset(
    [
        "the",
        "and",
        "or",
        "of",
        "not",
        "for",
        "from",
        "out",
        "than",
        "more",
        "less",
        "over",
        "under",
        "with",
        "without",
        "then",
        "only",
        "st",
        "nd",
        "rd",
        "th",
    ]
)


def answer_text(answer: Any) -> str:
    """An answer as text: 43.0 is "43", the tail of "... #### 42" is "42".

    Raises:
        DataError: neither text nor a finite number.
    """
    if answer is None:
        raise DataError("answer is missing")
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise DataError(f"answer must be text or a number, got {shown(answer)}; write a list or a truth value as text")
    if isinstance(answer, str):
        return answer.rpartition("####")[2].strip()
    if isinstance(answer, int):
        return str(answer)
    exact = Decimal(repr(answer))
    if not exact.is_finite():
        raise DataError(f"answer must be finite, got {answer}")
    return str(int(exact)) if exact == exact.to_integral_value() else format(exact, "f")


def is_mathematics(text: str) -> bool:
    """Is an answer a number, an amount or an expression, or several of them ("x=3 or x=-3"), rather than words?"""
    parts = [part.strip() for part in re.split(r"\s+or\s+|\s*或\s*", text)]
    return all(is_expression(part) or is_amount(part) or is_list_of_values(part) for part in parts)


def is_list_of_values(text: str) -> bool:
    """Expressions with "and" between them, each with a digit: 3 and 5, x=3 and y=4."""
    parts = re.split(r"\s+and\s+|\s*和\s*", text)
    return all(re.search(r"\d", part) is not None and is_expression(part) for part in parts)


def is_amount(text: str) -> bool:
    """A number and what it counts or measures: 12 red apples, 20 miles per hour, 5 kWh, 15米.

    What follows the number are up to four words in lower case, none of which only joins others or tells a date or time; or the
    symbol of a unit; or a unit that the grader of mathematics knows.
    """
    match = AMOUNT.fullmatch(text.strip().rstrip("."))
    if match is None:
        return False
    unit = match["unit"]
    if unit in DATES_AND_TIMES:
        return False
    if find_unit(unit) is not None:
        return not SHORT_WORD.fullmatch(unit)
    if SYMBOL.fullmatch(unit):
        return not SHORT_WORD.fullmatch(unit)
    words = re.split(r"[\s/-]+", unit)
    return (
        match["space"] != ""
        and len(words) <= 4
        and all(re.fullmatch(r"[a-z]{2,}", word) for word in words)
        and not any(SHORT_WORD.fullmatch(word) or word in DATES_AND_TIMES or word in JOINING_WORDS for word in words)
    )


def is_expression(text: str) -> bool:
    """Is an answer a number or an expression?

    It is when it is made of mathematical characters alone, holds a digit, an operator or a LaTeX command, and its words are
    functions or at most two letters long, as units and products are. A date, a time and a name are not; a text in `\\text{...}`
    is when it is a number.
    """
    text = text.strip().strip("$").strip()
    if not text or DATE.fullmatch(text) or TIME.fullmatch(text):
        return False
    if any(character.isdigit() for character in text) and NUMBER.fullmatch(text):
        return True
    if any(NUMBER.fullmatch(inner) and inner.strip() for inner in TEXT_COMMANDS.findall(text)):
        return True
    bare = ENVIRONMENTS.sub("+", TEXT_COMMANDS.sub(" ", text))
    has_command = COMMANDS.search(bare) is not None
    bare = COMMANDS.sub(" ", bare)
    if not MATHS_CHARACTERS.fullmatch(bare) or (not bare.strip() and not has_command):
        return False
    words = [word for word in re.findall(r"[A-Za-z]{2,}", bare) if not MATHS_WORD.fullmatch(word)]
    if any(len(word) > 2 or (" " in text and SHORT_WORD.fullmatch(word)) for word in words):
        return False
    return has_command or re.search(r"\d|\w\s*[-+*/^=<>≤≥]\s*\w|[√∞π]", bare) is not None

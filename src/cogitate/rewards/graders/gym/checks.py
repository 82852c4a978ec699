"""What must hold beside full marks, for scorers of reasoning-gym (0.1) that give them to wrong answers.

Each check returns what is wrong with an answer, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

Check = Callable[[str, Mapping[str, Any]], str | None]


def _says_the_truth_value(text: str, entry: Mapping[str, Any]) -> str | None:
    """The scorer compares the truth of two texts, and every text but the empty one is true."""
    wanted = str(entry["answer"])
    return None if text.strip(" .").casefold() == wanted.casefold() else f"the answer is not {wanted}"


def _uses_the_numbers(text: str, entry: Mapping[str, Any]) -> str | None:
    """The scorer accepts any four numbers of the allowed range."""
    numbers = sorted(map(int, re.findall(r"\d+", text)))
    wanted = sorted(entry["metadata"]["numbers"])
    return None if numbers == wanted else f"the answer does not use the numbers {', '.join(map(str, wanted))}, each once"


def _is_that_probability(text: str, entry: Mapping[str, Any]) -> str | None:
    """The scorer takes a correct beginning ("0" of "0.23") for all of it."""
    wanted = Fraction(str(entry["answer"]).replace(",", ""))
    try:
        given = Fraction(text.replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return "the answer is no number"
    return None if abs(given - wanted) <= Fraction(1, 10_000) else f"the answer is not {entry['answer']}"


def _is_finite(text: str, entry: Mapping[str, Any]) -> str | None:
    """The scorer takes a distance that is no number for none."""
    return "the answer is no number" if re.search(r"nan|inf", text, re.IGNORECASE) else None


def _has_that_sign(text: str, entry: Mapping[str, Any]) -> str | None:
    """The scorer looks for the first digits and overlooks a sign before them."""
    first = re.search(r"([-−]\s*)?\d", text)
    negative = first is not None and first.group(1) is not None
    return "the answer has another sign" if negative and not str(entry["answer"]).strip().startswith("-") else None


CHECKS: Mapping[str, Check] = {
    "coin_flip": _is_that_probability,
    "complex_arithmetic": _is_finite,
    "game_of_life_halting": _says_the_truth_value,
    "gsm_symbolic": _has_that_sign,
    "puzzle24": _uses_the_numbers,
}

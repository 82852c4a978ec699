"""Countdown: an arithmetic expression that uses each given number exactly once and makes the target.

The expression is plain ASCII: unsigned decimal integers, `+ - * /` and parentheses. It is parsed here and evaluated in exact
fractions. Anything else (`=`, `x`, `÷`, decimals, leading zeros, a sign, names, full-width digits) is not one expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from cogitate.rewards.answer import Answer, Contract, find_answer
from cogitate.rewards.verdicts import clip, judged, wrong
from cogitate.types import Verdict

_TOKEN = re.compile(r"[ \t\r\n]*(?:(0|[1-9][0-9]*)|([-+*/()]))", re.ASCII)
MAX_DEPTH = 50  # parentheses within parentheses


class NotAnExpression(ValueError):  # noqa: N818 - what the text is, not an error of the program
    """The text is not one plain arithmetic expression; the message is half a sentence."""


def grade_countdown(prediction: str, numbers: Sequence[int], target: int, *, contract: Contract = "r1") -> Verdict:
    """Under `r1` the expression must stand in `<answer>` or a box; under `bare` and `free` it may stand alone."""
    answer = find_answer(prediction, contract)
    fault = _answer_fault(answer, contract)
    if fault:
        return wrong(fault)
    text = answer.text.rstrip(" .。") if answer.source == "statement" else answer.text  # "The answer is 6 * 4."
    try:
        value, used = evaluate(text)
    except NotAnExpression as error:
        return wrong(f"the answer is not one expression: {error}", text)
    if sorted(used) != sorted(numbers):
        return wrong(f"uses {clip(str(sorted(used)))}, not each of {sorted(numbers)} once", text)
    return judged(value == target, f"makes {value}, the target is {target}", text)


def _answer_fault(answer: Answer, contract: Contract) -> str:
    if answer.problem:
        return answer.problem
    if contract == "r1" and answer.source not in ("answer tag", "box"):
        return "there is no <answer>"
    if any(other != answer.text for other in answer.alternatives):
        return "several different answers are given"
    return ""


def evaluate(text: str) -> tuple[Fraction, list[int]]:
    """Value of an expression and the numbers it uses, in order.

    Raises:
        NotAnExpression: anything that is not one expression, division by zero included.
    """
    tokens = _tokens(text)
    used: list[int] = []
    value, position = _sum(tokens, 0, used, 0)
    if position != len(tokens):
        raise NotAnExpression(f"{tokens[position]!r} stands where an operator or the end was expected")
    return value, used


def _tokens(text: str) -> list[str]:
    tokens, position, text = [], 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise NotAnExpression(f"{clip(text[position:], 20)!r} is no number, operator or parenthesis")
        tokens.append(match.group(1) or match.group(2))
        position = match.end()
    if not tokens:
        raise NotAnExpression("it is empty")
    return tokens


def _sum(tokens: list[str], position: int, used: list[int], depth: int) -> tuple[Fraction, int]:
    value, position = _product(tokens, position, used, depth)
    while position < len(tokens) and tokens[position] in "+-":
        operator = tokens[position]
        term, position = _product(tokens, position + 1, used, depth)
        value = value + term if operator == "+" else value - term
    return value, position


def _product(tokens: list[str], position: int, used: list[int], depth: int) -> tuple[Fraction, int]:
    value, position = _atom(tokens, position, used, depth)
    while position < len(tokens) and tokens[position] in "*/":
        operator = tokens[position]
        factor, position = _atom(tokens, position + 1, used, depth)
        if operator == "/" and factor == 0:
            raise NotAnExpression("it divides by zero")
        value = value * factor if operator == "*" else value / factor
    return value, position


def _atom(tokens: list[str], position: int, used: list[int], depth: int) -> tuple[Fraction, int]:
    if position == len(tokens):
        raise NotAnExpression("it ends in the middle")
    token = tokens[position]
    if token == "(":
        if depth == MAX_DEPTH:
            raise NotAnExpression(f"more than {MAX_DEPTH} parentheses within each other")
        value, position = _sum(tokens, position + 1, used, depth + 1)
        if position == len(tokens) or tokens[position] != ")":
            raise NotAnExpression("a parenthesis is not closed")
        return value, position + 1
    if not token.isdigit():
        raise NotAnExpression(f"{token!r} stands where a number was expected")
    if len(token) > 15:
        raise NotAnExpression("it holds a number of more than 15 digits")
    used.append(int(token))
    return Fraction(int(token)), position + 1

"""Units behind a number, as they are written: `15\\text{ cm}^2`, `80 km/h`, `5 dollars`. Part of the parser."""

from __future__ import annotations

from fractions import Fraction

from cogitate.rewards.math.counted import DESCRIBING, is_counted
from cogitate.rewards.math.parser.cursor import Cursor
from cogitate.rewards.math.parser.nodes import (
    ENGLISH_WORDS,
    FUNCTIONS,
    MULTIPLIERS,
    PERCENT_WORDS,
    QUALIFYING_WORDS,
    UNIT_FILLERS,
    Node,
)
from cogitate.rewards.math.parser.tokens import NotMathError, Token
from cogitate.rewards.math.units import Unit, find_unit, plain_unit, power_word


def begins_unit(parser: Cursor) -> bool:
    """Whether words of measurement follow, to the end of the item."""
    token = parser.at()
    if token is None or token.kind not in ("text", "word") or parser.separates(token) or parser.begins_called_name():
        return False
    word = token.text.strip(" .,")
    if token.kind == "text":
        return len(word) > 1 or word in MULTIPLIERS or find_unit(word) is not None
    if (word == "min" and parser.at(1) is None) or "\u4e00" <= word[:1] <= "\u9fff":  # 5个, 5颗弹珠
        return True
    if len(word) == 1 or word in FUNCTIONS or word == "pi":
        return False
    return (
        word in PERCENT_WORDS
        or find_unit(word) is not None
        or power_word(word) is not None
        or len(word) > 4
        or (token.spaced and len(word) > 2)
    )


def read_unit(parser: Cursor, node: Node) -> Node:
    unit, last, sign, power = Unit(()), Unit(()), 1, 1
    while (token := parser.at()) is not None:
        if token.kind in ("text", "word") and not parser.separates(token):
            parser.position += 1
            for word in token.text.replace(".", " ").replace("/", " / ").split():
                if word.casefold() in (QUALIFYING_WORDS | ENGLISH_WORDS) - UNIT_FILLERS:
                    raise NotMathError(f"{word!r} qualifies the number")
                if word in ("/", "per", "a", "an", "每"):
                    sign = -1 if word in ("/", "per", "每") else sign
                elif word.casefold() in PERCENT_WORDS:
                    node = Node("percent", (node,))
                elif (multiple := MULTIPLIERS.get(word.casefold().removesuffix("s"))) is not None:
                    node = Node("mul", (node, Node("num", (), (Fraction(multiple), str(multiple)))))
                elif word.casefold() in ("squared", "cubed"):  # behind its unit
                    if not last.powers:
                        raise NotMathError(f"{word!r} qualifies the number")
                    unit = unit.times(last.to_power(2 if word.casefold() == "cubed" else 1), sign)
                elif word.casefold() not in UNIT_FILLERS | DESCRIBING:
                    exponent = power_word(word)
                    if exponent is not None:
                        power = exponent
                    else:
                        last = _named_unit(parser, word)
                        unit, power = unit.times(last.to_power(power), sign), 1
            if parser.is_symbol("^"):
                unit = _unit_power(parser, unit, token, sign)
        elif parser.is_symbol("/") and (following := parser.at(1)) is not None and following.kind in ("text", "word"):
            parser.position += 1
            sign = -1
        elif parser.is_command("cdot") and (following := parser.at(1)) is not None and following.kind == "text":
            parser.position += 1
        else:
            break
    if unit == plain_unit("degree"):
        return Node("degree", (node,))
    return node if not unit.powers else Node("measured", (node,), unit)


def _named_unit(parser: Cursor, word: str) -> Unit:
    """The unit of this name.

    Raises:
        NotMathError: the word is no unit, and only units may stand behind a number here.
    """
    known = find_unit(word)
    if known is None and word.startswith(("平方", "立方")) and (length := find_unit(word[2:])) is not None:
        return length.to_power(2 if word.startswith("平方") else 3)
    if known is None and not parser.open_units and not is_counted(word.casefold()):
        raise NotMathError(f"{word!r} behind the number is no unit that we know")
    return known or plain_unit(word)


def _unit_power(parser: Cursor, unit: Unit, token: Token, sign: int) -> Unit:
    parser.position += 1
    exponent = parser.script(power=True)
    digits = exponent.args[0] if exponent.op == "neg" else exponent
    value = digits.value[0] if digits.op == "num" else None
    if value is None or value.denominator != 1 or not 0 < value <= 4:
        raise NotMathError("a unit with an exponent that is no small number")
    last = token.text.replace(".", " ").replace("/", " ").split()[-1]
    power = -int(value) if exponent.op == "neg" else int(value)
    return unit.times(plain_unit(last).to_power(power - 1), sign)

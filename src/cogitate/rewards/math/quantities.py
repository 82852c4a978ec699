"""Numbers and expressions with what may stand behind them: a unit, a percent sign, a degree sign, a base."""

from __future__ import annotations

from fractions import Fraction

from cogitate.rewards.math.decide.equality import same_value
from cogitate.rewards.math.decide.functions import UndefinedError, is_real, mp, mpf
from cogitate.rewards.math.decide.numbers import evaluate, exact, variables
from cogitate.rewards.math.parser.nodes import Node
from cogitate.rewards.math.regions import infinity_sign
from cogitate.rewards.math.units import find_unit

UNITS_BESIDE_DIGITS = "mgshL"  # letters that an answer may write straight behind a number as its unit
DECIMAL_DIGITS = 10  # a decimal of so many digits may stand for a value without end


def same_quantity(gold: Node, answer: Node) -> bool:
    """Numbers and expressions, with or without a unit, a percent sign or a degree sign."""
    gold, answer = _as_measured(gold, answer, letters=""), _as_measured(answer, gold, letters=UNITS_BESIDE_DIGITS)
    marks = ("measured", "percent", "degree")
    if "measured" in (gold.op, answer.op) and gold.op != answer.op and (variables(gold) or variables(answer)):
        return same_number(_letters_as_units(gold), _letters_as_units(answer))
    if gold.op in marks and answer.op == gold.op:
        if gold.op == "measured" and gold.value.powers != answer.value.powers:
            return False
        return same_number(gold, answer)
    if gold.op in marks and answer.op in marks:
        return same_number(gold, answer)
    if gold.op in marks:
        return same_quantity(gold.args[0], answer) or (gold.op != "measured" and same_number(gold, answer))
    if answer.op in marks:
        return same_quantity(gold, answer.args[0]) or (answer.op != "measured" and same_number(gold, answer))
    return same_number(gold, answer)


def _as_measured(node: Node, other: Node, *, letters: str) -> Node:
    """`42 m` beside `42 cm` or 42: the trailing letter is a unit where the other side has one, or is a plain number.

    Beside a plain number a letter without a space before it (`42m`) is a unit only where it is one of `letters`: 3t is no 3.
    """
    if node.op != "mul" or not (other.op == "measured" or _is_plain_number(other)) or variables(node.args[0]):
        return node
    letter, exponent = node.args[1], 1
    if letter.op == "pow" and letter.args[1].op == "num" and letter.args[1].value[0] in (2, 3):
        letter, exponent = letter.args[0], int(letter.args[1].value[0])
    unit = find_unit(str(letter.value)) if letter.op == "var" else None
    if unit is None or (other.op != "measured" and node.value != "spaced" and str(letter.value) not in letters):
        return node
    return Node("measured", (node.args[0],), unit.to_power(exponent))


def _letters_as_units(node: Node) -> Node:
    """`9.8 m/s^2`: letters that name units, read as those."""
    if node.op == "var":
        unit = find_unit(str(node.value))
        return node if unit is None else Node("measured", (Node("num", (), (Fraction(1), "1")),), unit)
    return Node(node.op, tuple(_letters_as_units(arg) for arg in node.args), node.value)


def _is_plain_number(node: Node) -> bool:
    return node.op == "num" or (node.op in ("neg", "div") and all(_is_plain_number(arg) for arg in node.args))


def same_number(gold: Node, answer: Node) -> bool:
    """Equal values; a decimal with enough digits equals the value it rounds."""
    infinities = infinity_sign(gold), infinity_sign(answer)
    if any(infinities):
        return infinities[0] == infinities[1]
    if same_value(gold, answer):
        return True
    return _rounds(answer, gold) or _rounds(gold, answer)


def _rounds(decimal: Node, value: Node) -> bool:
    """Whether a decimal literal of DECIMAL_DIGITS significant digits or more is another value, rounded or cut off there."""
    sign = 1
    while decimal.op == "neg":
        decimal, sign = decimal.args[0], -sign
    if decimal.op != "num" or "." not in decimal.value[1] or variables(value) or _is_finite_decimal(value):
        return False
    literal = decimal.value[1].casefold().split("e")[0]
    if len(literal.replace(".", "").lstrip("0")) < DECIMAL_DIGITS:
        return False
    shift = decimal.value[1].casefold().partition("e")[2]
    unit = Fraction(10) ** (int(shift or 0) - len(literal.partition(".")[2]))
    try:
        found = evaluate(value, {})
    except UndefinedError:
        return False
    if isinstance(found, list) or not is_real(found):
        return False
    distance = abs(mp.re(found) - sign * mpf(decimal.value[0].numerator) / decimal.value[0].denominator)
    return bool(distance < mpf(unit.numerator) / unit.denominator)


def _is_finite_decimal(node: Node) -> bool:
    """Whether a value can be written out in decimals to its end: then nothing else rounds it."""
    try:
        value = exact(node)
    except UndefinedError:
        return False
    if value is None:
        return False
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def same_based(gold: Node, answer: Node) -> bool:
    """Digits and base; a base that the answer leaves out is forgiven, one that the reference does not have is not.

    A number converted to base ten is another answer.
    """
    if gold.op == answer.op:
        return (gold.value[0].lstrip("0"), gold.value[1]) == (answer.value[0].lstrip("0"), answer.value[1])
    based, plain = (gold, answer) if gold.op == "based" else (answer, gold)
    if based is answer and based.value[1] != 10:
        return False
    return plain.op == "num" and plain.value[1] == based.value[0]

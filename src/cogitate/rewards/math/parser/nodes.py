"""The parts an answer is made of, and the words of mathematics that the parser knows.

Operations of a `Node`:

- numbers: num (value, literal) · var (name) · const (pi, e, i, infinity) · neg · add · sub · mul · div · pow · fact · abs ·
  floor · ceil · binom · root (radicand, degree) · call (value: the function's name)
- pm (both signs; args: one or two nodes; value: "+" or "-", the sign that comes first)
- bigop (value: sum, prod, int, lim; args: what stands below it, above it and behind it)
- structure: list (items side by side; value: "and", "or" or "," where all are joined alike) · set (braces) ·
  bracket (value: its delimiters) · matrix (args: rows)
- rel (value: the relations; args: the operands) · union · intersection · setminus
- measured (value: a Unit) · percent · degree · based (value: digits, base) · ratio · text (value: the words)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an answer: the operation, its operands, and what else it needs."""

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


RELATIONS = {
    "=": "=", "==": "=", ":=": "=", "equiv": "=", "<": "<", "lt": "<", ">": ">", "gt": ">", "<=": "<=", "le": "<=", "leq": "<=",
    "leqslant": "<=", "leqq": "<=", ">=": ">=", "ge": ">=", "geq": ">=", "geqslant": ">=", "geqq": ">=", "!=": "!=", "<>": "!=",
    "ne": "!=", "neq": "!=", "approx": "~", "simeq": "~", "sim": "~", "doteq": "~", "in": "in", "to": "->", "rightarrow": "->",
    "mapsto": "->", "=>": "=>", "Rightarrow": "=>", "implies": "=>",
}  # fmt: skip
FRACTIONS = words("frac dfrac tfrac cfrac")
BINOMIALS = words("binom dbinom tbinom")
FUNCTIONS = words(
    """sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh log ln lg exp sqrt max min gcd lcm det"""
)
# Names that programs use before a bracket, and how mathematics says them.
CALLED_NAMES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "acot": "arccot", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh", "arsinh": "arcsinh", "arcosh": "arccosh", "artanh": "arctanh", "arcsinh": "arcsinh",
    "arccosh": "arccosh", "arctanh": "arctanh", "abs": "abs", "Abs": "abs", "floor": "floor", "ceil": "ceil",
    "ceiling": "ceil", "factorial": "fact", "binomial": "binom", "Rational": "div", "Max": "max", "Min": "min",
}  # fmt: skip
BIG_OPERATORS = {"sum": "sum", "prod": "prod", "int": "int", "iint": "int", "oint": "int", "lim": "lim"}
GREEK = words(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi omega"
)
ACCENTS = words("overline bar vec hat widehat tilde overrightarrow mathcal mathbb mathfrak dot")
INVERTIBLE = words("sin cos tan cot sinh cosh tanh")
STYLES = words("boldsymbol bm underline displaystyle")  # they change the looks alone
NO_SOLUTION = words("nosolution nosolutions norealsolution norealsolutions emptyset none")  # without spaces and articles
ALL_REAL_NUMBERS = frozenset(
    {"all real numbers", "all reals", "the set of all real numbers", "set of all real numbers", "real numbers"}
)
REAL_NUMBERS = Node("var", (), "mathbb R")
CONSTANT_COMMANDS = {"infty": "infinity", "infin": "infinity", "pi": "pi"}
INFINITY_WORDS = words("infinity inf infty oo")
PLAIN_SYMBOLS = words("angle triangle ell hbar partial nabla star dagger circ bullet odot oplus otimes parallel perp prime")
DOTS = words("dots ldots cdots dotsc")
APPLIED_NAMES = words("f g h F G H Phi Psi phi psi O Theta Omega P")  # read as functions before a bracket
OR_WORDS = words("or 或 或者 ou oder")
SEPARATING_WORDS = OR_WORDS | words("and 和 及 与 et und")
UNIT_FILLERS = words("per a an of the in total each every")
# Words behind a number that make it another statement: they are no unit of it.
QUALIFYING_WORDS = words(
    """or and not no maybe perhaps possibly probably approximately approx about around roughly nearly almost least most more
    less than if unless but plus minus times mod modulo over under to through until between either neither except without
    out third thirds fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth tenths
    hundredth hundredths thousandth thousandths halves recurring repeating factorial choose root roots below beyond negative
    wrong incorrect false impossible is are was were isn't be which when where because since so hence then"""
)
MULTIPLIERS = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "百": 100, "千": 1000, "万": 10**4, "亿": 10**8,
}  # fmt: skip
BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "sixteen": 16,
}  # fmt: skip
PERCENT_WORDS = words("percent percentage pct")
# Words that are never a product of one-letter names.
ENGLISH_WORDS = words(
    """is are was were be been am the an of to at by for with from as it its we he she they you in on no not yes none if then
    than that this there so thus has have had can may will only also just all any each both one two six ten true even odd zero
    four five nine half let get got gets per time more less most over when where what who how much many such"""
)
CLOSING_SYMBOLS = frozenset({")", "]", "}", r"\}", "|", "&", "\\\\"})

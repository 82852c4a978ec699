"""Conditions on a whole number x, each with its words, what a person calculates to check it, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Calculation = tuple[str, int]  # what is written on the left, and its value: ("17 / 5", 2) for a remainder, ("3 * 4", 12)


@dataclass(frozen=True, slots=True)
class Remainder:
    """x divided by `modulus` leaves `rest`."""

    modulus: int
    rest: int

    def words(self, language: str) -> str:
        if language == "en":
            return f"x divided by {self.modulus} leaves {self.rest}"
        return f"x除以{self.modulus}余{self.rest}"

    def calculations(self, x: int) -> list[Calculation]:
        return [(f"{x} / {self.modulus}", x % self.modulus)]

    def wanted(self, x: int) -> int:
        return self.rest

    def composition(self) -> str:
        return f"{self.modulus}r{self.rest}"


@dataclass(frozen=True, slots=True)
class DigitSum:
    """The digits of x add up to `total`."""

    total: int

    def words(self, language: str) -> str:
        return f"the digits of x add up to {self.total}" if language == "en" else f"x的各位数字之和是{self.total}"

    def calculations(self, x: int) -> list[Calculation]:
        digits = [int(digit) for digit in str(x)]
        return [(" + ".join(map(str, digits)), sum(digits))]

    def wanted(self, x: int) -> int:
        return self.total

    def composition(self) -> str:
        return f"d{self.total}"


@dataclass(frozen=True, slots=True)
class Reversal:
    """x written backwards is `more` larger than x (two digits)."""

    more: int

    def words(self, language: str) -> str:
        return f"x written backwards is x + {self.more}" if language == "en" else f"把x倒过来写就是x + {self.more}"

    def calculations(self, x: int) -> list[Calculation]:
        return [(f"{x} + {self.more}", x + self.more)]

    def wanted(self, x: int) -> int:
        return int(str(x)[::-1])

    def composition(self) -> str:
        return f"b{self.more}"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an equation: x * x or factor * x, then a signed number."""

    form: Literal["square", "multiple"]
    factor: int
    added: int

    def words(self) -> str:
        start = "x * x" if self.form == "square" else f"{self.factor} * x"
        return f"{start}{signed(self.added)}"

    def calculations(self, x: int) -> list[Calculation]:
        left, right = (x, x) if self.form == "square" else (self.factor, x)
        made: list[Calculation] = [(f"{left} * {right}", left * right)]
        if self.added:
            made.append((f"{left * right}{signed(self.added)}", left * right + self.added))
        return made

    def value(self, x: int) -> int:
        return self.calculations(x)[-1][1]


@dataclass(frozen=True, slots=True)
class Equation:
    """Two sides that are equal; the right one may be a number alone."""

    left: Side
    right: Side | int

    def words(self, language: str) -> str:
        return f"{self.left.words()} = {self.right if isinstance(self.right, int) else self.right.words()}"

    def calculations(self, x: int) -> list[Calculation]:
        """Those of the right side, where there are any, then those of the left one."""
        return [*([] if isinstance(self.right, int) else self.right.calculations(x)), *self.left.calculations(x)]

    def wanted(self, x: int) -> int:
        return self.right if isinstance(self.right, int) else self.right.value(x)

    def composition(self) -> str:
        return self.words("en").replace(" ", "")


Condition = Remainder | DigitSum | Reversal | Equation


def holds(condition: Condition, x: int) -> bool:
    """Whether what is calculated is what is wanted."""
    return condition.calculations(x)[-1][1] == condition.wanted(x)


def signed(number: int) -> str:
    """+ 3, - 3, nothing for 0."""
    return f" {'+' if number > 0 else '-'} {abs(number)}" if number else ""

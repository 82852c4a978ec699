"""A place in the tokens of an answer, and the levels of the grammar that its parts call.

The grammar is recursive: a bracket holds a list, whose items hold brackets. The parts of the parser (measures.py, commands.py,
atoms.py) therefore know the levels by their names alone; syntax.py says what each of them is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction

from cogitate.rewards.math.parser.nodes import CALLED_NAMES, RELATIONS, SEPARATING_WORDS, Node
from cogitate.rewards.math.parser.tokens import NotMathError, Token


class Cursor(ABC):
    """Recursive descent over tokens. Each level reads as much as belongs to it and leaves `position` behind it."""

    def __init__(self, tokens: list[Token], *, open_units: bool):
        self.tokens, self.position, self.depth = tokens, 0, 0
        self.open_units = open_units  # any word behind a number may be its unit
        self.bars = 0  # absolute values that are open

    def at(self, offset: int = 0) -> Token | None:
        index = self.position + offset
        return self.tokens[index] if index < len(self.tokens) else None

    def is_symbol(self, *symbols: str, offset: int = 0) -> bool:
        token = self.at(offset)
        return token is not None and token.kind == "symbol" and token.text in symbols

    def is_command(self, *names: str, offset: int = 0) -> bool:
        token = self.at(offset)
        return token is not None and token.kind == "command" and token.text in names

    def take(self) -> Token:
        token = self.at()
        if token is None:
            raise NotMathError("it ends in the middle")
        self.position += 1
        return token

    def expect(self, symbol: str) -> None:
        if not self.is_symbol(symbol):
            found = self.at()
            raise NotMathError(f"{symbol!r} was expected" + (f", not {found.text!r}" if found else " at the end"))
        self.position += 1

    def refuse(self) -> NotMathError:
        token = self.at()
        return NotMathError(f"{token.text!r} stands where a value was expected" if token else "it ends in the middle")

    def separates(self, token: Token) -> bool:
        """Whether a token stands between the items of a list: a comma, a semicolon, "and", "or"."""
        if token.kind == "symbol":
            return token.text in (",", ";")
        if token.kind in ("text", "word"):
            return token.text.strip(" ,").casefold() in SEPARATING_WORDS | {""}
        return token.kind == "command" and token.text in ("land", "lor", "wedge", "vee")

    def begins_factor(self) -> bool:
        """Whether a factor follows without a sign."""
        token = self.at()
        if token is None or self.separates(token):
            return False
        if token.kind == "symbol":
            return token.text in ("(", "[", "{", r"\{") or (token.text == "|" and not self.bars)
        if token.kind == "command":
            return token.text not in RELATIONS and token.text not in (
                "cup", "cap", "setminus", "backslash", "pm", "mp", "cdot", "times", "ast", "div", "end",
                "rfloor", "rceil", "rangle", "rvert", "rVert", "mid", "over", "choose", "pmod", "bmod", "mod",
            )  # fmt: skip
        return True

    def begins_called_name(self) -> bool:
        """Whether a name of programs with its bracket follows: abs(x), floor(x), asin(x)."""
        token = self.at()
        named = token is not None and token.kind in ("word", "text", "command") and token.text.strip() in CALLED_NAMES
        return named and self.is_symbol("(", offset=1)

    # Groups

    def group(self) -> Node:
        """A LaTeX group; braces around several items are a set that lost its backslashes."""
        self.expect("{")
        bars, self.bars = self.bars, 0
        inner = self.listing()
        self.bars = bars
        self.expect("}")
        return Node("set", inner.args) if inner.op == "list" else inner

    def argument(self) -> Node:
        """The argument of a command: a group, one digit of a number, one letter of a word, or one atom."""
        if self.is_symbol("{"):
            return self.group()
        token = self.at()
        if token is not None and token.kind in ("number", "word") and len(token.text) > 1:
            first, rest = token.text[0], token.text[1:]
            if token.kind == "number" and not token.text.isdigit():
                raise self.refuse()
            value = (Fraction(first), Fraction(rest)) if token.kind == "number" else (None, None)
            self.tokens[self.position : self.position + 1] = [
                Token(token.kind, first, value[0], token.spaced, token.position),
                Token(token.kind, rest, value[1], False, token.position + 1),
            ]
        return self.atom()

    # The levels, from the widest to the narrowest

    @abstractmethod
    def listing(self) -> Node:
        """Items separated by commas, semicolons, "and", "or"; one item is itself."""

    @abstractmethod
    def relation(self) -> Node:
        """Expressions with relations between them."""

    @abstractmethod
    def sum(self) -> Node:
        """Terms with plus and minus signs between them."""

    @abstractmethod
    def product(self) -> Node:
        """Factors, with or without a sign between them."""

    @abstractmethod
    def unary(self) -> Node:
        """One factor with the signs before it."""

    @abstractmethod
    def power(self) -> Node:
        """An atom with what is raised behind it."""

    @abstractmethod
    def script(self, *, power: bool) -> Node:
        """What stands raised or lowered: a group, or one factor with its sign."""

    @abstractmethod
    def atom(self) -> Node:
        """A number, a name, a bracket, a command."""

    @abstractmethod
    def inner(self, text: str) -> Node:
        """The tree of a text within the answer."""

"""A recursive-descent parser for mathematical answers. It reads the whole text or refuses it: never a prefix of it.

What comes out is a tree (nodes.py); no value is computed here.
"""

from __future__ import annotations

import re

from cogitate.rewards.math.parser.atoms import number_node, read_atom, read_based
from cogitate.rewards.math.parser.commands import read_command
from cogitate.rewards.math.parser.cursor import Cursor
from cogitate.rewards.math.parser.measures import begins_unit, read_unit
from cogitate.rewards.math.parser.nodes import (
    ALL_REAL_NUMBERS,
    CLOSING_SYMBOLS,
    FRACTIONS,
    FUNCTIONS,
    GREEK,
    INFINITY_WORDS,
    NO_SOLUTION,
    OR_WORDS,
    REAL_NUMBERS,
    RELATIONS,
    SEPARATING_WORDS,
    Node,
)
from cogitate.rewards.math.parser.tokens import NotMathError, Token, clean, tokenize

MAX_DEPTH = 150  # levels of signs, powers and sums within each other; a bracket costs three
MAX_TOKENS = 400
_DATE = re.compile(r"\d{4}([-/])\d{1,2}\1\d{1,2}|\d{1,2}([-/])\d{1,2}\2\d{4}")


def parse(text: str, *, open_units: bool = False) -> Node:
    """The tree of a whole answer.

    Args:
        open_units: any word behind a number may be its unit, as references have them; else only units that we know.

    Raises:
        NotMathError: the text is not entirely mathematics that we read.
    """
    cleaned = clean(text)
    tokens = tokenize(cleaned)
    while tokens and tokens[-1].kind == "symbol" and tokens[-1].text in (".", ",", ";", ":"):
        tokens.pop()
    if not tokens:
        raise NotMathError("it is empty")
    if len(tokens) > MAX_TOKENS:
        raise NotMathError(f"it has more than {MAX_TOKENS} parts")
    if len(tokens) == 1 and tokens[0].kind == "word" and len(tokens[0].text) > 3 and not _is_known(tokens[0].text):
        return Node("text", (), tokens[0].text)
    if _DATE.fullmatch(cleaned):
        return Node("text", (), cleaned)  # a date, no difference or quotient
    if cleaned.replace(" ", "").casefold() in NO_SOLUTION:
        return Node("set")
    if cleaned.casefold() in ALL_REAL_NUMBERS:
        return REAL_NUMBERS
    parser = Parser(tokens, open_units=open_units)
    node = parser.listing()
    if parser.position != len(tokens):
        raise NotMathError(f"{tokens[parser.position].text!r} stands where the end was expected")
    return node


def _ends_in_factorial(node: Node) -> bool:
    """Behind `3!` a number may follow: 3!5! is a product."""
    return node.op == "fact" or (node.op == "mul" and _ends_in_factorial(node.args[1]))


def _is_known(word: str) -> bool:
    return word in FUNCTIONS or word.removeprefix("var").casefold() in GREEK or word in INFINITY_WORDS


def _grouped(items: list[Node], joints: list[str]) -> Node:
    """`p=5, q=2; p=7, q=2`: tuples of named values, a semicolon between them."""
    groups: list[list[Node]] = [[items[0]]]
    for joint, item in zip(joints, items[1:], strict=True):
        if joint == ";":
            groups.append([item])
        else:
            groups[-1].append(item)
    return Node("list", tuple(Node("bracket", tuple(group), "()") if len(group) > 1 else group[0] for group in groups), ",")


class Parser(Cursor):
    """The levels of the grammar."""

    def inner(self, text: str) -> Node:
        """The tree of a text within the answer."""
        return parse(text, open_units=self.open_units)

    # Lists, relations, sets

    def listing(self) -> Node:
        """Items separated by commas, semicolons, "and", "or"; one item is itself."""
        items, joints = [self.relation()], list[str]()
        while joint := self._separator():
            if self.at() is None or (self.is_symbol(*CLOSING_SYMBOLS) and not (self.is_symbol("|") and not self.bars)):
                break
            items.append(self.relation())
            joints.append(joint)
        if set(joints) == {",", ";"} and all(item.op == "rel" for item in items):
            return _grouped(items, joints)
        joined = {"," if joint == ";" else joint for joint in joints}
        return items[0] if len(items) == 1 else Node("list", tuple(items), joined.pop() if len(joined) == 1 else None)

    def _separator(self) -> str:
        """Pass over commas and joining words: "or", "and" or "," by the strongest of them; "" where there is none."""
        found = ""
        semicolon = self.is_symbol(";")
        while (token := self.at()) is not None and self.separates(token):
            self.position += 1
            word = token.text.strip(" ,").casefold()
            if word in OR_WORDS or token.text in ("lor", "vee"):
                found = "or"
            elif word in SEPARATING_WORDS or token.text in ("land", "wedge"):
                found = "and"
            found = found or ","
        return ";" if semicolon and found == "," else found

    def relation(self) -> Node:
        if self._begins_with("approx", "simeq", "sim", "=") and self.position == 0:  # "= 5" and "about 5"
            self.position += 1
        operands, relations = [self.ratio()], []
        while (token := self.at()) is not None and token.kind in ("symbol", "command") and token.text in RELATIONS:
            relations.append(RELATIONS[self.take().text])
            operands.append(self.ratio())
        return Node("rel", tuple(operands), tuple(relations)) if relations else operands[0]

    def _begins_with(self, *names: str) -> bool:
        return self.is_symbol(*names) or self.is_command(*names)

    def ratio(self) -> Node:
        parts = [self.union()]
        while self.is_symbol(":") and self.at(1) is not None:
            self.position += 1
            parts.append(self.union())
        if len(parts) > 1 and any(part.op == "text" for part in parts):
            raise NotMathError("words stand before a colon")
        return parts[0] if len(parts) == 1 else Node("ratio", tuple(parts))

    def union(self) -> Node:
        node = self._above()
        names = {"cup": "union", "cap": "intersection", "setminus": "setminus", "backslash": "setminus"}
        while self.is_command(*names):
            operation = names[self.take().text]
            node = Node(operation, (node, self._above()))
        return node

    def _above(self) -> Node:
        """A sum, or two of them with TeX's `\\over` or `\\choose` between, and its modulus."""
        node = self.sum()
        if self.is_command("over", "choose"):
            node = Node("div" if self.take().text == "over" else "binom", (node, self.sum()))
        if self.is_command("pmod", "bmod", "mod"):
            infix = self.take().text == "bmod"  # 128 \bmod 3 is 2, 2 \pmod 3 a class of numbers
            node = Node("call", (node, self.argument()), "bmod" if infix else "mod")
        return node

    # Arithmetic

    def sum(self) -> Node:
        self._enter()
        node = self.product()
        while (operator := self._adding()) is not None:
            right = self.product()
            if "text" in (node.op, right.op):
                raise NotMathError("words stand among the formulas")
            if operator in ("add", "sub"):
                node = Node(operator, (node, right))
            else:
                node = Node("pm", (node, right), operator)
        self.depth -= 1
        return node

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotMathError("it is nested too deep")

    def _adding(self) -> str | None:
        if self.is_symbol("+", "-"):
            return "add" if self.take().text == "+" else "sub"
        if self.is_command("pm", "mp"):
            return "+" if self.take().text == "pm" else "-"
        return None

    def product(self) -> Node:
        node = self.unary()
        while True:
            if self.is_symbol("*") or self.is_command("cdot", "times", "ast"):
                self.position += 1
                node = Node("mul", (node, self.unary()))
            elif self.is_symbol("/") or self.is_command("div"):
                self.position += 1
                node = Node("div", (node, self._denominator()))
            elif self.begins_factor():
                node = self._attach(node)
            else:
                return node

    def _denominator(self) -> Node:
        """What a slash divides by: with a leading letter all factors that follow without a sign, else one factor."""
        token = self.at()
        node = self.unary()
        if token is not None and token.kind in ("word", "command") and token.text not in FRACTIONS:
            while self.begins_factor() and not begins_unit(self):
                node = Node("mul", (node, self.power()))
        return node

    def _attach(self, node: Node) -> Node:
        """A factor that follows without a sign: a unit, the fraction of a mixed number, or a multiplication."""
        if node.op == "text":
            raise NotMathError("words stand among the formulas")
        if begins_unit(self):
            return read_unit(self, node)
        if node.op == "num" and node.value[0].denominator == 1 and node.value[1].isdigit():
            mixed = self._mixed_fraction()
            if mixed is not None:
                return self._marked(Node("add", (node, mixed), "mixed"))
        token = self.at()
        if token is not None and token.kind == "number" and not _ends_in_factorial(node):
            raise NotMathError(f"the number {token.text!r} follows without a sign")
        factor = self.power()
        if factor.op == "text":
            raise NotMathError("words stand among the formulas")
        return Node("mul", (node, factor), "spaced" if token is not None and token.kind == "word" and token.spaced else None)

    def _mixed_fraction(self) -> Node | None:
        """`5/6` or `\\frac{5}{6}` of plain integers behind an integer."""
        token = self.at()
        if (
            token is not None
            and token.kind == "number"
            and token.spaced
            and token.text.isdigit()
            and self.is_symbol("/", offset=1)
        ):
            below = self.at(2)
            if below is not None and below.kind == "number" and below.text.isdigit():
                self.position += 3
                return Node("div", (number_node(token), number_node(below)))
        if self.is_command(*FRACTIONS) and self._plain_fraction_follows():
            return read_command(self)
        return None

    def _plain_fraction_follows(self) -> bool:
        """Whether `\\frac{5}{6}`, `\\frac56`, `\\frac5{6}` or `\\frac{5}6` of plain integers follows."""
        following = self.tokens[self.position + 1 : self.position + 7]
        shape = "".join(token.text if token.kind == "symbol" else "5" if token.text.isdigit() else "?" for token in following)
        if shape.startswith(("{5}{5}", "{5}5")):
            return True
        return shape.startswith("5{5}") or (shape.startswith("5") and len(following[0].text) == 2)

    def unary(self) -> Node:
        self._enter()
        if self.is_symbol("-"):
            self.position += 1
            node = Node("neg", (self.unary_product(),))
        elif self.is_symbol("+"):
            self.position += 1
            node = self.unary()
        elif self.is_command("pm", "mp"):
            sign = "+" if self.take().text == "pm" else "-"
            node = Node("pm", (self.unary_product(),), sign)
        else:
            node = self.power()
        self.depth -= 1
        return node

    def unary_product(self) -> Node:
        """What a sign stands before: a mixed number keeps together, anything else is one factor."""
        node = self.unary()
        if node.op == "num" and node.value[1].isdigit():
            mixed = self._mixed_fraction()
            if mixed is not None:
                return self._marked(Node("add", (node, mixed), "mixed"))
        return node

    def _marked(self, node: Node) -> Node:
        """A mixed number with the percent sign behind it."""
        if not self.is_symbol("%", r"\%"):
            return node
        self.position += 1
        return Node("percent", (node,))

    def power(self) -> Node:
        self._enter()
        node = self.postfix()
        if self.is_symbol("^", "**"):
            self.position += 1
            if self._degree_mark():
                node = Node("degree", (node,))
            elif self.is_symbol("'") or self.is_command("prime"):
                self.position += 1
                node = Node("call", (node,), "derivative")
            else:
                node = Node("pow", (node, self.script(power=True)))
        self.depth -= 1
        return node

    def _degree_mark(self) -> bool:
        """`\\circ`, alone or in braces, as in 45^\\circ."""
        if self.is_command("circ", "degree", "deg"):
            self.position += 1
            return True
        if self.is_symbol("{") and self.is_command("circ", "degree", offset=1) and self.is_symbol("}", offset=2):
            self.position += 3
            return True
        return False

    def script(self, *, power: bool) -> Node:
        """What stands raised or lowered: a group, or one factor with its sign."""
        if self.is_symbol("{"):
            return self.group()
        if power and self.is_symbol("-", "+"):
            sign = self.take().text
            inner = self.power()
            return Node("neg", (inner,)) if sign == "-" else inner
        return self.power() if power else self.atom()

    def postfix(self) -> Node:
        node = self.atom()
        while True:
            if self.is_symbol("!") and not self.is_symbol("=", offset=1):
                self.position += 1
                node = Node("fact", (node,))
            elif self.is_symbol("%", r"\%"):
                self.position += 1
                node = Node("percent", (node,))
            elif self.is_command("degree", "deg"):
                self.position += 1
                node = Node("degree", (node,))
            elif self.is_symbol("_") and node.op == "num" and node.value[1].isdigit():  # (1010)_2
                node = read_based(self, Token("number", node.value[1]))
            elif self.is_symbol("'") and node.op in ("var", "call"):
                self.position += 1
                node = Node("var", (), f"{node.value}'")
            else:
                return node

    def atom(self) -> Node:
        return read_atom(self)

"""A recursive-descent parser for mathematical answers. It reads the whole text or refuses it: never a prefix of it.

What comes out is a tree (math_nodes.py); no value is computed here.
"""

from __future__ import annotations

import re
from fractions import Fraction

from cogitate.rewards.math_nodes import (
    ACCENTS,
    APPLIED_NAMES,
    BIG_OPERATORS,
    BINOMIALS,
    CLOSING_SYMBOLS,
    CONSTANT_COMMANDS,
    DOTS,
    ENGLISH_WORDS,
    FRACTIONS,
    FUNCTIONS,
    GREEK,
    INFINITY_WORDS,
    INVERTIBLE,
    NO_SOLUTION,
    OR_WORDS,
    PERCENT_WORDS,
    PLAIN_SYMBOLS,
    QUALIFYING_WORDS,
    RELATIONS,
    SEPARATING_WORDS,
    STYLES,
    UNIT_FILLERS,
    Node,
)
from cogitate.rewards.math_tokens import NotMathError, Token, clean, tokenize
from cogitate.rewards.math_units import Unit, find_unit, plain_unit, power_word

MAX_DEPTH = 150  # levels of signs, powers and sums within each other; a bracket costs three
MAX_TOKENS = 400


MINUS_ONE = Node("neg", (Node("num", (), (Fraction(1), "1")),))
MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "smallmatrix", "array"})
SYSTEMS = frozenset({"cases", "aligned", "gathered"})
_LETTERS = re.compile(r"\(?[A-Z]\)?(?:\s*(?:,|and|or|&)+\s*\(?[A-Z]\)?)+")


def parse(text: str) -> Node:
    """The tree of a whole answer.

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
    if cleaned.replace(" ", "").casefold() in NO_SOLUTION:
        return Node("set")
    parser = _Parser(tokens)
    node = parser.listing()
    if parser.position != len(tokens):
        raise NotMathError(f"{tokens[parser.position].text!r} stands where the end was expected")
    return node


def _is_known(word: str) -> bool:
    return word in FUNCTIONS or word.removeprefix("var").casefold() in GREEK or word in INFINITY_WORDS


class _Parser:
    """Recursive descent over tokens. Each method reads one level and leaves `position` behind it."""

    def __init__(self, tokens: list[Token]):
        self.tokens, self.position, self.depth = tokens, 0, 0
        self.bars = 0  # absolute values that are open

    # Looking

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

    # Lists, relations, sets

    def listing(self) -> Node:
        """Items separated by commas, semicolons, "and", "or"; one item is itself."""
        items, joints = [self.relation()], set[str]()
        while joint := self._separator():
            if self.at() is None or (self.is_symbol(*CLOSING_SYMBOLS) and not (self.is_symbol("|") and not self.bars)):
                break
            items.append(self.relation())
            joints.add(joint)
        return items[0] if len(items) == 1 else Node("list", tuple(items), "".join(joints) if len(joints) == 1 else None)

    def _separator(self) -> str:
        """Pass over commas and joining words: "or", "and" or "," by the strongest of them; "" where there is none."""
        found = ""
        while (token := self.at()) is not None and self._separates(token):
            self.position += 1
            word = token.text.strip(" ,").casefold()
            if word in OR_WORDS or token.text in ("lor", "vee"):
                found = "or"
            elif word in SEPARATING_WORDS or token.text in ("land", "wedge"):
                found = "and"
            found = found or ","
        return found

    def _separates(self, token: Token) -> bool:
        if token.kind == "symbol":
            return token.text in (",", ";")
        if token.kind in ("text", "word"):
            return token.text.strip(" ,").casefold() in SEPARATING_WORDS | {""}
        return token.kind == "command" and token.text in ("land", "lor", "wedge", "vee")

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
        return parts[0] if len(parts) == 1 else Node("ratio", tuple(parts))

    def union(self) -> Node:
        node = self.sum()
        names = {"cup": "union", "cap": "intersection", "setminus": "setminus", "backslash": "setminus"}
        while self.is_command(*names):
            operation = names[self.take().text]
            node = Node(operation, (node, self.sum()))
        return node

    # Arithmetic

    def sum(self) -> Node:
        self._enter()
        node = self.product()
        while (operator := self._adding()) is not None:
            right = self.product()
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
            elif self._begins_factor():
                node = self._attach(node)
            else:
                return node

    def _denominator(self) -> Node:
        """What a slash divides by: with a leading letter all factors that follow without a sign, else one factor."""
        token = self.at()
        node = self.unary()
        if token is not None and token.kind in ("word", "command") and token.text not in FRACTIONS:
            while self._begins_factor() and not self._begins_unit():
                node = Node("mul", (node, self.power()))
        return node

    def _attach(self, node: Node) -> Node:
        """A factor that follows without a sign: a unit, the fraction of a mixed number, or a multiplication."""
        if node.op == "text":
            raise NotMathError("words stand among the formulas")
        if self._begins_unit():
            return self._unit(node)
        if node.op == "num" and node.value[0].denominator == 1 and node.value[1].isdigit():
            mixed = self._mixed_fraction()
            if mixed is not None:
                return Node("add", (node, mixed), "mixed")
        token = self.at()
        if token is not None and token.kind == "number":
            raise NotMathError(f"the number {token.text!r} follows without a sign")
        factor = self.power()
        if factor.op == "text":
            raise NotMathError("words stand among the formulas")
        return Node("mul", (node, factor))

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
                return Node("div", (_number(token), _number(below)))
        if self.is_command(*FRACTIONS) and self._plain_fraction_follows():
            return self._command()
        return None

    def _plain_fraction_follows(self) -> bool:
        """Whether `\\frac{5}{6}` or `\\frac56` of plain integers follows."""
        kinds = [
            token.kind if token.kind == "number" else token.text for token in self.tokens[self.position + 1 : self.position + 7]
        ]
        integers = [token.text for token in self.tokens[self.position + 1 : self.position + 7] if token.kind == "number"]
        braced = kinds[:6] == ["{", "number", "}", "{", "number", "}"]
        bare = kinds[:1] == ["number"] and len(integers[0]) == 2
        return (braced or bare) and all(integer.isdigit() for integer in integers)

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
                return Node("add", (node, mixed), "mixed")
        return node

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
                node = Node("pow", (node, self._script(power=True)))
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

    def _script(self, *, power: bool) -> Node:
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
            elif self.is_symbol("'") and node.op in ("var", "call"):
                self.position += 1
                node = Node("var", (), f"{node.value}'")
            else:
                return node

    # Atoms

    def _begins_factor(self) -> bool:
        token = self.at()
        if token is None or self._separates(token):
            return False
        if token.kind == "symbol":
            return token.text in ("(", "[", "{", r"\{") or (token.text == "|" and not self.bars)
        if token.kind == "command":
            return token.text not in RELATIONS and token.text not in (
                "cup", "cap", "setminus", "backslash", "pm", "mp", "cdot", "times", "ast", "div", "end",
                "rfloor", "rceil", "rangle", "rvert", "rVert", "mid",
            )  # fmt: skip
        return True

    def atom(self) -> Node:
        token = self.at()
        if token is None:
            raise self.refuse()
        if token.kind == "number":
            self.position += 1
            if self.is_symbol("_"):
                return self._based(token)
            if self.is_command("overline", "bar", "dot") and "." in token.text:
                return self._repeating(token)
            return _number(token)
        if token.kind == "symbol":
            return self._bracketed(token)
        if token.kind == "command":
            return self._command()
        if token.kind == "text":
            return self._styled(token)
        return self._word(token)

    def _repeating(self, token: Token) -> Node:
        """`0.1\\overline{6}`: the decimals under the bar repeat for ever."""
        self.position += 1
        period = self._argument()
        if period.op != "num" or not period.value[1].isdigit() or token.value is None:
            raise NotMathError("a bar over something that is no decimals")
        places = len(token.text.partition(".")[2])
        digits = period.value[1]
        value = token.value + Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)
        return Node("num", (), (value, f"{token.text}({digits})"))

    def _based(self, token: Token) -> Node:
        self.position += 1
        base = self._script(power=False)
        while base.op == "text":
            base = parse(base.value)
        if base.op != "num" or base.value[0].denominator != 1 or not 2 <= base.value[0] <= 36:
            raise NotMathError("a number with an index that is no base")
        return Node("based", (), (token.text, int(base.value[0])))

    def _bracketed(self, token: Token) -> Node:
        if token.text == "{":
            return self.group()
        if token.text == r"\{":
            return self._set()
        if token.text == "|" and not self.bars:
            self.position += 1
            self.bars += 1
            inner = self.listing()
            self.expect("|")
            self.bars -= 1
            return Node("abs", (inner,))
        if token.text not in ("(", "["):
            raise self.refuse()
        self.position += 1
        bars, self.bars = self.bars, 0
        inner = self.listing()
        self.bars = bars
        if not self.is_symbol(")", "]"):
            raise NotMathError("a bracket is not closed")
        closing = self.take().text
        if inner.op == "list":
            return Node("bracket", inner.args, token.text + closing)
        if token.text + closing == "()":
            return inner
        if token.text + closing == "[]":
            return Node("bracket", (inner,), "[]") if inner.op != "matrix" else inner
        raise NotMathError("two different brackets around one value")

    def _set(self) -> Node:
        self.position += 1
        if self.is_symbol(r"\}"):
            self.position += 1
            return Node("set")
        inner = self.listing()
        self.expect(r"\}")
        return Node("set", inner.args if inner.op == "list" else (inner,))

    def group(self) -> Node:
        """A LaTeX group; braces around several items are a set that lost its backslashes."""
        self.expect("{")
        bars, self.bars = self.bars, 0
        inner = self.listing()
        self.bars = bars
        self.expect("}")
        return Node("set", inner.args) if inner.op == "list" else inner

    def _command(self) -> Node:
        name = self.take().text
        if name in FRACTIONS:
            above = self._argument()
            return Node("div", (above, self._argument()))
        if name in BINOMIALS:
            above = self._argument()
            return Node("binom", (above, self._argument()))
        if name == "sqrt":
            return self._root()
        if name in FUNCTIONS:
            return self._function(name)
        if name in BIG_OPERATORS:
            return self._big(BIG_OPERATORS[name])
        if name == "begin":
            return self._environment()
        if name in ("lfloor", "lceil", "langle", "lvert"):
            return self._fence(name)
        if name in CONSTANT_COMMANDS:
            return Node("const", (), CONSTANT_COMMANDS[name])
        if name in STYLES:
            return self._argument()
        if name in ACCENTS:
            return self._subscripted(f"{name} {_letters(self._argument())}")
        if name in ("emptyset", "varnothing"):
            return Node("set")
        if name in DOTS:
            return Node("var", (), "dots")
        if name.removeprefix("var").casefold() in GREEK or name in PLAIN_SYMBOLS:
            return self._subscripted(name.removeprefix("var") if name != "varnothing" else name)
        raise NotMathError(f"the command \\{name} is not read")

    def _argument(self) -> Node:
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

    def _root(self) -> Node:
        degree = Node("num", (), (Fraction(2), "2"))
        if self.is_symbol("["):
            self.position += 1
            degree = self.sum()
            self.expect("]")
        radicand = self.group() if self.is_symbol("{") else self.atom()
        return Node("root", (radicand, degree))

    def _function(self, name: str) -> Node:
        """`\\sin^2 x`, `\\log_2 8`, `\\sin(x)`: the argument is a bracket, else the factors up to the next function."""
        exponent = base = None
        while self.is_symbol("^", "_", "**"):
            if self.take().text == "_":
                base = self._script(power=False)
            else:
                exponent = self._script(power=True)
        if self.is_symbol("(", "["):
            inner = self.atom()
            arguments = inner.args if inner.op == "bracket" else (inner,)
        elif name == "sqrt":
            return Node("root", (self.atom(), Node("num", (), (Fraction(2), "2"))))
        else:
            argument = self.unary()
            while self._begins_factor() and not self._begins_function() and not self._begins_unit() and not self.is_symbol("("):
                argument = Node("mul", (argument, self.power()))
            arguments = (argument,)
        if name == "sqrt":
            return Node("root", (*arguments, Node("num", (), (Fraction(2), "2"))))
        if exponent == MINUS_ONE and name in INVERTIBLE:
            name, exponent = f"arc{name}", None
        node = Node("call", (*arguments, base) if base is not None else arguments, f"{name}_base" if base is not None else name)
        return node if exponent is None else Node("pow", (node, exponent))

    def _begins_function(self) -> bool:
        token = self.at()
        return (
            token is not None and token.kind in ("command", "word") and (token.text in FUNCTIONS or token.text in BIG_OPERATORS)
        )

    def _big(self, name: str) -> Node:
        below = above = Node("text", (), "")
        while self.is_symbol("^", "_"):
            if self.take().text == "_":
                below = self._script_relation()
            else:
                above = self._script(power=True)
        return Node("bigop", (below, above, self.product()), name)

    def _script_relation(self) -> Node:
        if not self.is_symbol("{"):
            return self.atom()
        self.position += 1
        inner = self.listing()
        self.expect("}")
        return inner

    def _fence(self, name: str) -> Node:
        closing = {"lfloor": "rfloor", "lceil": "rceil", "langle": "rangle", "lvert": "rvert"}[name]
        inner = self.listing()
        if not self.is_command(closing):
            raise NotMathError(f"\\{name} is not closed")
        self.position += 1
        if name == "langle":
            return Node("bracket", inner.args if inner.op == "list" else (inner,), "()")
        return Node({"lfloor": "floor", "lceil": "ceil", "lvert": "abs"}[name], (inner,))

    def _environment(self) -> Node:
        name = self._environment_name()
        if name == "array" and self.is_symbol("{"):
            while not self.is_symbol("}"):
                self.take()
            self.position += 1
        if name in SYSTEMS:
            return self._system(name)
        rows: list[tuple[Node, ...]] = []
        cells: list[Node] = []
        while not self.is_command("end"):
            cells.append(self.relation())
            if self.is_symbol("&"):
                self.position += 1
                continue
            rows.append(tuple(cells))
            cells = []
            while self.is_symbol("\\\\"):
                self.position += 1
            if self.is_command("hline"):
                self.position += 1
        self.position += 1
        if self._environment_name() != name or cells or len({len(row) for row in rows}) != 1:
            raise NotMathError("a matrix that is not well formed")
        node = Node("matrix", tuple(Node("row", row) for row in rows))
        return Node("call", (node,), "det") if name == "vmatrix" else node

    def _system(self, name: str) -> Node:
        """Statements one below the other, all of which hold."""
        items: list[Node] = []
        while not self.is_command("end"):
            if not self.is_symbol("&", "\\\\"):
                inner = self.listing()
                items.extend(inner.args if inner.op == "list" else (inner,))
            else:
                self.position += 1
        self.position += 1
        if self._environment_name() != name or not items:
            raise NotMathError("a system that is not well formed")
        return items[0] if len(items) == 1 else Node("list", tuple(items), "and")

    def _environment_name(self) -> str:
        self.expect("{")
        name = self.take().text
        self.expect("}")
        if name not in MATRICES | SYSTEMS:
            raise NotMathError(f"the environment {name} is not read")
        return name

    def _styled(self, token: Token) -> Node:
        """`\\text{...}`: a number or a letter counts as itself, anything else as words."""
        content = token.text.strip(" ().")
        if content.isdigit():
            self.position += 1
            return Node("num", (), (Fraction(content), content))
        if len(content) == 1 and content.isalpha():
            self.position += 1
            return self._subscripted(content)
        self.position += 1
        if content in FUNCTIONS:
            return self._function(content)
        if self.is_symbol("_") and content.isalnum():
            return self._based(Token("text", content.upper()))
        inner = self._inner(content)
        if inner is not None:
            return inner
        return Node("text", (), token.text)

    def _inner(self, content: str) -> Node | None:
        """What a text holds where it is a number with a unit, option letters side by side, or says that nothing is left."""
        if content[:1].isdigit() or _LETTERS.fullmatch(content):
            try:
                return parse(content)
            except NotMathError:
                return None
        return Node("set") if content.replace(" ", "").casefold().removeprefix("the") in NO_SOLUTION else None

    def _word(self, token: Token) -> Node:
        """A run of letters: a function, a constant, or a product of one-letter names."""
        word = token.text
        if word in FUNCTIONS:
            self.position += 1
            return self._function(word)
        if word == "pi" or word in INFINITY_WORDS:
            self.position += 1
            return Node("const", (), "pi" if word == "pi" else "infinity")
        if word.removeprefix("var").casefold() in GREEK:
            self.position += 1
            return self._subscripted(word)
        if len(word) == 1:
            self.position += 1
            return self._subscripted(word)
        if not word.isascii() or len(word) > 4 or word.casefold() in ENGLISH_WORDS:
            self.position += 1
            return Node("text", (), word)
        self._split_word(token)
        return self.atom()

    def _split_word(self, token: Token) -> None:
        """Replace a run of letters by one token for each letter."""
        letters = [
            Token("word", letter, None, token.spaced and index == 0, token.position + index)
            for index, letter in enumerate(token.text)
        ]
        self.tokens[self.position : self.position + 1] = letters

    def _subscripted(self, name: str) -> Node:
        """A name with its index, prime and, where it is a function's, its arguments."""
        while self.is_symbol("_"):
            self.position += 1
            index = self._script(power=False)
            name = f"{name}_{_letters(index)}" if _is_plain(index) else name
            if not _is_plain(index):
                return Node("call", (index,), f"{name}_")
        while self.is_symbol("'"):
            self.position += 1
            name += "'"
        if self.is_symbol("(") and name.rstrip("'0123456789_") in APPLIED_NAMES:
            inner = self.atom()
            return Node("call", inner.args if inner.op == "bracket" else (inner,), name)
        constants = {"e": "e", "i": "i"}
        return Node("const", (), constants[name]) if name in constants else Node("var", (), name)

    # Units

    def _begins_unit(self) -> bool:
        """Whether words of measurement follow, to the end of the item."""
        token = self.at()
        if token is None or token.kind not in ("text", "word") or self._separates(token):
            return False
        word = token.text.strip(" .,")
        if token.kind == "text":
            return len(word) > 1 or find_unit(word) is not None
        if word == "min" and self.at(1) is None:
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

    def _unit(self, node: Node) -> Node:
        unit, sign, power = Unit(()), 1, 1
        while (token := self.at()) is not None:
            if token.kind in ("text", "word") and not self._separates(token):
                self.position += 1
                for word in token.text.replace(".", " ").replace("/", " / ").split():
                    if word.casefold() in (QUALIFYING_WORDS | ENGLISH_WORDS) - UNIT_FILLERS:
                        raise NotMathError(f"{word!r} qualifies the number")
                    if word in ("/", "per", "a", "an", "每"):
                        sign = -1 if word in ("/", "per", "每") else sign
                    elif word.casefold() in PERCENT_WORDS:
                        node = Node("percent", (node,))
                    elif word.casefold() not in UNIT_FILLERS:
                        exponent = power_word(word)
                        if exponent is not None:
                            power = exponent
                        else:
                            unit, power = unit.times(plain_unit(word).to_power(power), sign), 1
                if self.is_symbol("^"):
                    unit = self._unit_power(unit, token, sign)
            elif self.is_symbol("/") and (following := self.at(1)) is not None and following.kind in ("text", "word"):
                self.position += 1
                sign = -1
            elif self.is_command("cdot") and (following := self.at(1)) is not None and following.kind == "text":
                self.position += 1
            else:
                break
        if unit == plain_unit("degree"):
            return Node("degree", (node,))
        return node if not unit.powers else Node("measured", (node,), unit)

    def _unit_power(self, unit: Unit, token: Token, sign: int) -> Unit:
        self.position += 1
        exponent = self._script(power=True)
        value = exponent.value[0] if exponent.op == "num" else None
        if value is None or value.denominator != 1 or not 0 < value <= 4:
            raise NotMathError("a unit with an exponent that is no small number")
        last = token.text.replace(".", " ").replace("/", " ").split()[-1]
        return unit.times(plain_unit(last).to_power(int(value) - 1), sign)


def _number(token: Token) -> Node:
    return Node("num", (), (token.value, token.text))


def _is_plain(node: Node) -> bool:
    """Whether an index is a mere name: a number, a letter, words."""
    return node.op in ("num", "text", "const") or (
        node.op == "var" and len(str(node.value)) == 1 and not str(node.value).islower()
    )


def _letters(node: Node) -> str:
    """The text of a name or number, for use in a longer name."""
    if node.op == "num":
        return str(node.value[1])
    if node.op in ("var", "const", "text"):
        return str(node.value)
    if node.op == "mul":
        return "".join(_letters(arg) for arg in node.args)
    raise NotMathError("a name that is an expression")

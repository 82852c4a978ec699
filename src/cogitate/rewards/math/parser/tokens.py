"""From the text of a mathematical answer (LaTeX or plain) to tokens. Nothing here evaluates anything.

Text that is not mathematics (quotes, control characters, direction overrides, far too long) is refused before it is parsed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from cogitate.rewards.math.parser.notation import unify, unify_before_delimiters

MAX_CHARACTERS = 3000
MAX_DIGITS = 1000  # in one number


class NotMathError(ValueError):
    """The text is no mathematics that we read; the message is half a sentence."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: number, name, command, text, word, symbol.
        text: a name's or command's letters, a text's content, a symbol itself; a number as it was written, commas removed.
        value: of a number.
        spaced: white space stands before it.
        position: where it begins in the cleaned text.
    """

    kind: str
    text: str
    value: Fraction | None = None
    spaced: bool = False
    position: int = 0


_GREEK_LETTERS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta", "ι": "iota",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
_CHARACTERS = {
    "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": r"\div ", "±": r"\pm ", "∓": r"\mp ",
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∛": r"\sqrt[3]", "∜": r"\sqrt[4]",
    "√": r"\sqrt ", "π": r"\pi ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}", "°": r"\degree ", "º": r"\degree ", "℃": r"\degree C", "′": "'", "’": "'", "⁄": "/", "∕": "/",
    "，": ",", "。": ".", "、": ",", "；": ";", "：": ":", "（": "(", "）": ")", "［": "[", "］": "]", "｛": r"\{",
    "｝": r"\}", "｜": "|", "∣": "|", "％": r"\%",
    "€": r"\euro ", "£": r"\pounds ", "￥": r"\yen ", "¥": r"\yen ", "¢": r"\text{ cents}",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u3000": " ",
    "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "⅕": r"\frac{1}{5}", "⅖": r"\frac{2}{5}", "⅗": r"\frac{3}{5}", "⅘": r"\frac{4}{5}", "⅙": r"\frac{1}{6}",
    "⅚": r"\frac{5}{6}", "⅛": r"\frac{1}{8}", "⅜": r"\frac{3}{8}", "⅝": r"\frac{5}{8}", "⅞": r"\frac{7}{8}",
}  # fmt: skip
_CHARACTERS |= {letter: f"\\{name} " for letter, name in _GREEK_LETTERS.items()}
_CHARACTERS |= {chr(0xFF01 + i): chr(0x21 + i) for i in range(94) if chr(0xFF01 + i) not in _CHARACTERS}
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿⁱ", "0123456789-+ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_RAISED = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_LOWERED = re.compile(f"[{''.join(_SUBSCRIPTS)}]+")
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f]")
_REFUSED = re.compile(
    '[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff"`@#]|__|\\\\(?:def|input|write|csname)\\b'
)
_COMMANDS_ESCAPED_TWICE = re.compile(
    r"\\\\(?=(?:[dtc]?frac|left|right|sqrt|boxed|text|pi|cdot|times|infty|le|ge|leq|geq|ne|neq|pm|cup|in|circ|%|\{|\}|sin|cos|tan|log|ln)"
    r"(?![A-Za-z]))"
)
_SPACING = re.compile(
    r"(?<!\\)\\[,;:!> ]|~|\\q?quad(?![A-Za-z]{2})|\\(?:hspace|vspace|phantom)\s*\{[^{}]*\}|\\phantom\s*[-+\d]"
    r"|\\(?:displaystyle|textstyle|limits|nolimits|thinspace|medspace|thickspace|enspace|hfill|notag|nonumber)(?![A-Za-z])"
)
_COLOUR = re.compile(r"\\(?:text)?color\s*\{[^{}]*\}")
_SIZING = re.compile(r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\s*(\.(?!\d))?")
_DELIMITERS = re.compile(r"\\[()\[\]]|(?<!\\)\$|\\\$|\\(?:textdollar|euro|pounds|yen)(?![A-Za-z])")
_SET_BUILDER = re.compile(r"\\\{\s*[A-Za-z]\s*(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?(?:\\mid(?![A-Za-z])|\||:)(.*)\\\}", re.DOTALL)
_MARKED_GROUPING = re.compile(r"(?<=\d)(?:,\\!\s*|\s?\{,\s?\}\s*(?:\\!)?)(?=\d{3}(?!\d))")  # wherever it stands
_GROUPED_NUMBER = re.compile(r"(?<![\d.,])(?!0[,.])\d{1,3}(?:(?:,\d{3})+|(?:\.\d{3}){2,})(?!\d)(?![,.]\d{3}(?!\d)|,\d)")
_SPACED_NUMBER = re.compile(r"(?<![\d.,] )(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d ]*[,.]?\d)(?!\s*/)")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4}(?![\d.]))?")
_TEXT_COMMAND = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|textsf|mbox|hbox|mathrm|mathbf|mathit|mathsf|operatorname)\s*\*?\s*\{"
)
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?")
_DECIMALS = re.compile(r"\.\d+")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+|[\u0400-\u04ff]+|[\u4e00-\u9fff]+")
_SYMBOLS = re.compile(r"\*\*|<=|>=|!=|==|=>|<>|:=|\\\\|\\[{}%|]|[-+*/^_=<>!%(){}\[\],;:|&']")


def clean(text: str) -> str:
    """The text with typographic variants unified and everything invisible gone.

    Raises:
        NotMathError: too long, or a character that no mathematics needs.
    """
    if len(text) > MAX_CHARACTERS:
        raise NotMathError(f"it has more than {MAX_CHARACTERS} characters")
    text = _INVISIBLE.sub("", text)
    refused = _REFUSED.search(text)
    if refused:
        raise NotMathError(f"it holds {refused.group()!r}")
    text = _RAISED.sub(lambda match: "^{" + "".join(_SUPERSCRIPTS[c] for c in match.group()) + "}", text)
    text = _LOWERED.sub(lambda match: "_{" + "".join(_SUBSCRIPTS[c] for c in match.group()) + "}", text)
    text = "".join(_CHARACTERS.get(character) or _ascii_digit(character) for character in text)
    if r"\begin" not in text:
        text = _COMMANDS_ESCAPED_TWICE.sub(r"\\", text)
    text = re.sub(r"(?<=\d)(?<![\w.]0)\s*[xX]\s*(?=\d)", r"\\times ", text)  # 6 x 7
    text = _MARKED_GROUPING.sub("", text)
    text = re.sub(r",\\!\s*", ",", text).replace("{,}", ",").replace(r"\!", "").replace(r",\ ", ", ")
    text = re.sub(r"(?<=\d)\\[,;:] ?(?=\d{3}(?!\d))", "", text)
    text = unify_before_delimiters(text)
    text = _DELIMITERS.sub(" ", _SIZING.sub("", _SPACING.sub(" ", _COLOUR.sub("", text)))).strip()
    text = re.sub(r"\\\{\s*\\begin\{array\}\s*\{[^{}]*\}(.*?)\\end\{array\}", r"\\begin{cases}\1\\end{cases}", text)
    text = unify(text)
    condition = _SET_BUILDER.fullmatch(text)
    text = condition.group(1) if condition else text
    text = re.sub(r"\s+", " ", text).strip().rstrip("\\").rstrip()
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text


def _ascii_digit(character: str) -> str:
    """A decimal digit of any script as 0-9; any other character as it is."""
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


def tokenize(text: str) -> list[Token]:
    """Tokens of a cleaned text.

    Raises:
        NotMathError: a character that begins no token.
    """
    tokens: list[Token] = []
    brackets, position, spaced = 0, 0, False
    while position < len(text):
        if text[position] == " ":
            position, spaced = position + 1, True
            continue
        token, end = _token(text, position, spaced, in_brackets=brackets > 0)
        brackets += token.kind == "symbol" and token.text in ("(", "[", r"\{")
        brackets -= token.kind == "symbol" and token.text in (")", "]", r"\}")
        tokens.append(token)
        position, spaced = end, False
    return tokens


def _token(text: str, position: int, spaced: bool, *, in_brackets: bool) -> tuple[Token, int]:
    number = _match_number(text, position, in_brackets=in_brackets)
    if number is not None:
        literal, end = number
        return Token("number", literal, number_value(literal), spaced, position), end
    styled = _TEXT_COMMAND.match(text, position)
    if styled:
        end = text.find("}", styled.end())
        if end < 0:
            raise NotMathError("a \\text is never closed")
        return Token("text", text[styled.end() : end].strip(), None, spaced, position), end + 1
    symbol = _SYMBOLS.match(text, position)
    if symbol:
        return Token("symbol", symbol.group(), None, spaced, position), symbol.end()
    command = _COMMAND.match(text, position)
    if command:
        return Token("command", command.group(1), None, spaced, position), command.end()
    word = _WORD.match(text, position)
    if word:
        return Token("word", word.group(), None, spaced, position), word.end()
    raise NotMathError(f"{text[position]!r} is no part of mathematics")


def _match_number(text: str, position: int, *, in_brackets: bool) -> tuple[str, int] | None:
    """A number at this place, grouping commas or spaces removed, and where it ends. In brackets commas separate."""
    if not (text[position].isascii() and (text[position].isdigit() or text[position] == ".")):
        return None
    grouped = None if in_brackets else (_GROUPED_NUMBER.match(text, position) or _SPACED_NUMBER.match(text, position))
    if grouped:
        whole, end = re.sub("[,. ]", "", grouped.group()), grouped.end()
        tail = _DECIMALS.match(text, end)
        return (whole + tail.group(), tail.end()) if tail else (whole, end)
    match = _NUMBER.match(text, position)
    if match is None:
        return None
    if len(match.group()) > MAX_DIGITS:
        raise NotMathError(f"a number has more than {MAX_DIGITS} digits")
    return match.group(), match.end()


def number_value(literal: str) -> Fraction:
    """The exact value of a decimal literal, e.g. "1.5e3"."""
    return Fraction(literal if not literal.endswith(".") else literal[:-1])

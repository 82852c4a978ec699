"""Notations that say the same as another one, rewritten to it before the text is cut into tokens.

Only rules of writing stand here, each for a whole family of texts; what an answer means is decided behind the parser.
"""

from __future__ import annotations

import re

_AMOUNT = r"(?P<amount>\d[\d.,]*\d|\d|\.\d+)"
_TEXT_END = r"(?=(?:\\?[)\]]|[\s$.])*$)"
_CURRENCIES = {"$": "dollars", r"\$": "dollars", "textdollar": "dollars", "euro": "euros", "pounds": "pounds", "yen": "yuan"}
_SIGN = r"(?P<sign>\\\$|(?<=\\)(?:textdollar|euro|pounds|yen)(?![A-Za-z]))"
_MONEY_BEFORE = re.compile(rf"\\?{_SIGN}\s*{_AMOUNT}{_TEXT_END}")
_MONEY_BEHIND = re.compile(rf"(?<=\d)\s*\\?{_SIGN}\s*\.?\s*$")
_LONE_DOLLAR = re.compile(rf"(?P<before>^[-+]?\s*)(?P<sign>\$)\s*{_AMOUNT}[\s.]*$|(?<=\d)\s*\$\s*\.?$")

_ROW_GAP = re.compile(r"\\\\\s*\[\s*-?[\d.]+\s*(?:pt|em|ex|mm|cm|in)\s*\]")
_APOSTROPHES = re.compile(r"(?<![\d.,'’])\d{1,3}(?:['’]\d{3})+(?![\d'’])")
_UNIT_FRACTION = re.compile(
    r"\\[dt]?frac\s*\{\s*(\\(?:text|mathrm)\s*\{[A-Za-z\s]+\})\s*\}\s*\{\s*(\\(?:text|mathrm)\s*\{[A-Za-z\s]+\}(?:\^\{?\d\}?)?)\s*\}"
)
_SHORTENED_POWER = re.compile(r"\b(sq|cu)\.\s*(?=[A-Za-z])")
_UNIT_VECTOR = re.compile(
    r"\\(?:hat|widehat|vec|mathbf|boldsymbol|bm)\s*\{?\s*(?:\\(?P<dotless>[ij])math|(?P<letter>[ijk])(?![A-Za-z]))\s*\}?"
)
_CUBE_ROOT = re.compile(r"\\?(?<![A-Za-z])cbrt(?![A-Za-z])")
_BASE_BEHIND = re.compile(r"(?<=[0-9A-Fa-f)])\s+(?:in\s+)?base[ -](\d{1,2})$")
_TEMPERATURE = re.compile(
    r"\\(?:text|mathrm)\s*\{\s*\\degree\s*(?P<whole>[CF])\s*\}"
    r"|(?:\\degree|\^\s*\{\s*\\circ\s*\}|\^\s*\\circ)\s*"
    r"(?:\\(?:text|mathrm)\s*\{\s*(?P<styled>[CF])\s*\}|(?P<plain>[CF])(?![A-Za-z_^(]))"
)
_MODULUS = re.compile(r"\(\s*(?:\\[bp]?mod|\\text\s*\{\s*mod\s*\}|mod)\s*(\{?\w+\}?)\s*\)")
_INTEGER_NAME = re.compile(
    r"[\s,(]{0,6}(?:\\text\s*\{\s*,?\s*(?:for|where|with)(?:\s+(?:any|all|every|some))?(?:\s+integers?)?\s*\}|\b(?:for|where|with)\b)?"
    r"[\s(]{0,6}(?<![A-Za-z\\])([kmn])\s*\\in\s*(?:\\math(?:bb|bf|rm)\s*\{?\s*Z\s*\}?|\\?Z(?![A-Za-z]))\s*\)?$"
)
_DAYTIME = re.compile(r"(\d{1,2}(?::\d\d)?)\s*(?:\\text\s*\{)?\s*([aApP])(\.?)\s?([mM])\.?\s*\}?$")
_TWO_TO_THREE = re.compile(r"(\d+)\s*(?:\\text\s*\{\s*to\s*\}|to)\s*(\d+)")
_OVER = re.compile(r"(-?\d+(?:\.\d+)?) over (-?\d+(?:\.\d+)?)")
_ROOT_IN_WORDS = re.compile(r"(?:\bthe )?\b(?:(square|cube) )?root (?:of )?(\d+(?:\.\d+)?)")
_SIGN_IN_WORDS = re.compile(r"(?:negative|minus) (?=[\d\\.])")
_PROGRAM_LOG = re.compile(r"(?<![A-Za-z\\])log(10|2)(?=\()")
_PROGRAM_I = re.compile(r"(?<=\*)I(?![A-Za-z0-9_({])|(?<![A-Za-z0-9_\\])I(?=\*)")
_PROGRAM_E = re.compile(r"(?<![A-Za-z0-9_\\])E(?=\*\*)|(?<=\*)E(?![A-Za-z0-9_({])")
_LETTER_DIGITS = re.compile(r"(?<![A-Za-z0-9\\{])(\d+[A-Z][0-9A-Z]*)(?=_\s*\{?\s*(?:1[1-9]|2\d|3[0-6])(?!\d))")
_BASE_WORD = re.compile(r"_\s*\{\s*\\text\s*\{\s*base\s*\}\s*(?=\d)")
_CHINESE_MULTIPLE = re.compile(r"(?<=\d)\s*([百千万亿](?![米克瓦分]))")
_LETTER_UNION = re.compile(r"(?<=[)\]])\s*U\s*(?=[(\[])")
_OPEN_END = r"[^\[\](),;]+[,;][^\[\](),;]+"
_FRENCH_LOW = re.compile(rf"(?P<before>^|\\cup|\\in(?![A-Za-z])|=)\s*\]({_OPEN_END})(?P<close>[\[\]])")
_FRENCH_HIGH = re.compile(rf"\[({_OPEN_END})\[(?=\s*(?:$|\\cup))")


def unify_before_delimiters(text: str) -> str:
    """Money, row gaps and separators that would be lost with the delimiters."""
    text = _ROW_GAP.sub(lambda match: "\\\\", text)
    text = _APOSTROPHES.sub(lambda match: re.sub("['’]", "", match.group()), text)
    text = _MONEY_BEFORE.sub(_with_unit, text)
    text = _MONEY_BEHIND.sub(lambda match: _unit(match["sign"]), text)
    if text.count("$") == 1 and r"\$" not in text:
        text = _LONE_DOLLAR.sub(lambda match: (match["before"] or "") + (match["amount"] or "") + _unit("$"), text)
    return text


def unify(text: str) -> str:
    """Units, unit vectors, roots and intervals in the form that the parser reads."""
    text = _UNIT_FRACTION.sub(lambda match: f"{match.group(1)}/{match.group(2)}", text)
    text = _PROGRAM_E.sub("e", _PROGRAM_I.sub("i", _PROGRAM_LOG.sub(r"\\log_{\1}", text)))  # 2*I, E**2, log10(x)
    text = _SHORTENED_POWER.sub(r"\1 ", text)
    text = _BASE_BEHIND.sub(r"_{\1}", _BASE_WORD.sub("_{", text))
    text = _TEMPERATURE.sub(_temperature, text)
    text = _MODULUS.sub(r"\\pmod{\1}", text)
    text = _INTEGER_NAME.sub(r", \1 \\in \\mathbb{Z}", text).removeprefix(", ")
    text = _LETTER_DIGITS.sub(lambda match: rf"\text{{{match.group(1)}}}", text)
    text = _DAYTIME.sub(_half_of_day, text.replace("{:}", ":"))
    ratio = _TWO_TO_THREE.fullmatch(text.strip())
    text = f"{ratio.group(1)}:{ratio.group(2)}" if ratio else _in_signs(text.strip())
    text = _CHINESE_MULTIPLE.sub(r"\\text{\1}", text)
    text = _CUBE_ROOT.sub(lambda match: r"\sqrt[3]", text)
    vectors = list(_UNIT_VECTOR.finditer(text))
    if len({match["dotless"] or match["letter"] for match in vectors}) > 1:
        text = _UNIT_VECTOR.sub(lambda match: f" {match['dotless'] or match['letter']} ", text)
    text = _LETTER_UNION.sub(lambda match: r"\cup ", text)
    text = _FRENCH_LOW.sub(lambda match: f"{match['before']} ({match.group(2)}{')' if match['close'] == '[' else ']'}", text)
    return _FRENCH_HIGH.sub(r"[\1)", text)


def _in_signs(text: str) -> str:
    """`negative 5`, `1 over 2`, `2 root 3` in signs."""
    sign = _SIGN_IN_WORDS.match(text)
    text = f"-{text[sign.end() :]}" if sign else text
    over = _OVER.fullmatch(text)
    text = f"({over.group(1)})/({over.group(2)})" if over else text
    return _ROOT_IN_WORDS.sub(lambda match: rf"\sqrt{'[3]' if match.group(1) == 'cube' else ''}{{{match.group(2)}}}", text)


def _with_unit(match: re.Match[str]) -> str:
    return match["amount"] + _unit(match["sign"])


def _temperature(match: re.Match[str]) -> str:
    return r"\text{ celsius}" if "C" in (match["whole"], match["styled"], match["plain"]) else r"\text{ fahrenheit}"


def _half_of_day(match: re.Match[str]) -> str:
    """3:45 p.m., 3:45 PM; but 5 pm may be five picometres."""
    time, half, dot, letter = match.groups()
    if not (dot or ":" in time or letter == "M"):
        return match.group()
    return rf"{time}\text{{ {'forenoon' if half in 'aA' else 'afternoon'}}}"


def _unit(sign: str) -> str:
    return rf"\text{{ {_CURRENCIES[sign]}}}"

"""Right answers rewritten by rules into equal and into unequal forms: a corpus that the project makes for itself.

Each rule takes an answer in LaTeX and yields rewritten ones; which forms a rule fits is decided from the answer alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

INTEGERS = ("0", "1", "7", "12", "42", "360", "1024", "12345", "-3", "-250", "1000000")
DECIMALS = ("0.5", "3.14", "-2.75", "12.125", "0.001", "1000.5")
FRACTIONS = (r"\frac{1}{2}", r"\frac{3}{4}", r"-\frac{7}{3}", r"\frac{22}{7}", r"\frac{63}{400}", r"\frac{5}{16}")
ROOTS = (r"\sqrt{2}", r"3\sqrt{5}", r"\frac{\sqrt{3}}{2}", r"1+\sqrt{7}", r"2\pi", r"\frac{\pi}{6}", r"e^{2}", r"\sqrt[3]{4}")
EXPRESSIONS = (
    "x^2+2x+1",
    r"\frac{x}{y}",
    "2n+1",
    r"\frac{n(n+1)}{2}",
    "3a-2b",
    r"x\sqrt{y}",
    r"2^{n+1}",
    r"\sin x",
    r"(x-1)(x+2)",
)
TUPLES = ("(1,2)", r"(3,\frac{\pi}{2})", "(0,-1,4)", r"(\sqrt{2},5)")
SETS = (r"\{1,2,3\}", r"\{-1,4\}", r"\{0,\sqrt{3}\}")
INTERVALS = ("(2,5]", "[0,1)", r"(-\infty,3)", r"[4,\infty)", r"(-\infty,-1]\cup[2,\infty)")
MATRICES = (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{pmatrix} -1 \\ 5 \end{pmatrix}")
EQUATIONS = ("2x+4y-3=0", "x^2+y^2=25", "y=3x-6")
PERCENTS = (r"28\%", r"7.5\%")
MEASURES = (r"15\text{ cm}", r"3.5\text{ kg}", r"40^\circ")
WORDS = (r"\text{Evelyn}", r"\text{even}", r"\text{Tuesday}")
GOLDS = (
    *INTEGERS, *DECIMALS, *FRACTIONS, *ROOTS, *EXPRESSIONS, *TUPLES, *SETS, *INTERVALS, *MATRICES, *EQUATIONS, *PERCENTS,
    *MEASURES, *WORDS,
)  # fmt: skip

Rule = Callable[[str], Iterator[str]]


def plain_number(answer: str) -> Fraction | None:
    """The value of an integer, decimal or simple LaTeX fraction."""
    match = re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", answer)
    if match:
        return Fraction(f"{match[1]}{match[2]}/{match[3]}")
    return Fraction(answer) if re.fullmatch(r"-?\d+(\.\d+)?", answer) else None


def latex(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    value = abs(value)
    return f"{sign}{value.numerator}" if value.denominator == 1 else f"{sign}\\frac{{{value.numerator}}}{{{value.denominator}}}"


# Equal forms


def wrapped(answer: str) -> Iterator[str]:
    yield f"${answer}$"
    yield f"\\({answer}\\)"
    yield f"\\left({answer}\\right)" if answer not in TUPLES + INTERVALS else f"{answer}."
    yield f"{{{answer}}}" if "," not in answer else f" {answer} "
    yield f"\\displaystyle {answer}"
    yield f"{answer}."
    yield f"\\,{answer}\\;"


def respaced(answer: str) -> Iterator[str]:
    yield re.sub(r"([=+,])", r" \1 ", answer)
    yield answer.replace(" ", "") if "begin" not in answer and "text" not in answer else answer


def other_fraction_commands(answer: str) -> Iterator[str]:
    if r"\frac" in answer:
        yield answer.replace(r"\frac", r"\dfrac")
        yield answer.replace(r"\frac", r"\tfrac")
        yield re.sub(r"\\frac\{(\w+)\}\{(\w+)\}", r"(\1)/(\2)", answer)
        yield re.sub(r"\\frac\{(\d)\}\{(\d)\}", r"\\frac\1\2", answer)


def other_numbers(answer: str) -> Iterator[str]:
    value = plain_number(answer)
    if value is None:
        return
    yield latex(value)
    yield latex(2 * value) + r" \div 2"
    yield f"{latex(value - 1)} + 1"
    yield (
        f"\\frac{{{(3 * value).numerator}}}{{{3 * value.denominator}}}"
        if (3 * value).denominator == value.denominator
        else answer
    )
    if value.denominator == 1:
        yield f"{value.numerator}.0"
        yield f"{value.numerator:,}"
        yield f"{value.numerator:,}".replace(",", "{,}")
        yield f"{value.numerator:,}".replace(",", "\\,") if abs(value) >= 10**4 else answer
        yield f"{value.numerator / 10:.1f} \\times 10^1"
        yield "".join(chr(0xFF10 + int(c)) if c.isdigit() else "－" for c in str(value.numerator))
        yield f"\\sqrt{{{value.numerator**2}}}" if value >= 0 else f"-\\sqrt{{{value.numerator**2}}}"
    if abs(value) > 1 and value.denominator > 1:
        whole = abs(value).numerator // value.denominator
        yield f"{'-' if value < 0 else ''}{whole}{latex(abs(value) - whole)}"
        yield f"{'-' if value < 0 else ''}{whole} {(abs(value) - whole).numerator}/{value.denominator}"
    if set(prime_factors(value.denominator)) <= {2, 5}:
        yield format(float(value), "f") if abs(value) < 10**6 else answer


def prime_factors(n: int) -> Iterator[int]:
    for p in range(2, n + 1):
        while n % p == 0:
            yield p
            n //= p


def turned(answer: str) -> Iterator[str]:
    """Sums and products in another order, equal by algebra."""
    if answer in EXPRESSIONS + ROOTS:
        yield f"{answer} + 0"
        yield f"1 \\cdot ({answer})"
        yield f"\\frac{{2({answer})}}{{2}}"
        yield f"({answer}) + q - q"
        yield f"-(-({answer}))"
    yield from {
        "x^2+2x+1": ["(x+1)^2", "1+2x+x^2", "x(x+2)+1"],
        r"\frac{x}{y}": ["xy^{-1}", "x/y", r"x \cdot \frac{1}{y}"],
        r"\frac{n(n+1)}{2}": [r"\frac{n^2+n}{2}", r"\binom{n+1}{2}", "n(n+1)/2", "0.5n^2+0.5n"],
        "3a-2b": ["-2b+3a", "3a+(-2)b"],
        r"2^{n+1}": [r"2\cdot 2^n", "2^n+2^n"],
        "(x-1)(x+2)": ["x^2+x-2", "(x+2)(x-1)"],
        r"\frac{\sqrt{3}}{2}": [r"\sqrt{\frac{3}{4}}", r"\cos 30^\circ", r"\frac{3}{2\sqrt{3}}", r"\sqrt3/2"],
        r"3\sqrt{5}": [r"\sqrt{45}", r"3 \cdot 5^{1/2}", "3*sqrt(5)"],
        r"\sqrt{2}": [r"2^{1/2}", r"\frac{2}{\sqrt{2}}", r"\sqrt2", "√2", "1.41421356237309505"],
        r"2\pi": [r"\pi + \pi", "2*pi", "2π"],
        r"e^{2}": [r"\exp(2)", r"e \cdot e", "e^2"],
    }.get(answer, [])


def reordered(answer: str) -> Iterator[str]:
    if answer in SETS:
        inner = answer[2:-2].split(",")
        yield "\\{" + ",".join(reversed(inner)) + "\\}"
        yield ", ".join(inner)
        yield " and ".join(inner)
        yield ", ".join("x = " + item for item in inner)
    yield from {
        r"(-\infty,-1]\cup[2,\infty)": [r"[2,\infty)\cup(-\infty,-1]", r"x \le -1 \text{ or } x \ge 2"],
        "(2,5]": ["2 < x \\le 5", "x \\in (2, 5]", "5 \\ge x > 2"],
        "[0,1)": [r"0 \leq t < 1"],
        r"(-\infty,3)": ["x < 3", "3 > x", "(-∞, 3)"],
        r"[4,\infty)": [r"x \geq 4", r"[4,+\infty)", "x>=4"],
        "2x+4y-3=0": ["2x+4y=3", "y = -0.5x + 0.75", "4x+8y-6=0", "3 = 4y + 2x"],
        "x^2+y^2=25": ["y^2+x^2-25=0", "25=x^2+y^2"],
        "y=3x-6": ["3x-y=6", "y+6=3x", "y = 3(x-2)"],
        r"28\%": ["28 percent", "0.28", r"\frac{28}{100}", "28"],
        r"7.5\%": ["7.5 pct", "7.5", r"\frac{15}{2}\%"],
        r"15\text{ cm}": ["15 cm", "15", r"15\mbox{ cm}", "15 centimeters", r"15\,\mathrm{cm}"],
        r"3.5\text{ kg}": [r"\frac{7}{2}\text{ kg}", "3.5 kilograms", "3500 g"],
        r"40^\circ": ["40", "40 degrees", "40°", r"40^{\circ}"],
        r"\text{Evelyn}": ["Evelyn", "evelyn", r"\textbf{Evelyn}"],
        r"\text{even}": ["Even", r"\mathrm{even}"],
        r"\text{Tuesday}": ["tuesday", "Tuesday"],
        MATRICES[0]: [MATRICES[0].replace("pmatrix", "bmatrix"), MATRICES[0].replace(" ", "")],
        MATRICES[1]: [MATRICES[1].replace("5", r"\frac{10}{2}")],
        "(1,2)": ["(1.0, 2.0)", r"\left(1, \frac{4}{2}\right)", "x = 1, y = 2", r"(x,y) = (1,2)"],
        "(0,-1,4)": ["(0, -1, 4)", r"\langle 0,-1,4 \rangle"],
    }.get(answer, [])


def named(answer: str) -> Iterator[str]:
    if "=" not in answer and answer not in SETS + WORDS + INTERVALS:
        yield f"a = {answer}" if "a" not in re.sub(r"\\[a-z]+", "", answer) else f"m = {answer}"


def with_known_words(answer: str) -> Iterator[str]:
    """Units from the table, quantities with their value, names of programs."""
    if answer in INTEGERS:
        yield f"{answer}\\text{{ apples}}"
        yield f"{answer} \\text{{ distinct ways}}"
        yield f"\\max({answer}, {answer} - 1)"
    if answer in INTEGERS + DECIMALS + FRACTIONS:
        yield f"\\frac{{AB}}{{CD}} = {answer}"
        yield f"p + q = {answer}"
        yield f"\\int_0^1 f = {answer}"
        yield f"abs({answer})" if not answer.startswith("-") else f"-abs({answer})"
    if answer in EXPRESSIONS:
        yield f"{answer} + |z - 30| - |30 - z|"


EQUAL_RULES: tuple[Rule, ...] = (
    wrapped, respaced, other_fraction_commands, other_numbers, turned, reordered, named, with_known_words,
)  # fmt: skip


# Unequal forms


def changed_number(answer: str) -> Iterator[str]:
    for match in re.finditer(r"\d+", answer):
        for other in (int(match[0]) + 1, int(match[0]) * 10 + 1):
            yield f"{answer[: match.start()]}{other}{answer[match.end() :]}"


def changed_sign(answer: str) -> Iterator[str]:
    if answer == "0" or answer in WORDS:
        return
    if answer not in TUPLES + SETS + INTERVALS + EQUATIONS + MATRICES and r"\%" not in answer:
        yield f"-({answer})"
    for match in re.finditer(r"(?<=[\w)}])[+-](?=[\w\\(])", answer):
        yield f"{answer[: match.start()]}{'-' if match[0] == '+' else '+'}{answer[match.end() :]}"


def changed_end(answer: str) -> Iterator[str]:
    if answer in INTERVALS:
        for old, new in (("]", ")"), (")", "]"), ("[", "("), ("(", "[")):
            for match in re.finditer(re.escape(old), answer):
                if "infty" not in answer[max(0, match.start() - 7) : match.end() + 7]:
                    yield f"{answer[: match.start()]}{new}{answer[match.end() :]}"


def hedged(answer: str) -> Iterator[str]:
    if answer in INTEGERS + DECIMALS + FRACTIONS + ROOTS:
        yield f"{answer} \\text{{ or }} 99"
        yield f"{answer}, 99"
        yield f"99, {answer}"
        yield f"\\text{{not }} {answer}"
        yield f"\\pm ({answer})" if answer != "0" else "0, 5"
        yield f"{answer} \\ne x"
        yield f"({answer}, {answer})"
        yield f"x > {answer}"
        yield f"{answer} x" if answer != "0" else "0/0"
        yield f"\\text{{between }} {answer} \\text{{ and }} 99"


def incomplete(answer: str) -> Iterator[str]:
    if answer in SETS:
        inner = answer[2:-2].split(",")
        yield ", ".join(inner[:-1])
        yield ", ".join([*inner, "77"])
    if answer in TUPLES:
        inner = answer[1:-1].split(",")
        yield f"({','.join(reversed(inner))})"
        yield f"({','.join(inner[:-1])})" if len(inner) > 2 else inner[0]
    if answer in EQUATIONS:
        yield answer.split("=")[1] if not answer.startswith("y=") else answer.replace("y=", "z=2y+")
        yield "0=0"
        yield "x=x"
        yield answer.replace("y", "z")
    if answer in MATRICES:
        yield answer.replace("&", r"\\").replace("  ", " ")
        yield "1"


def near(answer: str) -> Iterator[str]:
    value = plain_number(answer)
    if value is not None:
        yield f"{float(value) + 0.0001:.4f}"
        yield f"{float(value) * 1.001 + 0.001:.6f}"
        yield f"\\approx {float(value) + 0.2:.1f}"
    rounded = {r"\sqrt{2}": "1.414", r"2\pi": "6.28", r"\frac{22}{7}": "3.14", r"\frac{\pi}{6}": "0.5236", r"e^{2}": "7.389"}
    if answer in rounded:
        yield rounded[answer]


def other_unit(answer: str) -> Iterator[str]:
    yield from {
        r"15\text{ cm}": [r"15\text{ m}", r"15\text{ cm}^2", "15 km", "15 kg"],
        r"3.5\text{ kg}": ["3.5 g", "3.5 pounds"],
        r"28\%": ["2.8", r"0.28\%", r"72\%"],
        r"40^\circ": [r"40\pi", r"140^\circ"],
        r"\text{Evelyn}": ["Evelyn and Carla", "not Evelyn", "Carla"],
        r"\text{even}": ["odd", "neither even nor odd"],
        r"\text{Tuesday}": ["Tuesday or Wednesday", "Thursday"],
        "x^2+2x+1": ["(x+1)^3", "x^2+1", "x^2+2x+1=0"],
        "2n+1": ["2(n+1)", "2n", "n+1"],
        r"\sin x": [r"\cos x", r"\sin 2x", r"\sin x^2"],
        r"x\sqrt{y}": [r"\sqrt{xy}", r"y\sqrt{x}"],
        r"2^{n+1}": ["2^n+1", "2^{n}"],
    }.get(answer, [])


def with_other_words(answer: str) -> Iterator[str]:
    """Words behind a number that are no unit of it."""
    if answer in INTEGERS + DECIMALS:
        for words in ("doubled", "in base 16", "(or 41)", "percent off", "of 43", "-ish", "e3", "and a half", "squared"):
            yield f"{answer}\\text{{ {words}}}" if answer not in ("0", "1") else f"{answer}\\text{{ (or 41)}}"


def differing_far_out(answer: str) -> Iterator[str]:
    """Equal near zero alone."""
    if answer in EXPRESSIONS:
        yield f"{answer} + z - 30 + |z - 30|"
        yield f"{answer} + \\max(0, z - 50)"
        yield f"{answer} + \\lfloor z^2 / 10^9 \\rfloor"
        yield f"{answer} + 10^{{-60}}"


UNEQUAL_RULES: tuple[Rule, ...] = (
    changed_number, changed_sign, changed_end, hedged, incomplete, near, other_unit, with_other_words, differing_far_out,
)  # fmt: skip


def corpus(seed: int = 0, limit: int | None = None) -> list[tuple[str, str, bool, str]]:
    """(reference, answer, equal, rule) for every rule and answer; a seeded sample where `limit` is given."""
    rows = []
    for equal, rules in ((True, EQUAL_RULES), (False, UNEQUAL_RULES)):
        for rule in rules:
            for gold in GOLDS:
                rows += [(gold, answer, equal, rule.__name__) for answer in dict.fromkeys(rule(gold)) if answer != gold]
    return rows if limit is None else random.Random(seed).sample(rows, min(limit, len(rows)))

"""Names of programs, values of named quantities, decimal commas: what is written otherwise, and what is something else."""

from __future__ import annotations

import pytest

from cogitate.rewards.math import library as math_library
from cogitate.rewards.math.answer import grade_math

SAME = [
    ("asin(x)", r"\arcsin x"), ("atan(1/2)", r"\arctan\frac12"), (r"\ln(1+\sqrt2)", r"\operatorname{arsinh}(1)"),
    ("acosh(2)", r"\cosh^{-1}2"), ("abs(x)", "|x|"), ("abs(-3)", "3"), ("floor(7/2)", "3"), ("ceil(7/2)", "4"),
    ("ceiling(x)", r"\lceil x\rceil"), ("factorial(n)", "n!"), ("factorial(5)", "120"), ("binomial(5,2)", "10"),
    ("binomial(n,2)", r"\frac{n(n-1)}2"), ("2*I", "2i"), ("3 + 4*I", "3+4i"), ("I*3", "3i"), ("E**2", "e^2"), ("2*E", "2e"),
    ("Rational(1,2)", "1/2"), ("log10(x)", r"\log_{10}x"), ("log2(8)", "3"), ("Max(1,2)", "2"), ("2", r"128 \bmod 3"),
    ("3", r"17 \bmod 7"), ("3", "floor(pi)"), ("sqrt(2)*E**3", r"\sqrt2 e^3"), ("1", r"\lim_{x\to 0}\frac{\sin x}{x}=1"),
    ("1/2", r"\int_0^1 x\,dx = \frac12"), ("3", r"\frac{AB}{CD}=3"), ("62", "2a+b = 50+12 = 62"), ("5", "|v|=5"),
    ("12", "|m-n|=12"), ("2x", r"\frac{d}{dx}x^2=2x"), ("2x", r"\frac{dy}{dx}=2x"), ("5050", r"\sum_{k=1}^{100}k=5050"),
    ("3", "x/y=3"), ("25", "x^2+y^2=25"), ("6", "xy=6"), ("6", r"\sqrt{ab}=6"), ("7", "f(2)=7"), ("4", r"\log_2 16 = 4"),
    ("0.5", "P(A)=0.5"), ("0.5", r"\sin 30^\circ = 0.5"), ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
    ("(5,2),(7,2)", "p=5,q=2; p=7,q=2"), ("x=1,y=2;x=3,y=4", "(3,4),(1,2)"), ("0.125", "0,125"), ("0,125", "0.125"),
    ("0.111", "0,111"), ("-0.5", "-0,5"), ("0<f(x)<1", "(0,1)"), ("the solution to the problem is $x = 3$", "3"),
    (r"the solution to the problem is $m \in [\sqrt{2}, +\infty)$", r"m \geq \sqrt{2}"), ("The answer is 5.", "5"),
    ("Therefore, the area is $12$ square units.", "12"), ("1234", "1,234"), ("x;y", "x,y"), (r"3 \pmod 7", r"3 \bmod 7"),
]  # fmt: skip
OTHER = [
    ("asin(x)", r"\sin x"), ("abs(x)", "x"), ("abs(-3)", "-3"), ("floor(7/2)", "4"), ("ceil(7/2)", "3"),
    ("factorial(n)", "n"), ("binomial(5,2)", "5"), ("2*I", "2"), ("2*I", "2I"), ("E**2", "E^3"), ("Rational(1,2)", "2"),
    ("log10(x)", r"\ln x"), ("2", r"128 \bmod 5"), ("3", r"3 \pmod 7"), ("1", r"\lim_{x\to 0}\frac{\sin x}{x}=2"),
    ("1/2", r"\int_0^1 x\,dx"), ("3", r"\frac{AB}{CD}"), ("62", "2a+b = 50+12 = 63"), ("62", "2a+b=50+13=62"),
    ("293", "2m=293"), ("5", "|x|=5"), ("42", "3x=42"), ("42", "x^2=42"), ("2x", r"\frac{d}{dx}x^2=2"),
    ("5050", r"\sum_{k=1}^{100}k"), ("p=5,q=2;p=7,q=2", "(5,2),(7,3)"), ("p=5,q=2;p=7,q=2", "(2,5),(2,7)"),
    ("p=5,q=2;p=7,q=2", "5,2,7,2"), ("0.125", "125"), ("0,125", "125"), ("125", "0,125"), ("1,234", "1.2345"),
    ("0<f(x)<1", "(0,1]"), ("the solution to the problem is $x = 3$", "4"), ("x+y=5", "5"), ("42", r"x \neq 42"),
    ("3", "x<3"), ("arcsin", "asin"), ("6", "xy=7"), ("1", "ab=1=2"), ("abs(x)", "abs"), ("3", "floor(x)"),
    ("120", "factorial(4)"), ("10", "binomial(5)"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def library_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_a_value_in_another_notation_is_right(gold: str, answer: str) -> None:
    assert grade_math(f"<think>x</think>\\boxed{{{answer}}}", gold).value == "right"


@pytest.mark.parametrize(("gold", "answer"), OTHER)
def test_another_value_in_such_a_notation_is_wrong(gold: str, answer: str) -> None:
    assert grade_math(f"<think>x</think>\\boxed{{{answer}}}", gold).value == "wrong"

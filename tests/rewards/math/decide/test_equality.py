"""Equality of expressions: what is unequal somewhere is unequal, what is written otherwise is equal."""

from __future__ import annotations

from fractions import Fraction

import pytest

from cogitate.rewards.math import library as math_library
from cogitate.rewards.math.answer import grade_math
from cogitate.rewards.math.decide.equality import decide_equal
from cogitate.rewards.math.decide.roots import real_roots
from cogitate.rewards.math.parser.syntax import parse
from tests.processor_time import cheapest

UNEQUAL = [
    ("10-x", "|x-10|"), ("x+10", "|x+10|"), ("100-x", "|x-100|"), ("1000+x", "|x+1000|"), ("9-2x", "|2x-9|"),
    ("9-x^2", "|x^2-9|"), ("5", r"\max(x,5)"), ("x", r"\min(x,50)"), ("x", r"\max(x,-50)"), ("n", r"\min(n,10)"),
    ("x", r"\max(x,y)"), ("20", "|x-10|+|x+10|"), ("10-2x", "|x-3|+|x-7|"), ("-1", r"\frac{|x-10|}{x-10}"),
    ("7-n", r"\sqrt{(n-7)^2}"), ("4-x", r"\sqrt{x^2-8x+16}"), (r"\ln(10-x)", r"\ln|x-10|"), (r"\ln|x-5|+C", r"\ln(5-x)+C"),
    (r"\ln|x|", r"\ln x"), ("x/2", r"\arcsin(\sin(x/2))"), ("x", r"\arctan(\tan x)"),
    ("x", r"x\cdot\lfloor 1+10^{-9}x^2\rfloor"), ("0", r"\lfloor x/1000 \rfloor"),
    (r"\lfloor \frac{n}{4} \rfloor", r"\lfloor \frac{n}{3} \rfloor"),
    (r"\lceil \frac{n}{5} \rceil", r"\lceil \frac{n}{7} \rceil"), (r"\lfloor \log_2 n \rfloor", r"\lfloor \log_3 n \rfloor"),
    (r"\lceil x \rceil", r"\lfloor x \rfloor + 1"), (r"\lfloor x \rfloor", r"\lfloor x + 10^{-6} \rfloor"),
    (r"\lfloor 3x \rfloor", r"3\lfloor x \rfloor"), ("x", "x+10^{-60}"), (r"\sqrt{x}", r"\sqrt{x}+10^{-60}"),
    ("10^{40}", "10^{40}+1"), ("10^{40}", r"10^{40}+\sqrt{2}-1.4142135623730950488"), ("10^{40}", r"\max(10^{40}+1,1)"),
    ("10^{40}", r"\gcd(10^{40}+1,0)"), ("10^{40}", r"10^{40}+\sqrt{1}"), ("2", r"\sqrt{4+10^{-40}}"), ("|x-y|", "x-y"),
    (r"\max(x,y)", r"\frac{x+y+|x-y|}{2}+10^{-40}"), ("x^2", "x|x|"), ("(-1)^n", r"\cos(2n\pi)"),
    (r"n \bmod 4", r"n \bmod 5"), (r"\sqrt{x^2}", "x"), (r"\sqrt[4]{x^4}", "x"), ("x+1", r"\frac{x^2-1}{x+1}"),
    ("2^n", "n^2"), (r"\binom{n}{2}", r"\frac{n(n+1)}{2}"), (r"\sin x", "x"), ("f(x)=|x-5|", "f(x)=5-x"),
    ("y=|x-20|", "y=20-x"), ("|x-3|=2", "x=1"), ("|x-30|=2", "x=28"), ("e^x", "e^{|x|}"), (r"\tan^2 x", r"\sec^2 x"),
    (r"\sgn(x)", "1"),
]  # fmt: skip
EQUAL = [
    (r"\sqrt[3]{x-5}", "(x-5)^{1/3}"), (r"\sqrt[3]{x^2-2}", "(x^2-2)^{1/3}"),
    (r"\frac{1}{3}(x-5)^{-2/3}", r"\frac{1}{3\sqrt[3]{(x-5)^2}}"), (r"\ln((x-5)(x-6))", r"\ln(x-5)+\ln(x-6)"),
    (r"\sqrt{(x-5)(x-6)}", r"\sqrt{x-5}\sqrt{x-6}"), (r"\sqrt{1/n}", r"\frac{1}{\sqrt n}"),
    (r"-\frac{2(x^2+6)}{9(x^2-2)\sqrt[3]{x^2-2}^2}", r"-\frac{8x^2}{9(x^2-2)^{5/3}}+\frac{2}{3(x^2-2)^{2/3}}"),
    (r"\lceil \frac{n}{2} \rceil", r"\lfloor \frac{n+1}{2} \rfloor"), (r"\lfloor n/2 \rfloor", r"\frac{2n-1+(-1)^n}{4}"),
    ("(-1)^n", r"\cos(n\pi)"), (r"|x-10|", "|10-x|"), ("|x-10|", r"\sqrt{(x-10)^2}"), (r"\max(x,5)", r"\frac{x+5+|x-5|}{2}"),
    (r"\max(x,y)", r"\frac{x+y+|x-y|}{2}"), (r"\ln|x-5|", r"\frac12\ln((x-5)^2)"), (r"\ln|x|", r"\ln(|x|)"),
    ("2\\ln x", r"\ln(x^2)"), (r"\lceil x \rceil", r"-\lfloor -x \rfloor"), ("(x+1)^5", "x^5+5x^4+10x^3+10x^2+5x+1"),
    (r"\frac{1}{x}-\frac{1}{x+1}", r"\frac{1}{x(x+1)}"), (r"\sqrt{x^2+1}-x", r"\frac{1}{\sqrt{x^2+1}+x}"),
    (r"\cosh^2 x - \sinh^2 x", "1"), (r"\sin^2 x", r"\frac{1-\cos 2x}{2}"), (r"\sin x\cos x", r"\frac12 \sin 2x"),
    (r"e^{\ln x}", "x"), (r"\binom{n}{3}", r"\frac{n(n-1)(n-2)}{6}"), ("6", r"\gcd(6,12)"),
    (r"\frac{(a+b)^2-(a-b)^2}{4}", "ab"), ("x^2-y^2", "(x-y)(x+y)"), (r"\frac{x^3-1}{x-1}", "x^2+x+1"),
    ("2^{n+1}", r"2\cdot 2^n"), (r"\log_2 x", r"\frac{\ln x}{\ln 2}"), (r"\sqrt{5+2\sqrt6}", r"\sqrt2+\sqrt3"),
    (r"\sqrt[3]{-8}", "-2"), ("(-8)^{1/3}", "-2"), (r"\sqrt{10^{20}+1}-10^{10}", r"\frac{1}{\sqrt{10^{20}+1}+10^{10}}"),
    ("10^{40}+1", r"\max(10^{40}+1,1)"), (r"\pi x + \pi", r"\pi(x+1)"), (r"\frac{x}{|x|}", r"\frac{|x|}{x}"),
    ("x^{1/2}", r"\sqrt{x}"), (r"\lfloor x \rfloor + 1", r"\lfloor x+1 \rfloor"), ("|x-3|=2", "|3-x|=2"),
    ("y=|x|", "y=|-x|"), (r"\arctan x + \arctan\frac1x", r"\frac{\pi x}{2|x|}"), ("i^2", "-1"), ("(1+i)^2", "2i"),
    (r"\sqrt{-4}", "2i"), (r"e^{i\pi}", "-1"), (r"|a||b|", "|ab|"), (r"\frac{n!}{(n-1)!}", "n"), ("x^2+2xy+y^2", "(x+y)^2"),
]  # fmt: skip
SAME_SET = [
    ("|x-3|<2", "1<x<5"), ("|x-3|<2", "(1,5)"), ("|x-5|<3", "(2,8)"), ("|2x-7|<1", "3<x<4"),
    ("|x-3|>2", r"x<1 \text{ or } x>5"), (r"|t-10| \ge 4", r"(-\infty,6] \cup [14,\infty)"), (r"\max(x,3) < 5", "x<5"),
    (r"\min(x,3) < 2", "x<2"), ("x^2<4", "(-2,2)"), (r"x^2 \ge 2", r"(-\infty,-\sqrt2]\cup[\sqrt2,\infty)"),
    (r"x \ge \pi", r"[\pi,\infty)"), ("|x|+|x-1|<3", "-1<x<2"), (r"\frac{1}{x}>1", "0<x<1"), ("|x-3|<|x-7|", "x<5"),
    ("x^2-5x+6>0", r"(-\infty,2)\cup(3,\infty)"), ("2x+1<x+5", "x<4"), ("0<f(x)<1", "(0,1)"), (r"|x|\le 0", r"\{0\}"),
    ("|x-100|<1", "99<x<101"), (r"|x-\sqrt2|<1", r"\sqrt2-1<x<\sqrt2+1"), ("(x-1)^2>0", r"x\ne 1"),
    ("-3 < 2x-1 < 5", "(-1,3)"),
]  # fmt: skip
OTHER_SET = [
    ("|x-3|<2", "x>1"), ("|x-3|<2", "x<5"), ("|2x-7|<1", "x>3"), ("|x-3|>2", "x<1"), ("x>1", "|x-3|<2"), ("x^2<4", "x<2"),
    ("x^2>4", "x>2"), (r"\max(x,3)<5", "3<x<5"), (r"\max(x,3)<5", r"x \le 5"), (r"\frac1x>1", "x<1"), ("|x-10|<1", "9<x"),
    ("|x|<3", r"|x|\le 3"), ("0<f(x)<1", "(0,2)"), ("0<f(x)<1", "0<x<1"), ("|x-3|<2", "1<y<5"), ("(x-1)^2>0", r"\mathbb{R}"),
    (r"x\ge\pi", "x>3.14"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def library_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)


def verdict(gold: str, answer: str) -> str:
    return grade_math(f"<think>w</think>\\boxed{{{answer}}}", gold).value


@pytest.mark.parametrize(("left", "right"), UNEQUAL)
def test_what_differs_somewhere_is_unequal(left: str, right: str) -> None:
    assert (verdict(left, right), verdict(right, left)) == ("wrong", "wrong")


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_what_agrees_wherever_both_are_defined_is_equal(left: str, right: str) -> None:
    assert (verdict(left, right), verdict(right, left)) == ("right", "right")


@pytest.mark.parametrize(("gold", "answer"), SAME_SET)
def test_inequalities_with_the_same_solutions_are_the_same(gold: str, answer: str) -> None:
    assert (verdict(gold, answer), verdict(answer, gold)) == ("right", "right")


@pytest.mark.parametrize(("gold", "answer"), OTHER_SET)
def test_inequalities_with_other_solutions_are_others(gold: str, answer: str) -> None:
    assert (verdict(gold, answer), verdict(answer, gold)) == ("wrong", "wrong")


def test_what_no_point_can_tell_is_not_decided() -> None:
    nowhere = r"\ln(-1-x^2)\cdot\frac{1}{x-x}"
    assert decide_equal(parse(r"\frac{1}{10^{10^{9}}x}"), parse(r"10^{10^{9}} \sin x")) is None
    assert decide_equal(parse(nowhere), parse(r"\sqrt{x}")) is not True


def zeros(*coefficients: int) -> list[float]:
    return [float(root) for root in real_roots([Fraction(value) for value in coefficients])]


def test_the_zeros_of_a_polynomial_are_found_double_ones_too() -> None:
    assert zeros(16, -8, 1) == [4]  # (x - 4)^2
    assert zeros(-6, 11, -6, 1) == [1, 2, 3]
    assert zeros(1, 0, 1) == []
    assert zeros(-2, 0, 1) == pytest.approx([-(2**0.5), 2**0.5])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_work_of_a_decision_is_bounded(size: int) -> None:
    def decide(go: int) -> None:
        verdict("+".join(f"|x_{i}-{i}|" for i in range(8 * size)), "+".join(f"|{i}-x_{i}|" for i in range(8 * size)))
        verdict(f"(a+b+c+d+f)^{{{10 * size}}}", f"(f+d+c+b+a)^{{{10 * size}}}")

    assert cheapest(decide, enough=6) < 6

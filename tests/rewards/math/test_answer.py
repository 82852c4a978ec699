from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.rewards.answer import Contract
from cogitate.rewards.math import answer
from cogitate.rewards.math import library as math_library
from cogitate.rewards.math.answer import audit_math, grade_math
from tests.processor_time import cheapest

EQUAL = [
    (r"3,\!110,\!400", r"\left(3110400\right)"), (r"(1{,}000, 2)", "(1000, 2)"), (r"1{,}000", "(1,\\!000)"),
    ("10", r"10\text{ units}"), (r"10 \text{ units}", "10"), (r"\tfrac{13}{108}", r"\frac{13 }{108}"), ("7.50", r"\$7.50"),
    (r"\$7.50", "7.5"), (r"(-\infty,1)", "x<1"), ("x<1", r"(-\infty, 1)"), (r"(-\infty,1]", r"x \leq 1"),
    ("[1,2]", r"1 \le x \le 2"), (r"\emptyset", r"\{\}"), (r"\varnothing", r"\emptyset"),
    (r"\emptyset", r"\text{no solution}"), (r"\text{No solution}", r"\emptyset"), (r"\text{even}", "even"),
    (r"1\frac{1}{2}", "1.5"), (r"1\frac12", r"\frac{3}{2}"), ("x=1,y=2", "y=2, x=1"), ("x=1,y=2", "(1,2)"),
    ("(x,y)=(1,2)", "x=1,y=2"), (r"\{x \mid x>5\}", "x>5"), (r"\{x : x > 5\}", r"(5,\infty)"),
    (r"\{x\in\mathbb{R} | x>5\}", r"(5,\infty)"), ("k=2,3", "2,3"), (r"\sin(x)", r"\sin x"), (r"\sin^2 x", r"(\sin x)^2"),
    (r"\sin^2 x + \cos^2 x", "1"), (r"2\sqrt{3}", r"\sqrt{12}"), (r"\frac{2}{\sqrt{3}}", r"\frac{2\sqrt{3}}{3}"),
    (r"\sqrt[3]{8}", "2"), ("8^{1/3}", "2"), (r"e^{i\pi}", "-1"), (r"\frac{1}{2}", "0.50"), ("0.5", r"50\%"),
    (r"50\%", r"\frac{1}{2}"), ("3:2", "3:2"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}"),
    (r"\infty", "infinity"), (r"\text{undefined}", "undefined"), ("1,2,3", "3,2,1"), (r"\{1,2\}", "1,2"),
    ("a^2-b^2", "(a-b)(a+b)"), (r"\frac{x^2-1}{x-1}", "x+1"), ("x^2+2x+1", "(x+1)^2"), ("xy", "yx"), ("2^{10}", "1024"),
    ("2^10", "1024"), ("10!", "3628800"), (r"\binom{5}{2}", "10"), (r"\log_2 8", "3"), (r"\ln e", "1"),
    (r"\log_{10} 100", "2"), (r"120^\circ", "120"), ("120", "120 degrees"), (r"120^\circ", r"120 \text{ degrees}"),
    (r"5 \text{ cm}", "5 cm"), (r"5 \text{ cm}^2", "5 square centimeters"), (r"5\text{ mph}", "5 miles per hour"),
    (r"\$5", "5 dollars"), ("3 + 4i", "3+4i"), ("3+4i", "4i+3"), ("-i", "-i"), (r"\frac{1+i}{2}", "0.5+0.5i"),
    ("x=3", "x = 3"), ("x=3", "3"), ("y=2x+1", "2x+1"), ("y=2x+1", "2x-y+1=0"), ("f(x)=2x", "2x"),
    ("x^2+y^2=4", "x^2+y^2-4=0"), (r"\frac{x^2}{4}+\frac{y^2}{9}=1", "9x^2+4y^2=36"), ("1 and 2", "1, 2"),
    ("1 or 2", "x=1 or x=2"), (r"x=1 \text{ or } x=2", "1,2"), (r"\pm 3", "3,-3"), (r"x=\pm 3", "-3, 3"),
    (r"2\pm\sqrt{3}", r"2+\sqrt{3}, 2-\sqrt{3}"), (r"\frac{-1\pm\sqrt{5}}{2}", r"\frac{-1+\sqrt5}{2},\frac{-1-\sqrt5}{2}"),
    ("100,000", "100000"), ("100000", "100,000.00"), ("100000", "100 000"), ("1{,}000", "1000"),
    (r"\pi", "3.14159265358979"), (r"\sqrt{2}", "1.41421356237"), ("2", "2.0"), ("11_2", "11_{2}"),
    ("A5_{16}", r"\text{A5}_{16}"), (r"\frac{a}{b}", "a/b"), (r"\frac{a}{bc}", "a/(bc)"), (r"\frac{1}{2x}", "1/(2x)"),
    (r"\frac{x}{2}", "x/2"), (r"\frac{x}{2}", r"\frac{1}{2}x"), (r"-\frac{x}{2}", r"\frac{-x}{2}"),
    (r"2\cdot 3^x", "2(3^x)"), ("3^{x+1}", r"3\cdot 3^x"), (r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}"),
    ("n(n+1)/2", "(n^2+n)/2"), (r"\overline{AB}", r"\overline{AB}"), (r"\angle ABC", r"\angle ABC"), (r"\text{A,B}", "A,B"),
    (r"\text{A,B}", "B,A"), ("12:30", "12:30"), (r"\text{Monday}", "Monday"), (r"1.5 \times 10^{-3}", "0.0015"),
    ("1.5e-3", "0.0015"), (r"1.5\cdot10^3", "1500"), (r"6.02 \times 10^{23}", "6.02e23"),
    (r"[0,1)\cup(2,3]", r"(2,3]\cup[0,1)"), (r"(-\infty,0)\cup(0,\infty)", r"x\neq 0"),
    (r"x\ne 0", r"\mathbb{R}\setminus\{0\}"), (r"\mathbb{R}", r"(-\infty,\infty)"), ("(1,5)", "1<x<5"),
    (r"x\in[1,2]", "[1,2]"), (r"x \in \{1,2\}", "1,2"), (r"n\in\{1,2\}", r"\{2,1\}"), ("f(x)=x^2+1", "y=x^2+1"),
    ("a_n=2n+1", "2n+1"), (r"\lfloor 3.7\rfloor", "3"), ("|x-1|", "|1-x|"), ("|-5|", "5"), (r"\max(1,2)", "2"),
    (r"\gcd(4,6)", "2"), ("(2,3), (4,5)", "(4,5), (2,3)"), (r"\{(2,3),(4,5)\}", "(4,5),(2,3)"),
    (r"\left(\frac{1}{2}, 3\right)", "(0.5, 3)"), (r"\langle 1,2\rangle", "(1,2)"),
    (r"1\mathbf{i}+2\mathbf{j}", r"\mathbf{i}+2\mathbf{j}"), ("x^3-2x", "x(x^2-2)"), (r"\frac{3}{4}", r"\frac{75}{100}"),
    ("0", "-0"), ("0", "0.0"), ("5, 6", "5 or 6"), ("7", "15 - 8 = 7"), ("7", "15-8"),
    ("C", r"\text{(C)}"), ("C", "C) 42"), (r"\text{Yes}", "yes"), (r"\text{True}", "true"), (r"2+\sqrt{2}", r"\sqrt{2}+2"),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"), (r"\tan 45^\circ", "1"), (r"\sin 30^\circ", r"\frac12"),
    (r"\cos\frac{\pi}{3}", "0.5"), ("10^{100}", "10^{100}"), ("2^{1000}", "2^{1000}"), ("2^{100000}", "2^{100000}"),
    (r"\frac{1}{x+1}", "(x+1)^{-1}"), ("x^{-2}", r"\frac{1}{x^2}"), (r"\sqrt{x^2}", "|x|"), (r"e^{2\ln 3}", "9"),
    (r"6 \text{ and } 8", "6,8"), (r"(3,4)\text{ and }(5,6)", "(3,4),(5,6)"),
    (r"x>2 \text{ or } x<-1", r"(-\infty,-1)\cup(2,\infty)"), ("x<-1 or x>2", "x>2 or x<-1"),
    (r"x>1 \text{ and } x<3", "1<x<3"), (r"10 \%", "0.1"), (r"10\%", "10"), ("10", "10 percent"),
    (r"-\frac{7}{2}", r"-3\frac{1}{2}"), (r"\dfrac{-7}{2}", "-3.5"), ("-(x-1)", "1-x"), ("4", "+4"), ("4", "4."),
    ("4", "$4$"), ("4", r"\(4\)"), ("4", r"\[4\]"), ("4", "**4**"), ("4", "4\\\\"), (r"2\frac{3}{4}\text{ cups}", "2.75"),
    (r"80\text{ km/h}", "80 km/h"), ("9.8 m/s^2", r"9.8 \text{ m/s}^2"), (r"\text{35}", "35"),
    (r"35\,\text{cm}", r"35 \mathrm{cm}"), (r"35 \mathrm{~cm}", r"35\text{cm}"), (r"35 \mathrm{~cm}^{2}", "35"),
    (r"\frac{5}{9}\left(F-32\right)", r"\frac{5(F-32)}{9}"), ("S_n=n^2", "n^2"),
    (r"\theta=\frac{\pi}{6}", r"\frac{\pi}{6}"), (r"\angle A=60^\circ", r"60^\circ"), (r"m\angle A = 60^\circ", "60"),
    ("AB=5", "5"), ("AB = 5", r"5 \text{ cm}"), (r"\overline{AB}=5", "5"), (r"P(A)=\frac13", r"\frac13"),
    (r"\frac{1}{3}", r"P=\frac13"), ("n=2,3,4", "n=2, n=3, n=4"), ("a=1, b=2, c=3", "1,2,3"),
    ("(a,b,c)=(1,2,3)", "a=1, b=2, c=3"), ("a=1,b=2", "(1,2)"), (r"0.\overline{3}", r"\frac13"),
    (r"0.3\overline{6}", r"\frac{11}{30}"), (r"\sqrt{-1}", "i"), ("1e10", "10000000000"),
    (r"24\pi \text{ square units}", r"24\pi"), (r"24\pi", r"24 \pi \text{ cm}^3"), (r"24\pi", "75.39822368615503"),
    ("3^5", "243"), ("3**5", "243"), ("5^{2^3}", "390625"), ("(5^2)^3", "15625"), (r"\frac{\frac{1}{2}}{3}", r"\frac16"),
    (r"\frac{1}{\frac{2}{3}}", "1.5"), (r"\text{Alice and Bob}", "Alice and Bob"),
    (r"x \leq -2 \text{ or } x \geq 3", r"(-\infty, -2] \cup [3, \infty)"), ("-2<x<3", "x>-2 and x<3"),
    ("[2,5)", r"2\leq x<5"), (r"x\geq 2", r"2\leq x"), (r"\frac{3x}{4}", "0.75x"), ("2:1", "2 : 1"), ("1:2:3", "1:2:3"),
    ("13", r"\frac{26}{2}"), (r"\sqrt{169}", "13"), (r"\text{13}", "13"), (r"\mathbf{13}", "13"), (r"\textbf{13}", "13"),
    (r"\boldsymbol{13}", "13"), (r"13\;", "13"), ("{13}", "13"), ("(13)", "13"), ("42", "٤٢"), ("42", "-(-42)"),
    ("42", "--42"), ("42", "042"), ("16", "016"), ("016", "16"), ("42", "42_{10}"), ("42", "42.00"), ("42", "4.2e1"),
    ("42", r"4.2 \times 10^1"), ("42", r"42 \times 1"), ("42", r"\frac{84}{2}"), ("42", "42^1"), ("42", r"\{42\}"),
    ("42", r"\{42,42\}"), ("42", "(42)"), ("42", "[42]"), ("42", "42=x"), ("42", r"\text{42}"), ("42", r"42\qquad"),
    ("42", r"\$42"), ("42", "42 dollars"), ("42", "42 USD"), ("42", "€42"), ("42", "42 m^2"), ("42", "42 kg/m^3"),
    (r"\text{rank}(A)=2", "2"), ("2", r"\operatorname{rank}(A)=2"), ("2", r"\det(A) = 2"), ("2", r"\deg f = 2"),
    ("6", r"\dim V = 6"), ("x=1,y=2", r"\begin{cases}x=1\\y=2\end{cases}"),
    ("x=1,y=2", r"\left\{\begin{array}{l}x=1\\y=2\end{array}\right."), (r"\arctan 2", r"\tan^{-1} 2"),
    (r"\arctan 2", r"\operatorname{arctan} 2"), (r"\arctan 2", r"\arctan(2)"), ("1000000", "1.000.000"), ("1.5", "1,5"),
    ("1234", "1,234"), ("3!", "6"), ("x_1+x_2", "x_2+x_1"), ("a_1", "a_{1}"), (r"\sin 2x", r"2\sin x\cos x"),
    ("a-(b-c)", "a-b+c"), ("a/b/c", "a/(bc)"), ("-2^2", "-4"), (r"[1,2]\cup[2,3]", "[1,3]"), ("x<1", "1>x"),
    ("x<1", "-x>-1"), ("2x<2", "x<1"), ("a<b", "b>a"), ("x+y<1", "2x+2y<2"),
    (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2"),
    (r"2\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\4\end{pmatrix}"), ("7", "max(7,1)"), ("7", "{7}"),
]  # fmt: skip
UNEQUAL = [
    ("5x-7y+11z+4=0", "x+y-z+2=0"), (r"x\le 1", "x<1"), ("even", "odd"), ("x=1,y=2", "x=2,y=1"), ("3:2", "2:3"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"), (r"-\infty", r"\infty"), ("1,2,3", "1,2"),
    ("1,2", "1,2,3"), ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"), ("(1,2]", "(1,2)"), ("a^2-b^2", "(a-b)^2"),
    (r"5 \text{ cm}", "5 km"), (r"5 \text{ cm}^2", r"5 \text{ cm}"), ("3+4i", "3-4i"), ("f(x)=2x", "f(x)=3x"),
    ("x^2+y^2=4", "x^2+y^2=2"), (r"\pm 3", "3"), ("3", r"\pm 3"), ("1000", "1.000"), ("12", "1 2"),
    ("0.1", "0.10000000001"), (r"\pi", "3.14"), ("3.14", r"\pi"), (r"\sqrt{2}", "1.414"), ("2", "2x"), ("2x", "2"),
    ("-2", "2"), ("2", "-2"), ("1/3", "1/4"), ("1/2", "2/1"), ("12", "21"), ("3", "3.0000001"), ("1001_2", "1001_{3}"),
    (r"\triangle ABC", r"\triangle ABD"), (r"\text{A,B}", "A,C"), ("12:30", "12:31"), ("Monday", "Tuesday"),
    ("(1,5)", r"1\le x<5"), ("(2,3), (4,5)", "(3,2), (4,5)"), ("x^3-2x", "x(x^2+2)"), (r"\frac{22}{7}", r"\pi"), ("0", ""),
    ("", "0"), ("5", "x is not 5"), ("5", "5 or 6"), ("5", "It is 5 or 6"), ("8", "15 - 8 = 7"), ("Yes", "No"),
    ("True", "False"), ("10^{100}", "10^{101}"), ("2^{100000}", "2^{100001}"), (r"\sqrt{x^2}", "x"), ("|AB|=1", "|AB|=2"),
    ("a=1, b=2, c=3", "3,2,1"), (r"24\pi", "75.4"), (r"\text{red}", "blue"), (r"x\geq 2", "x>2"), ("42", "40-44"),
    ("42", "40 to 44"), ("42", r"42 \pm 1"), ("42", "42/43"), ("42", "[40,44]"), ("42", r"\ge 42"), ("42", "x>41"),
    ("42", "42 (or 24)"), ("42", "42 24"), ("42", r"42 \text{ or more}"), ("42", r"42 \text{ is wrong}"),
    ("42", r"\text{at least } 42"), ("42", r"42 \pmod{100}"), ("42", r"42 \bmod 100"), ("42", r"42 \text{ or } 43"),
    ("42", r"42, \text{ maybe } 43"), ("42", r"\text{between } 41 \text{ and } 43"), ("42", "4 2"), ("42", "42!"),
    ("42", "!42"), ("42", "0x2A"), ("42", "0b101010"), ("42", "42i"), ("42", "42x"), ("42", "x=42, y=43"),
    ("42", "(42, 42)"), ("42", r"x=42 \text{ or } x=-42"), ("42", "x^2=1764"), ("42", "x=42=43"), ("42", r"x \ne 42"),
    ("42", r"42 \ne 42"), ("42", r"\neg 42"), ("42", r"\cancel{41} 42"), ("42", r"\sum_{i=1}^{42} 1"),
    ("42", r"\int_0^{42} dx"), ("42", r"\lim_{x\to 42} x"), ("42", "f(42)"), ("42", r"\text{NaN}"), ("42", r"\infty"),
    ("42", r"42\infty"), ("42", r"\frac{42}{0}"), ("42", r"\frac{42}{\infty}"),
    ("x=1,y=2", r"\begin{cases}x=2\\y=1\end{cases}"), ("15", "1,5"), ("1,5", "15"), ("(1,5)", "1.5"), ("1.234", "1,234"),
    ("1,234", "1.234"), (r"\frac{1}{2}", r"\frac{1}{2}x"), ("x^2", "2x"), ("x^2", "x2"), ("2^3", "23"), ("x_1", "x_2"),
    ("x'", "x"), ("f'(x)", "f(x)"), (r"\vec{v}", "v"), (r"\overline{z}", "z"), (r"\sqrt{2}", r"\sqrt{3}"),
    (r"\sqrt{2}", r"-\sqrt{2}"), (r"\sqrt{2}", r"\sqrt[3]{2}"), (r"2\sqrt{2}", r"\sqrt{2}"), (r"\sqrt{22}", r"2\sqrt{2}"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}"), (r"\frac{a+b}{2}", r"\frac{a}{2}+b"), ("(a+b)^2", "a^2+b^2"),
    (r"\log(a+b)", r"\log a+\log b"), (r"\sin 2x", r"2\sin x"), (r"\frac{1}{x+y}", r"\frac1x+\frac1y"),
    ("a-(b-c)", "a-b-c"), ("a/b/c", "a/(b/c)"), ("-x^2", "(-x)^2"), ("2^{3^2}", "(2^3)^2"), (r"\frac{1}{3}", "0.3333"),
    (r"\frac{2}{3}", "0.67"), ("0.67", r"\frac23"), ("3.14", "3.142"), ("1e-9", "0"), ("0", "1e-9"),
    ("10^{-40}", r"2\cdot 10^{-40}"), (r"\sqrt{10^{-80}}", "0"), (r"10^{-60}\sqrt2", r"10^{-60}\sqrt3"), ("[1,2)", "[1,2]"),
    (r"(1,2)\cup(2,3)", "(1,3)"), ("x>1", "x>=1"), ("x>1", "x<1"), ("1<x<2", "1<x<3"), ("a<b", "a>b"), ("x+y<1", "x+y>1"),
    ("x+y<1", "-x-y<-1"), (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"), (r"\text{A, B}", "B"),
    (r"\text{A,B,C}", "A,B"), (r"\text{Yes}", r"\text{Yes, no}"), ("Yes", "Yes or no"),
    (r"\text{red}", r"\text{red and blue}"), ("Alice", "Bob"), ("May 5", "May 6"), ("May 5", "5"),
    ("__import__('os')", "1"), ("1", "__import__('os').getpid()"), ("7", "eval('3+4')"), ("7", "lambda x: 7"),
    ("7", "[7 for x in y]"), ("7", "7;import os"), ("7", "7 if True else 8"), ("7", "print(7)"), ("7", "(lambda: 7)()"),
    ("1", "5^{5^{5^{5^5}}}"), ("1", "(10^9)!"), ("1", "((((7!)!)!)!)"), ("1", "9999999^{9999999}"),
    ("0", r"\sin(10^{1000})"), ("1", r"\binom{10^9}{5\cdot10^8}"), ("1", "2**30**5"),
]  # fmt: skip
SENTENCES_RIGHT = [
    ("free", "42", "So the answer is 42."), ("free", "42", "The answer is: 42"), ("free", "42", "**Answer:** 42"),
    ("free", "42", "The final answer is **42**."), ("free", "42", "Answer: $42$"), ("free", "42", "#### 42"),
    ("free", "42", "... = 42\n#### 42"), ("free", "42", "A: 42"), ("free", "42", "答案是42。"), ("free", "42", "答案：42"),
    ("free", "42", "所以一共有42个苹果。"), ("free", "42", "答：42"), ("free", "42", "Therefore, she has 42 apples left."),
    ("free", "42", "The answer is 42, not 41."), ("free", "42", "I think it is 42."), ("free", "42", "我觉得是42。"),
    ("free", "42", "First 7, then 35, total 42."), ("free", "42", "6*7=42"), ("free", "42", "6 x 7 = 42"),
    ("free", "42", "6 × 7 = 42。"), ("free", "1.5", "The answer is 1.5."), ("free", "1.5", "The answer is 1.5 hours."),
    ("free", "1.5", r"The answer is $1\frac{1}{2}$ hours."), ("free", r"\frac{3}{4}", "The probability is 3/4."),
    ("free", r"\frac34", r"Thus the answer is $\frac{3}{4}$."), ("free", "-3", "The answer is -3."),
    ("free", "10", "The answer is $10."), ("free", "10.50", "It costs $10.50 in total."),
    ("free", "1000", "The answer is 1,000 meters."), ("free", "x=3", "So x = 3."),
    ("free", "3", "so $x=3$ is the solution."), ("free", "(3,4)", "The point is (3, 4)."),
    ("free", "2,3", "The solutions are $x = 2$ and $x = 3$."), ("free", "2,3", "The solutions are 2 and 3."),
    ("free", "2,3", "x = 2 or x = 3"), ("free", "5", "The answer is 5. But wait, maybe 6."),
    ("free", r"25\%", "The answer is 25%."), ("free", "25", "25 percent of the students"),
    ("r1", "42", "<answer>42</answer>"), ("r1", "42", "<answer>The answer is 42.</answer>"),
    ("r1", "42", r"<answer>\boxed{42}</answer>"), ("r1", "42", "<answer>$42$</answer>"),
    ("r1", "42", "<answer>x = 42</answer>"), ("r1", "42", "<answer>42 apples</answer>"),
    ("r1", "42", "<answer>42</answer><answer>42.0</answer>"), ("r1", "42", "<think>a</think>42"),
    ("r1", "42", "<think>a</think>\nThe answer is 42."), ("r1", "42", "a</think>The answer is **42**."),
    ("r1", "42", "<think></think><answer>42</answer>"), ("r1", "42", r"\boxed{42}"),
    ("r1", "42", r"<think>a</think>\boxed{42} and again \boxed{42}"),
    ("r1", "42", r"<think>a</think>\boxed{42} = \boxed{42.0}"), ("r1", "42", r"<think>a</think>\boxed{42 \text{ apples}}"),
    ("r1", "1,2", r"<think>a</think>\boxed{1} and \boxed{2}"),
    ("r1", "1,2", r"<think>a</think>\boxed{1}, \boxed{2}, so \boxed{1,2}"),
]  # fmt: skip
SENTENCES_WRONG = [
    ("free", "42", "She bought 42 apples for 7 dollars."), ("free", "42", "I don't know."), ("free", "42", ""),
    ("free", "42", "The answer is not 42."), ("free", "42", "The answer isn't 42."),
    ("free", "42", "The answer is 41, not 42."), ("free", "42", "The answer is 42 or 43."),
    ("free", "42", "The answer is either 41 or 42."), ("free", "42", "Is the answer 42? No, it is 43."),
    ("free", "-3", "The answer is 3."), ("free", "(3,4)", "The point is (4, 3)."),
    ("r1", "42", "<answer>41</answer><answer>42</answer>"), ("r1", "42", r"<think>\boxed{42}"),
    ("r1", "42", r"<think>a</think>\boxed{41} or \boxed{42}"), ("r1", "42", r"<think>a</think>\boxed{41, 42}"),
    ("r1", "42", r"<think>a</think>\boxed{41 \text{ or } 42}"), ("r1", "42", r"<think>a</think>\boxed{}"),
    ("r1", "42", "<think>a</think><answer>42"), ("r1", "42", "<think>a</think> <answer> </answer>"),
    ("r1", "1,2", r"<think>a</think>\boxed{1}, \boxed{2}, \boxed{3}"),
]  # fmt: skip
TOO_LARGE = [
    r"5^{5^{5^{5^5}}}", "(10^9)!", "((((7!)!)!)!)", "9999999^{9999999}", r"\sin(10^{1000})", "2**30**5", "3**20**6",
    r"\binom{10^9}{5\cdot 10^8}", "9" * 900 + "^" + "9" * 900, r"\sin(x)^{100}\cos(x)^{99}-\prod_{k=1}^{60}(x+k)",
    "(" * 400 + "1" + ")" * 400, "-" * 2000 + "1", "{" * 500 + "2" + "}" * 500, r"\sqrt{" * 300 + "2" + "}" * 300,
    "x^" * 300 + "1",
    "1/" * 1000 + "3", ",".join(["2"] * 2000), r"\frac{1}{" * 200 + "2" + "}" * 200, "2\\frac{2" * 300, "7" * 200_000,
]  # fmt: skip


@pytest.fixture(autouse=True)
def library_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)


def boxed(answer: str) -> str:
    return "<think>x</think>\\boxed{" + answer + "}"


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal_answers_are_right(gold: str, answer: str) -> None:
    assert grade_math(boxed(answer), gold).value == "right"


@pytest.mark.parametrize(("gold", "answer"), UNEQUAL)
def test_unequal_answers_are_wrong(gold: str, answer: str) -> None:
    assert grade_math(boxed(answer), gold).value != "right"


@pytest.mark.parametrize(("contract", "gold", "prediction"), SENTENCES_RIGHT)
def test_the_value_of_a_sentence_is_found(contract: Contract, gold: str, prediction: str) -> None:
    assert grade_math(prediction, gold, contract=contract).value == "right"


@pytest.mark.parametrize(("contract", "gold", "prediction"), SENTENCES_WRONG)
def test_a_sentence_that_says_something_else_is_wrong(contract: Contract, gold: str, prediction: str) -> None:
    assert grade_math(prediction, gold, contract=contract).value == "wrong"


@pytest.mark.parametrize("answer", TOO_LARGE)
def test_what_is_too_large_to_compute_is_wrong_within_a_second_of_processor_time(answer: str) -> None:
    def judge(go: int) -> None:
        assert grade_math(boxed(answer), "1").value == "wrong"

    assert cheapest(judge, enough=1) < 1


@pytest.mark.parametrize("gold", ["", "  ", r"\boxed{}"])
def test_without_a_reference_there_is_no_verdict(gold: str) -> None:
    assert grade_math(r"\boxed{}", gold).value == "none"
    assert grade_math(r"\boxed{4}", gold).value == "none"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("Therefore the total is $12 + 30 = \\boxed{42}$, as was to be shown.", "42"),
        (r"\boxed{1} and \boxed{2}", "2, 1"),
        ("The answer is 42.", "42"),
        ("$\\boxed{x = 3}$", "3"),
    ],
)
def test_a_reference_may_be_a_whole_solution(gold: str, answer: str) -> None:
    assert grade_math(boxed(answer), gold).value == "right"
    assert grade_math(boxed("77"), gold).value == "wrong"


@pytest.mark.parametrize("thinking", ["<think>so \\boxed{7}</think>", "<think></think>", "so </think>", ""])
def test_the_thinking_never_changes_the_verdict(thinking: str) -> None:
    assert grade_math(thinking + r"\boxed{42}", "42").value == "right"
    assert grade_math(thinking + r"\boxed{41}", "42").value == "wrong"


def test_an_answer_that_stands_only_in_the_thinking_is_none() -> None:
    for prediction in (r"<think>\boxed{42}</think>I hope this helps!", r"\boxed{42}<think>hm</think>", r"<think>\boxed{42}"):
        assert grade_math(prediction, "42").value == "wrong"


def test_several_different_answers_are_a_hedge_and_equal_ones_are_not() -> None:
    assert grade_math(r"\boxed{7} or rather \boxed{42}", "42").value == "wrong"
    assert grade_math(r"<answer>7</answer><answer>42</answer>", "42").value == "wrong"
    assert grade_math(r"<answer>\boxed{7}</answer> \boxed{42}", "42").value == "wrong"
    assert grade_math(r"\boxed{42}, that is \boxed{42.0}", "42").value == "right"


def test_nothing_of_an_answer_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    attacks = ("__import__('os').mkdir('pwned')", "open('pwned','w')", "exec('import os')", "().__class__.__base__", "exit()")
    for attack in attacks:
        for prediction in (boxed(attack), f"<answer>{attack}</answer>", attack):
            assert grade_math(prediction, "1").value == "wrong"
    assert list(tmp_path.iterdir()) == []


def test_an_audit_tells_where_the_library_disagrees() -> None:
    assert audit_math(boxed("0.333333"), r"\frac{1}{3}") == {
        "reference": r"\frac{1}{3}",
        "answer": "0.333333",
        "ours": False,
        "library": True,
    }
    assert audit_math(boxed("2"), "2") is None


def test_outside_a_worker_the_library_is_asked_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", False)
    assert math_library.library_opinion("x+1", "1+x") is True
    monkeypatch.setattr(math_library, "LIMIT_SECONDS", 1)
    assert math_library.library_opinion("1", "5^{5^{5^{5^5}}}") in (False, None)


@pytest.mark.parametrize("text", ["__import__", "os.system", "lambda x", "eval(1)", "factorial(3)", "a" * 600, "é", '"'])
def test_no_library_sees_what_could_be_code(text: str) -> None:
    assert not math_library.passes_grammar(text)


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("(D) Alina", "D", "right"),
        ("(D) Alina", r"\boxed{\text{D}}", "right"),
        ("(D) Alina", "(D)", "right"),
        ("(D) Alina", "Alina", "right"),
        ("D) Alina", "D", "right"),
        ("(B) 12", "12", "right"),
        ("(B) 12", "12.0", "right"),
        ("(B) 12", "B", "right"),
        ("(B) vitamin C", "vitamin C", "right"),
        ("(D) Alina", "C", "wrong"),
        ("(D) Alina", "(C) Alina", "wrong"),
        ("(D) Alina", "C or D", "wrong"),
        ("(B) 12", "21", "wrong"),
        ("A cat", "A", "wrong"),  # the article
        ("J. K. Rowling", "J", "wrong"),  # initials
    ],
)
def test_a_lettered_option_with_its_text_is_known_by_either(gold: str, answer: str, verdict: str) -> None:
    assert grade_math(answer, gold, contract="bare").value == verdict


def test_an_audit_tells_what_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "library_opinion", lambda gold, given: None)
    reference, given = r"\frac{1}{10^{10^{9}}x}", r"10^{10^{9}} \sin x"
    audited = audit_math(boxed(given), reference)
    assert audited == {"reference": reference, "answer": given, "ours": "not decided", "library": "no opinion"}
    assert audit_math(boxed("1/2"), "0.5") is None

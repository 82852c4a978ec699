"""Ways to write answers, kind by kind: what says the same as the reference, and what only looks like it."""

from __future__ import annotations

import pytest

from cogitate.rewards.answer import Contract
from cogitate.rewards.math import library as math_library
from cogitate.rewards.math.answer import grade_math
from tests.processor_time import cheapest

# kind: (reference, the same written otherwise ...), and (reference, something else ...)
SAME: dict[str, list[tuple[str, ...]]] = {
    "infix fractions": [
        (r"\frac{7}{12}", r"{7 \over 12}", r"7 \over 12"),
        (r"\binom{8}{3}", r"{8 \choose 3}", r"\frac{8!}{3!5!}"),
    ],
    "mixed numbers": [("11/10", r"1\frac1{10}", r"1\frac{1}{10}", "1 1/10"), ("-3/2", r"-1\frac{1}2", r"-1\frac12")],
    "percent behind a mixed number": [(r"33\frac{1}{3}\%", r"\frac13", r"33 \frac13 \%"), (r"-1\frac12", "-1.5")],
    "grouped digits": [
        ("1000000", "1'000'000", r"1\,000\,000", "1.000.000", "1 000 000", "1{,}000{,}000"),
        ("12345.67", "12,345.67", "12.345,67"),
    ],
    "money": [
        (r"\$5", "5", "5 dollars", "$5", "500 cents", r"\$5.00"),
        ("5", r"\$5", "€5", "5 €", "£5"),
        ("-50", r"-\$50"),
        (r"\$18 \text{ million}", "18,000,000", "18 million", r"\$18{,}000{,}000"),
    ],
    "multiples in words": [
        ("3600000", r"3.6 \text{ million}"), ("24", "2 dozen"), ("30000", "3万"), ("5000", "5千"), ("5", "5千克"),
    ],
    "units": [
        (r"42 \text{ km/h}", r"42 \frac{\text{km}}{\text{h}}", "42 km/h", r"42\text{ kilometers per hour}"),
        (r"36\text{ cm}^2", "36 sq. cm", "36 sq cm", "36 cm squared", "36 cm²"),
        (r"3 \text{ m/s}", r"3\text{ m s}^{-1}"),
        (r"20\text{ newtons}", "20 N", r"20\,\text{N}"),
        (r"15^\circ\text{C}", "15°C", r"15\,^{\circ}\mathrm{C}", "15"),
        ("-4", "-4°C"),
    ],
    "intervals": [
        (r"(-\infty,3]", r"]-\infty,3]", r"]-\infty;3]", r"x \leqslant 3"),
        ("[2,5)", "[2,5[", r"x\in[2,5[", "5 > x >= 2"),
        (r"(-\infty,-1)\cup(1,\infty)", "|x|>1", "(-oo,-1) U (1,oo)", r"1<|x|", "x>1 or x<-1", r"]-\infty,-1[\cup]1,+\infty["),
        ("[-1,3]", r"|x-1|\le 2"),
        (r"\mathbb{R}", "all real numbers", r"\text{all real numbers}", r"(-\infty,\infty)"),
        (r"(-\infty,-2)\cup(-2,3)\cup(3,\infty)", r"x\ne -2, x\ne 3", r"x\ne -2, 3", r"\mathbb{R}\setminus\{-2,3\}"),
        (r"(1,7)\cup(7,50)", r"1<x<50, x\ne 7"),
    ],
    "points and matrices": [
        ("(3,-2)", "P(3,-2)", "A=(3,-2)", "x=3, y=-2"),
        ("B(3,-2)", "(3,-2)"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,2],[3,4]]", r"\begin{pmatrix}1&2\\[4pt]3&4\end{pmatrix}"),
        (r"2\mathbf{i}-\mathbf{j}", r"2\hat{i}-\hat{j}", r"2\vec{i}-\vec{j}", r"2\hat{\imath}-\hat{\jmath}"),
    ],
    "roots": [(r"\sqrt[3]{2}", "∛2", "cbrt(2)", "2^{1/3}")],
    "bases": [
        ("1010_2", r"1010_{\text{two}}", "(1010)_2", r"1010_{\text{base }2}", "1010 base 2", "1010"),
        ("2F_{16}", r"\text{2F}_{16}"),
    ],
    "ratios": [("A:B:C = 2:5:8", "2:5:8"), ("2:3", r"2 \text{ to } 3", "2 to 3")],
    "times of day": [("3:45 PM", "3:45 p.m.", "3:45PM", r"3{:}45\text{ PM}"), ("10:30 a.m.", r"10\!:\!30\text{ a.m.}")],
    "remainders": [(r"3 \pmod 7", r"3 \bmod 7", "3 (mod 7)"), (r"x \equiv 3 \pmod{7}", r"x \equiv 3 \bmod 7")],
    "families over the integers": [
        (r"x=k\pi, k\in\mathbb{Z}", r"x=k\pi \text{ for } k\in\mathbb{Z}", r"k\pi \ (k\in Z)", r"x=k\pi, k \in Z"),
    ],
    "names of roots": [("x_1=1, x_2=-3", "x=-3, x=1", "1, -3"), ("x=1, x=-3", "x_1=-3, x_2=1")],
    "numbers of elements": [("|A|=6", "6"), (r"|A\cup B|=6", "6")],
    "values of sums": [("293", "m+n = 256+37 = 293"), ("62", "a+b+c = 12+25+25 = 62")],
    "announcements in a box": [("460", r"\text{The answer is 460}")],
}  # fmt: skip
OTHER: dict[str, list[tuple[str, ...]]] = {
    "infix fractions": [(r"\frac{7}{12}", r"{12 \over 7}", r"{7 \choose 12}"), ("7", r"7 \over 12")],
    "percent behind a mixed number": [(r"33\frac{1}{3}\%", r"33\%", r"33.3\%")],
    "grouped digits": [("1000000", "1'00'0000", "10'000'00"), ("12345.67", "12.345.67", "12,345,67")],
    "money": [(r"\$5", "5 cents", "€5", r"\$50"), ("5 cents", r"\$5"), ("5", "5 dollars or 6")],
    "multiples in words": [
        ("3", "3 million", "3 thousand", r"3 \text{ dozen}", "3 squared", "3 tenths", "3 halves", "3万", "3 hundred"),
        ("0.3", r"0.3 \text{ recurring}"),
    ],
    "units": [
        (r"42 \text{ km/h}", r"42 \frac{\text{m}}{\text{h}}", r"42 \frac{\text{h}}{\text{km}}"),
        (r"36\text{ cm}^2", "36 cm cubed", "36 sq. m", "36 cm"),
        (r"3 \text{ m/s}", r"3\text{ m s}^{-2}", r"3\text{ m s}"),
        (r"15^\circ\text{C}", "15°F", "-15°C"),
        ("3", "3t", "3J"),
        ("3t", "3"),
        ("5m", "5"),
    ],
    "intervals": [
        (r"(-\infty,3]", r"]-\infty,3[", r"[3,\infty["),
        ("[2,5)", "]2,5]", "[2,5]"),
        (r"(-\infty,-1)\cup(1,\infty)", "|x|<1", r"|x|\ge 1", "|x|>2", "(-oo,-1]U[1,oo)"),
        ("[-1,3]", r"|x+1|\le 2", "|x-1|<2"),
        (r"\mathbb{R}", "all real numbers except 0", "all positive real numbers", "all integers"),
        (r"(-\infty,-2)\cup(-2,3)\cup(3,\infty)", r"x\ne -2", r"x\ne -2, x=3", r"x\ne -2 \text{ or } x\ne 3"),
        (r"(1,7)\cup(7,50)", r"1<x<50", r"1\le x<50, x\ne 7", r"1<x<50, x\ne 8"),
    ],
    "points and matrices": [
        ("(3,-2)", "P(-2,3)", "f(3,-2)", "3(3,-2)"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,3],[2,4]]", "[1,2,3,4]", "((1,2),(3,4))"),
        (r"2\mathbf{i}-\mathbf{j}", r"2\hat{j}-\hat{i}"),
    ],
    "roots": [(r"\sqrt[3]{2}", "√2", "2", r"\sqrt[3]{3}")],
    "bases": [
        ("1010_2", r"1010_{\text{three}}", "1010 base 3", "10"), ("14", "14_{16}"), ("10", "1010_2"),
        ("7", r"7_{\text{many}}"),
    ],
    "ratios": [("2:5:8", "A:B:C = 2:5:9", "2:5"), ("2:3", "3 to 2")],
    "times of day": [("3:45 PM", "3:45 a.m.", "3:54 p.m."), ("3", "3:45")],
    "dates": [("2024-05-06", "2024-06-05", "2013", "2024-5-7"), ("2013", "2024-05-06"), ("5/6/2024", "10/12/2024", "6/5/2024")],
    "remainders": [("3", "3 (mod 7)", r"x \equiv 3 \pmod 7"), (r"3 \pmod 7", r"3 \pmod 5", r"4 \bmod 7")],
    "families over the integers": [
        (r"x=k\pi, k\in\mathbb{Z}", r"x=2k\pi \text{ for } k\in\mathbb{Z}", r"\pi", r"k\in\mathbb{Z}"),
        ("n=3k", "3", "n=3"),
    ],
    "names of roots": [("x_1=1, x_2=-3", "x_1=-3, x_2=1", "x=1", "x=1, x=3")],
    "values of sums": [("x+y-1=0", "0"), ("293", "m+n = 256+36 = 293", "2m = 293"), ("x+y=5", "5")],
    "announcements in a box": [("5", r"\text{The answer is not 5 but 6}", r"\text{The answer is 5 or 6}", r"\text{not 5}")],
    "decimal commas": [("3,7", "3.7"), ("3.7", "3,8"), ("1.2", "1,234")],
    "tautologies": [("x=4", "4=4", "x=x"), ("y=2x", "y=y", "0=0"), ("x>2", "x>x")],
    "mixed numbers": [(r"\frac1{10}", r"1\frac1{10}", r"1\frac{1}{10}"), (r"\frac{1}{2}", r"1\frac{1}2", r"1\frac12")],
    "denials by name": [
        (r"y=\frac12", r"\neq y=\frac12", r"-(y=\frac12", r"\text{rank } \neg A = \frac12"),
        ("42", "the answer != 42", "the cost ≤ 42", "the answer ≠ 42"),
    ],
    "no end of digits": [
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"), (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
        ("2^{100}", "1267650600228229401496703205377"),
    ],
    "lists that go on": [(r"1,2,\ldots,n", r"1,3,5,\ldots,2n-1"), (r"1:2:3:\ldots", r"1:4:9:\ldots")],
    "placeholders": [("42", "x", "?", r"\ldots", "answer", "gold", r"\text{correct}", "*", ".*", "True")],
}  # fmt: skip
STATED = [
    ("free", "18", "Hence 16 - 3 = 13, and 13 + 5 = 18."), ("free", "18", "答案：18元"), ("free", "7", "Total: 7"),
    ("free", "2/3", r"The probability is $\frac23$, i.e. about 0.667."), ("free", "10:30", "The train leaves at 10:30."),
    ("free", "293", "Answer: m+n = 256+37 = 293"), ("free", "18", "I first thought 17, but the answer is 18."),
    ("free", "82", "Final answer: 082"), ("free", "18", "**Final answer:** ANSWER: 18"), ("bare", "25", "25 (twenty-five)"),
    ("bare", "1234.5", "1.234,5"), ("bare", "25", "面积是25平方厘米。"), ("bare", "30000", "3万元"),
    ("free", "5", "It's 5"), ("free", "5", 'The answer is "5".'), ("free", "5", "The answer is <b>5</b>."),
    ("free", "-5", "The answer is negative 5."), ("free", "5", "答案：5个"), ("free", "5", "Thus 5 is the correct answer."),
    ("free", "3600000", "The answer is 3.6 million dollars."), ("free", "18", "The answer is 17. No wait, the answer is 18."),
]  # fmt: skip
NOT_STATED = [
    ("free", "18", "The answer is 18 squared."), ("free", "18", "The answer is at least 18."), ("free", "18", "18 or more"),
    ("free", "18", "I don't know, maybe 18?"), ("free", "18", "The answer is 18:30."), ("free", "18", "She has more than 18."),
    ("free", "18", "The answer is 18 million."), ("bare", "25", "there are 25 boys and 30 girls"), ("bare", "25", "至少25"),
    *(("free", "5", f"The answer is {words}.") for words in (
        "anything but 5", "the opposite of 5", "the square of 5", "the square root of 5", "twice 5", "half of 5", "minus 5",
        "negative 5", "5 less than 12", "5 more than 12", "5 times 3", "5 plus 3", "5 minus 3", "5 divided by 3", "5 mod 3",
        "5 to the power of 2", "5 choose 2", "5 over 3", "5 out of 7", "5 to 9", "5; alternatively 6", "5 factorial", "log 5",
    )),
    ("free", "5", "5 is not the answer."), ("free", "5", "The answer cannot be 5."),
    ("free", "5", "5 is wrong; 6 is the answer."),
    ("free", "10:30", "The train leaves at 10:45."), ("free", "18", "I got 18 first, but the answer is 17."),
    ("free", "18", "The answer is 18. No wait, the answer is 19."), ("free", "18", "The answer is between 17 and 19."),
]  # fmt: skip
LONG_RUNS = (
    "(", "[", "1 ", "1,", "3*", "$", "**a**", "The answer is ", "is 1 ", "1 and ", r"\text{", "{", "\\", "-", "=", "的",
    r"\frac", "\n", r"\(", "$1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def library_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)


def rows(kinds: dict[str, list[tuple[str, ...]]]) -> list[tuple[str, str, str]]:
    return [(kind, gold, answer) for kind, groups in kinds.items() for gold, *answers in groups for answer in answers]


def verdict(gold: str, answer: str) -> str:
    return grade_math("<think>x</think>\\boxed{" + answer + "}", gold).value


@pytest.mark.parametrize(("kind", "gold", "answer"), rows(SAME))
def test_the_same_written_otherwise_is_right(kind: str, gold: str, answer: str) -> None:
    assert verdict(gold, answer) == "right"


@pytest.mark.parametrize(("kind", "gold", "answer"), rows(OTHER))
def test_what_only_looks_like_it_is_wrong(kind: str, gold: str, answer: str) -> None:
    assert verdict(gold, answer) == "wrong"


@pytest.mark.parametrize(("contract", "gold", "prediction"), STATED)
def test_a_sentence_states_its_value(contract: Contract, gold: str, prediction: str) -> None:
    assert grade_math(prediction, gold, contract=contract).value == "right"


@pytest.mark.parametrize(("contract", "gold", "prediction"), NOT_STATED)
def test_a_number_in_a_sentence_that_says_more_about_it_is_not_the_value(
    contract: Contract, gold: str, prediction: str
) -> None:
    assert grade_math(prediction, gold, contract=contract).value == "wrong"


@pytest.mark.parametrize("contract", ["r1", "free", "bare"])
@pytest.mark.parametrize("run", LONG_RUNS)
def test_a_long_run_of_one_thing_is_judged_in_a_second_of_processor_time(run: str, contract: Contract) -> None:
    def judge(go: int) -> None:
        assert grade_math(run * (40_000 // len(run)), "7", contract=contract).value == "wrong"

    assert cheapest(judge, enough=1) < 1

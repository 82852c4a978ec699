"""Sentences: which of them state 42, and which only hold it."""

from __future__ import annotations

import pytest

from cogitate.rewards.answer import Contract
from cogitate.rewards.math import library as math_library
from cogitate.rewards.math.answer import grade_math

STATES_42 = (
    "42", "42.", "It is 42", "It is 42.", "The answer is 42", "The answer is **42**.", "So it is 42.", "Thus, we get 42.",
    "We get $42$.", "She has 42 apples.", "There are 42 students.", "The total cost is $42.", "It costs 42 dollars.",
    "It costs $42 in total.", "Therefore, the answer is 42.", "The final answer is: 42", "Answer: 42", "Total: 42",
    "So x = 42.", "x = 42", "$x = 42$", "Hence $x=42$, as required.", "Therefore 42 is the answer.",
    "So 42 is our final answer.", "The sum is 40 + 2 = 42.", "40 + 2 = 42", "It takes 42 minutes.",
    "The value of $f(2)$ is 42.", "The area is 42 cm².", "The number of ways is 42, so we are done.", "It is exactly 42.",
    "There are 42 ways to do it.", "This gives 42 different ways.", "In the end she has 42 dollars left.", "That's 42.",
    "It's 42", "It equals 42", "42 (forty-two)", "We find that the answer is 42.", "Finally, we have that $n = 42$.",
    r"So the answer is $\frac{84}{2}$.", "It is 84/2", "It sums to 42.", "It comes to 42 dollars",
    "So there are a total of 42 books.", "Her age is 42 years.", "We get 2·21", "It is 6 × 7.", "6×7 = 42", "答案是42",
    "一共有42个苹果。", "所以答案是42。", "面积是42平方厘米", "La réponse est 42.", "Il y a 42 élèves, donc la réponse est 42.",
    "The result: 42", "The speed is 42 km/h.", "Now 42 is the only solution.",
    "Therefore, there are 42 possible values of $n$.", "The perimeter of the square is 42 units.",
    "She earns 42 dollars per day.", "Natalia sold 42 clips altogether in April and May.", "So Tom walked 42 miles in all.",
)  # fmt: skip

HOLDS_42 = (
    "above 42", "beneath 42", "one plus 42", "42 plus one", "42 minus one", "minus one plus 42", "the negative of 42",
    "the number before 42", "forty-one or 42", "either 41 or 42", "I doubt it is 42", "I doubt that the answer is 42",
    "it would be wrong to say it is 42", "nobody says it is 42", "the sum exceeds 42", "the total is below 42",
    "It is less than 42", "It is at least 42", "the digits of 42 reversed", "It is 42 reversed", "the 42nd prime",
    "It is the 42nd number", "42 doubled", "It is 42 doubled", "42 tripled", "42 less one", "42 and a half",
    "It is 42 and a half", "42 point five", "it never equals 42", "It isn't 42", "It could be 42", "It might be 42",
    "The answer is maybe 42", "wrong answer: 42", "The wrong answer is 42", "not the answer: 42", "instead of 42",
    "It is anything but 42", "all but 42", "short of 42", "foo() or 42", "def f(): return 42", "print(42)", "I got 42½",
    "42 squared is it", "It is 42 squared", "42!", "The answer is 42 in hexadecimal", "42 in base 16", "octal 42", "0x42",
    "42 to the power of two", "42 over 2", "sine of 42", "log 42", "half of 42", "It is half of 42", "twice 42",
    "The square root of 42", "root 42", "42 or so", "42-ish", "around 42", "about 42", "roughly 42", "42?", "42? No",
    "The answer is 42? No.", "Is it 42?", "The answer is 42. That is wrong.", "The answer is 42, which is wrong.",
    "42 (or 41)", "42 (not)", "42 (forty-one)", "42, or 41", "42 or 43", "42 and 43", "42; alternatively 41",
    "between 41 and 42", "from 41 to 42", "up to 42", "42 of 43", "42 out of 43", "42 per 2", "42 percent off", "42 score",
    "42 trillionths", "42 million", "42 hundredths", "42 dozen", "-42", "−42", "–42", "It is −42", "The answer is −42.",
    "minus 42", "It equals minus 42", "√42", "It is √42", "42²", "We get 42³", "42π", "It is π·42", "42/2", "It is 42/5",
    "½ of 42", "It is 4½2", "If it were 42", "unless it is 42", "twice the answer is 42", "half of it is 42",
    "the opposite of the answer is 42", "Let us pretend the answer is 42", "The answer is not 42", "The answer isn't 42",
    "The answer cannot be 42", "neither 41 nor 42", "42 mod 5", "5 mod 42", "more than 42", "It costs more than 42 dollars",
    "It costs less than 42 dollars", "no 42", "zero or 42", "42 x", "x > 42", "It is > 42", "≥ 42", "≠ 42", "∞ 42",
    "It is 42 times 2", "42 choose 2", "42 factorial", "the reciprocal of 42", "It is 42:1", "x = 42 or x = 41",
    "It is 42 recurring",
)  # fmt: skip

OTHER_VALUES = [
    ("-5", "The temperature is −5."), ("-5", "The temperature is –5."), ("-5", "The temperature is －5."),
    ("-1200", "The change is −$1,200."), ("-3.5", "Therefore x = −3.5, as required."), ("3", "we get 5 − 2"),
    (r"\sqrt{2}", "The length is √2."), (r"5\sqrt{2}", "So it is 5√2"), (r"\frac{3}{\sqrt 2}", "We get 3/√2"),
    ("2", "We get ∛8"), (r"\frac{\pi}{2}", "The angle is π/2."), ("2.5", "The recipe needs 2½ cups."),
    ("0.5", "We get 2⁻¹."), (r"\frac12", "we get 1 over 2"), (r"\sqrt2", "we get root 2"),
    (r"2\sqrt3", "The length is 2 root 3."), (r"\sqrt[3]{2}", "It is the cube root of 2."), ("42_5", "We get 42₅"),
    ("x^2", "The area is x²."), ("-42", "It equals minus 42"), (r"x \neq 3", r"We find that $x \neq 3$."),
    ("(7,6)", "So $(x, y)$ is $(7, 6)$."), ("10:30", "The train leaves at 10:30."),
    ("1200", "It costs 1,200, give or take nothing, in the end."), ("9", "Answer $ 9 $"),
    ("220", "Janeth aura encore 220 $ à payer d'ici 12 mois."), (r"\frac{2}{5}", "每份应该是 (\\frac{2}{5}) 吨。"),
]  # fmt: skip

BOXED_WORDS = (
    "doubled", "halved", "tripled", "trillionths", "in hexadecimal", "in base 16", "percent off", "score", "nd prime",
    "(or 41)", "(not)", "of 43", "per 2", "e3", "-ish", "squared", "or so", "at most", "approximately", "frobs",
    "and a half", "point five", "less one", "mod 5",
)  # fmt: skip
BOXED_UNITS = (
    "cm", "apples", "distinct ways", "square units", "students", "dollars in total", "km/h", "positive integers", "degrees",
    "years old", "red marbles", "cubic inches", "miles per hour", "points", "people", "children", "boxes", "cookies left",
    "°C", "mL",
)  # fmt: skip


@pytest.fixture(autouse=True)
def library_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)


def forms(text: str) -> list[tuple[Contract, str]]:
    """(contract, completion) for a text that is the whole answer."""
    tagged = f"<think>t</think><answer>{text}</answer>"
    return [("free", text), ("bare", text), ("r1", f"<think>t</think>{text}"), ("r1", tagged)]


@pytest.mark.parametrize("text", STATES_42)
def test_a_sentence_that_announces_its_value_states_it(text: str) -> None:
    assert [grade_math(completion, "42", contract=contract).value for contract, completion in forms(text)] == ["right"] * 4


@pytest.mark.parametrize("text", HOLDS_42)
def test_what_is_not_understood_around_a_value_makes_it_no_answer(text: str) -> None:
    assert [grade_math(completion, "42", contract=contract).value for contract, completion in forms(text)] == ["wrong"] * 4


@pytest.mark.parametrize(("gold", "text"), OTHER_VALUES)
def test_characters_and_words_of_a_value_belong_to_it(gold: str, text: str) -> None:
    assert [grade_math(completion, gold, contract=contract).value for contract, completion in forms(text)] == ["right"] * 4


@pytest.mark.parametrize("sign", "△≠≥<÷/×∞¬±∓#")
def test_a_sign_before_a_number_is_not_lost(sign: str) -> None:
    text = f"{sign}10.5"
    assert [grade_math(completion, "10.5", contract=contract).value for contract, completion in forms(text)] == ["wrong"] * 4


@pytest.mark.parametrize("words", BOXED_WORDS)
def test_words_in_a_box_that_are_no_units_make_it_no_answer(words: str) -> None:
    for box in (f"42\\text{{ {words}}}", f"42 \\text{{{words}}}", f"42\\mathrm{{ {words}}}"):
        assert grade_math(f"<think>t</think>\\boxed{{{box}}}", "42").value == "wrong"


@pytest.mark.parametrize("words", BOXED_UNITS)
def test_units_in_a_box_are_forgiven(words: str) -> None:
    assert grade_math(f"<think>t</think>\\boxed{{42\\text{{ {words}}}}}", "42").value == "right"

"""Which answers are mathematics."""

import pytest

from cogitate.tasks.files.answers import is_mathematics


@pytest.mark.parametrize(
    "text",
    ["7", "-3.5", ".5", "3/4", "12%", "$18.90", "5e3", "x+1", "x = 5", "p - q", "(1, 2)",
     "[0, 1)", "{1, 2}", "2\\sqrt{3}",
     "90^\\circ", "x^2 + 2xy", "sin(x)/2", "5 km", "3√2", "\\text{13}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}",
     "864 \\mbox{ inches}^2",
     "\\pi"],
)  # fmt: skip
def test_numbers_and_expressions_are_mathematics(text: str) -> None:
    assert is_mathematics(text)


@pytest.mark.parametrize(
    "text",
    ["15 meters", "12 apples", "12 red apples", "24 hours", "$5 per hour", "20 miles per hour", "15 miles/hour", "10 years old",
     "5 square meters", "3 million", "15 percent", "2 dozen eggs", "1/2 cup", "1 1/2 cups", "-3 degrees", "5 USD", "5 kWh",
     "90degrees", "15 meters.", "1,200 people", "15米", "3 小时", "5元",
     "24 Hours", "2.4 GHz", "x=3 or x=-3", "3 or -3", "x < 2 or x > 5", "x=3 and y=4",
     "x = 1, y = 2 or x = 2, y = 1", "3或-3", "12 apples or 13 apples"],
)  # fmt: skip
def test_amounts_with_their_unit_and_several_solutions_are_mathematics(text: str) -> None:
    assert is_mathematics(text)


@pytest.mark.parametrize(
    "text",
    ["7 may", "10 of them", "9 a.m.", "10 o'clock", "3 to 5", "2 for 1", "5 or more", "1 in 6", "44 bc", "12 noon",
     "42nd street", "10 Downing Street", "404 not found", "two apples", "apples 12", "yes or no", "x or y", "May 5 or June 6",
     "5 or Paris", "12 people went home and then came back", "5月", "2024年", "5点", "3号", "5 apples, 3 pears", "7 Ann",
     "9 p.m", "9:30 am"],
)  # fmt: skip
def test_words_beside_a_number_that_are_no_unit_are_not_mathematics(text: str) -> None:
    assert not is_mathematics(text)


@pytest.mark.parametrize(
    "text",
    ["", "Paris", "yes", "No", "A", "b", "lemon tree", "May 5", "June 20, 1999", "2024-01-05", "12/31/2024", "12:30",
     "7 Samurai", "No. 5", "9 am", "well-known", "\\text{Monday}", "\\text{(C)}",
     "北京", "is it 5?", "don't", "A and B"],
)  # fmt: skip
def test_words_names_dates_and_times_are_not_mathematics(text: str) -> None:
    assert not is_mathematics(text)

"""When printed output is the expected one."""

import pytest

from cogitate.rewards.code.compare import same_output


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("5 2 1 \n", "5 2 1", True),
        ("1\n2\n", "1\n2\n\n\n", True),
        ("1\n2\n", "1 2\n", False),
        ("15", "15.0", True),
        ("0.5", "0.5000000000", True),
        ("0.5", "0.51", False),
        ("yes", "YES", False),
        ("", "", True),
        ("1", "", False),
        ("15", "x 15", False),
    ],
)
def test_output_is_compared_by_lines_and_words(expected: str, printed: str, same: bool) -> None:
    assert same_output(expected, printed) is same


NEAR = [
    ("2", "2.0"),
    ("3 3 1", "3.0000001 2.9999999 0.9999998"),
    ("0.333333333333", "0.333333"),
    ("0.333333", "0.3333333333333333"),
    ("1000000.0", "1000000.5"),  # relative
    ("0.0", "-0.0000004"),  # absolute
    ("0.000001", "1e-06"),
    ("1e-06", "0.000001"),
    ("1e+16", "1.0e16"),
    ("1000000000000", "1000000000000.0"),
    (".5", "0.5"),
    ("5.", "5"),
    ("-7", "-7.00000"),
]
APART = [
    ("1000000007", "1000000008"),  # integers are texts
    ("1000000007", "1000000008.0"),  # near as a number, but another integer
    ("007", "7"),
    ("007", "7.0"),
    ("0.5", "0.51"),
    ("1.5", "1.5a"),
    ("1e5", "100000.0"),  # as part of a hash, say: no language prints a number so
    ("1.2.3", "1.2.30"),
    ("12:30", "12.5"),
    ("nan", "0.0"),
    ("inf", "1.0e99"),
    ("２.0", "2.0"),  # full-width
    ("1_000.0", "1000.0"),
    ("2.0 x", "2.0 y"),
]


@pytest.mark.parametrize(("expected", "printed"), NEAR)
def test_decimals_may_be_off_by_a_millionth(expected: str, printed: str) -> None:
    assert same_output(expected, printed)
    assert not same_output(expected, printed, tolerance=0)


@pytest.mark.parametrize(("expected", "printed"), APART)
def test_other_numbers_and_what_is_no_number_differ(expected: str, printed: str) -> None:
    assert not same_output(expected, printed)


def test_the_tolerance_can_be_said() -> None:
    assert same_output("0.5", "0.51", tolerance=0.05)
    assert not same_output("0.5", "0.5000001", tolerance=1e-9)
    assert same_output("0.5", "0.5", tolerance=0)
    assert same_output("3", "3.4", tolerance=0.5)
    assert not same_output("3", "3.6", tolerance=0.5)


def test_numbers_of_any_length_are_compared() -> None:
    many = "3." + "1" * 6000
    assert same_output(many, "3.1111111")
    assert same_output("9" * 5000, "9" * 5000 + ".0")
    assert not same_output("9" * 5000, "9" * 4999 + "8.0")
    assert not same_output("1." + "1" * 20_000, "1.1")
    assert not same_output("1.0e99999", "1.0e-99999")

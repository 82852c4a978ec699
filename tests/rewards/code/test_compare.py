"""When printed output is the expected one."""

import pytest

from cogitate.rewards.code.compare import same_output


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("5 2 1 \n", "5 2 1", True),
        ("1\n2\n", "1\n2\n\n\n", True),
        ("1\n2\n", "1 2\n", False),
        ("15", "15.0", False),
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

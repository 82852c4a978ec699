"""The forms in which tests are written."""

from cogitate.rewards.code.forms import read_function_test


def test_a_list_in_a_pair_is_the_argument_list_and_anything_else_the_one_argument() -> None:
    assert read_function_test([[[3, 1, 2]], [1, 2, 3]]).args == ([3, 1, 2],)
    assert read_function_test([38, 11]).args == (38,)
    assert read_function_test([[1, 2], 3]).args == (1, 2)

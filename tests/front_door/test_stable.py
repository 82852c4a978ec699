import math
import os.path
import re
from collections import Counter, OrderedDict
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cogitate.front_door.stable import UnstableError, expression, import_line, is_installed


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -0.5, 1e300, 2j, "it's", b"\x00", (), (1,), [1, [2]], {"a": {"b": (1, 2)}}, set(), {3, 1},
        frozenset("ab"), math.inf, re.compile("a+"), re.compile(rb"\d", re.DOTALL),
        re.compile("x" * 300, re.IGNORECASE | re.MULTILINE),
    ],
)  # fmt: skip
def test_an_expression_evaluates_to_an_equal_value(value: Any) -> None:
    again = eval(expression(value), {"re": re})
    assert again == value
    assert type(again) is type(value)


def test_not_a_number_is_written_too() -> None:
    assert math.isnan(eval(expression(math.nan)))


def test_the_order_of_a_set_is_no_part_of_it_and_that_of_a_dictionary_is() -> None:
    assert expression({"b", "a", "c"}) == "set(['a', 'b', 'c'])"
    assert expression({"b": 1, "a": 2}) != expression({"a": 2, "b": 1})


@pytest.mark.parametrize("value", [object(), Colour.RED, OrderedDict(a=1), Counter("a"), [Fraction(1, 2)], Path("x"), int])
def test_what_may_hold_more_than_it_shows_has_none(value: Any) -> None:
    with pytest.raises(UnstableError, match="an object of class"):
        expression(value)


def test_what_installed_modules_hold_is_imported_by_name() -> None:
    assert import_line("math", math) == "import math"
    assert import_line("p", os.path) == f"import {os.path.__name__} as p"
    assert import_line("Fraction", Fraction) == "from fractions import Fraction"
    assert import_line("root", math.sqrt) == "from math import sqrt as root"
    assert import_line("x", Colour) is None
    assert import_line("x", 3) is None


def test_a_module_of_ones_own_is_not_stable() -> None:
    assert is_installed("pytest")
    assert is_installed("cogitate.types")
    assert not is_installed("__main__")
    with pytest.raises(UnstableError, match="the module mine, a file of your own; import its functions by name"):
        import_line("mine", ModuleType("mine"))

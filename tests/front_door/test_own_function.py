import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cogitate.errors import ConfigError
from cogitate.front_door.own_function import module_by_name, module_text
from cogitate.rewards.graders.custom import load_custom
from tests.front_door import functions

ANSWERS = [("rain rain go", {"word": "rain"}), ("a", {"word": "b"}), ("Snow on the roof at night", {"word": "rain"})]
SOURCE = """
UNUSED = 1
LIMIT = {limit}
def longest(text):
    return max(map(len, text.split()))
def make(weight):
    def judge(completion, problem):
        # one for a long word
        return weight * (longest(completion) > LIMIT)
    return judge
judge = make({weight})
{more}
"""


def loaded(function: Callable[..., Any], directory: Path) -> Callable[..., Any]:
    """The function as a worker loads it."""
    text, name = module_text(function)
    (directory / "reward.py").write_text(text, encoding="utf-8")
    return load_custom(f"{directory / 'reward.py'}:{name}")


def module(directory: Path, source: str) -> ModuleType:
    directory.mkdir()
    (directory / "mine.py").write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mine", directory / "mine.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    "function",
    [
        functions.judge, functions.at_least(2), functions.at_least(4), functions.decorated, functions.cached, functions.short,
        functions.never, functools.partial(functions.judge, share=0.25), lambda completion, problem: len(completion) / 100,
    ],
)  # fmt: skip
def test_what_is_written_gives_the_same_numbers(function: Callable[..., Any], tmp_path: Path) -> None:
    again = loaded(function, tmp_path)
    assert [again(*answer) for answer in ANSWERS] == [function(*answer) for answer in ANSWERS]


def test_the_text_is_what_a_person_would_have_written() -> None:
    text, name = module_text(functions.at_least(2))
    assert name == "long_enough"
    assert (
        text
        == '''"""A function given from Python, with all that it reads. This text is its identity."""

from __future__ import annotations

import re

LIMIT = 3
WORD = re.compile('[a-z]+', 2)
limit = 2


def count_words(text: str) -> int:
    """A helper that reads its module."""
    return min(len(WORD.findall(text)), LIMIT)


def long_enough(completion: str, problem: Mapping[str, Any]) -> float:
    return float(count_words(completion) >= limit)
'''
    )


def test_a_default_is_its_value_not_the_expression_it_came_from() -> None:
    assert "share: float=0.5" in module_text(functions.judge)[0]


def test_a_read_constant_and_a_closure_value_are_part_of_it_and_an_unrelated_line_is_not(tmp_path: Path) -> None:
    def text(name: str, **changes: Any) -> str:
        whole = SOURCE.format(**{"limit": 3, "weight": 0.5, "more": "", **changes})
        return module_text(module(tmp_path / name, whole).judge)[0]

    first = text("first")
    assert text("unrelated", more="def other():\n    return UNUSED + 1") == first
    assert text("constant", limit=4) != first
    assert text("closure", weight=0.25) != first


def test_functions_of_one_name_that_differ_are_refused(tmp_path: Path) -> None:
    module(tmp_path / "one", "")
    helper = module(tmp_path / "helper", "LIMIT = 5\ndef score(text):\n    return len(text) > LIMIT\n")
    mine = module(tmp_path / "mine", "LIMIT = 3\ndef judge(c, p):\n    return score(c) and len(c) > LIMIT\n")
    mine.__dict__["score"] = helper.score
    with pytest.raises(ConfigError, match="two different things that it reads are called LIMIT"):
        module_text(mine.judge)


def test_a_file_that_was_changed_after_it_was_imported_is_refused(tmp_path: Path) -> None:
    mine = module(tmp_path / "mine", "def judge(c, p):\n    return 1.0\n")
    (tmp_path / "mine" / "mine.py").write_text("def judge(c, p):\n    return 0.0 + 0 * len(c)\n")
    with pytest.raises(ConfigError, match="judge is not what its file says: the file was changed after it was imported"):
        module_text(mine.judge)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (functions.reads_an_object, "reads WEIGHTS, an object of class Weights"),
        (functions.reads_a_class, "reads Weights, the class Weights"),
        (functions.reads_a_file, "reads OPEN, an object of class TextIOWrapper"),
        (functions.reads_its_place, "reads __file__, which depends on where it stands"),
        (functions.imports_a_file, "imports tests.front_door, which is not an installed package"),
        (functions.counts_calls, "changes LIMIT, so that a call depends on the calls before it"),
        (functions.counting(), "changes a variable outside of it"),
        (functions.WEIGHTS.judge, "is a method, which depends on its object"),
        (functions.Weights, "must take"),
        (functions.waits, "must return a number"),
        (functions.one_argument, "must take"),
        (eval("lambda completion, problem: 1.0"), "has no source that can be read"),
        ("judge", "must be a function"),
    ],
)
def test_what_has_no_stable_content_is_refused_by_one_line(function: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        module_text(function)
    assert "\n" not in str(refused.value)


def test_the_way_out_is_a_function_that_can_be_imported_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='identity="module:function"'):
        module_text(functions.reads_an_object)
    text, name = module_by_name("tests.front_door.functions:reads_an_object", functions.reads_an_object)
    assert f"from tests.front_door.functions import {name}\n" in text
    (tmp_path / "reward.py").write_text(text, encoding="utf-8")
    assert load_custom(f"{tmp_path / 'reward.py'}:{name}")("", {}) == 1.0


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ("functions.judge", "write it as module:function"),
        ("__main__:judge", "write it as module:function"),
        ("no_such_module:judge", "No module named"),
        ("tests.front_door.functions:jugde", "has no attribute"),
        ("tests.front_door.functions:cached", "is another function than the one given"),
    ],
)
def test_an_identity_names_the_function_itself(identity: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        module_by_name(identity, functions.judge)

"""Functions of a user's own file, however it is written."""

from pathlib import Path

import pytest

from cogitate.errors import ConfigError
from cogitate.rewards.user_function import load_function

WITH_A_RECORD = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Score:
    value: float = 0.5

def judge(completion, problem):
    return Score().value
"""


def test_a_file_may_define_records_whose_types_are_written_as_texts(tmp_path: Path) -> None:
    (tmp_path / "judge.py").write_text(WITH_A_RECORD)
    assert load_function("rewards.custom", f"{tmp_path / 'judge.py'}:judge")("", {}) == 0.5


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("judge = 5", "judge.py has no function judge"),
        ("1 / 0", "judge.py fails: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "judge.py fails: SystemExit: 3"),
    ],
)
def test_each_mistake_of_a_file_is_one_line_that_names_the_setting(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "judge.py").write_text(content)
    with pytest.raises(ConfigError, match=r"^rewards\.custom = '.*judge\.py:judge': .*") as error:
        load_function("rewards.custom", f"{tmp_path / 'judge.py'}:judge")
    assert says in str(error.value)

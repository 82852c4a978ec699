from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import ConfigError, DataError
from cogitate.front_door.given import Given, rows_text
from cogitate.recipe.runner import plan
from cogitate.recipe.settings import load_recipe
from tests.front_door import functions

ROWS = [{"question": f"A word with {count} letters.", "word": "rain"} for count in range(3, 9)]
SMALL = ["graph=r1_zero", "tasks.eval=arithmetic", "r1_zero.prompts_per_step=2"]


def given(out: Path, **arguments: Any) -> Given:
    return Given(out, **{"problems": None, "evaluation": None, "reward": None, "identity": None, **arguments})


def ids(out: Path, **arguments: Any) -> dict[str, str]:
    """The ids of what a run with these would make."""
    made = given(out, problems=ROWS, **arguments)
    made.write(out)
    config = load_recipe("tiny", [*SMALL, *(f"{key}={value}" for key, value in made.settings.items())])
    return {item.stage.name: item.id for item in plan(config, out)}


def test_an_id_depends_on_what_was_given_and_not_on_where_it_lies(tmp_path: Path) -> None:
    first = ids(tmp_path / "a", reward=functions.at_least(2))
    assert ids(tmp_path / "b", reward=functions.at_least(2)) == first
    closure = ids(tmp_path / "c", reward=functions.at_least(3))
    assert closure["r1_zero"] != first["r1_zero"]
    assert closure["base"] == first["base"]


def test_a_constant_that_the_function_reads_is_part_of_the_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ids(tmp_path / "a", reward=functions.judge)
    monkeypatch.setattr(functions, "OPEN", None)
    assert ids(tmp_path / "b", reward=functions.judge) == first
    monkeypatch.setattr(functions, "LIMIT", 5)
    assert ids(tmp_path / "c", reward=functions.judge)["r1_zero"] != first["r1_zero"]


def test_equal_rows_are_equal_bytes_and_take_the_kind_of_the_reward() -> None:
    assert rows_text([{"b": (1,), "a": "数"}], "problems", custom=False) == '{"a": "数", "b": [1]}\n'
    assert rows_text([{"q": 1}, {"kind": "math"}], "problems", custom=True) == '{"kind": "custom", "q": 1}\n{"kind": "math"}\n'


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "problems: no row in it"),
        (["2 + 2"], r"problems\[0\]: a row is a mapping with a question, got '2 \+ 2'"),
        ([{}, {"a": {"b": [{1: 2}]}}], r"problems\[1\]: the key 1 is not a text"),
        ([{"a": float("nan")}], r"problems\[0\]: not JSON"),
        ([{"a": Path("x")}], r"problems\[0\]: not JSON: .*PosixPath"),
        ([{"a": "\ud800"}], r"problems\[0\]: not JSON"),
    ],
)
def test_rows_that_are_no_json_are_refused_by_their_index(rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows_text(rows, "problems", custom=False)


def test_a_reward_that_judges_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="judges nothing without problems of your own"):
        given(tmp_path, reward=functions.judge)
    with pytest.raises(ConfigError, match="all rows are of kind math, none of custom"):
        given(tmp_path, reward=functions.judge, problems=[{"question": "2 + 2?", "answer": "4", "kind": "math"}])


def test_names_of_tasks_and_paths_stay_settings(tmp_path: Path) -> None:
    made = given(tmp_path, problems="arithmetic,logic", evaluation=tmp_path / "eval.jsonl")
    assert made.settings == {"tasks.train": "arithmetic,logic", "tasks.eval": str(tmp_path / "eval.jsonl")}
    assert made.files == {}


def test_a_run_keeps_what_it_was_started_with(tmp_path: Path) -> None:
    out, rows = tmp_path / "run", [{**row, "kind": "custom"} for row in ROWS]
    given(out, problems=rows).write(out)
    given(out, problems=rows[1:]).write(out)  # nothing has been started yet
    (out / "config.json").write_text("{}")
    given(out, problems=rows[1:]).write(out)
    with pytest.raises(ConfigError, match=r"was started with another given/problems.jsonl: use another out"):
        given(out, problems=rows).write(out)
    with pytest.raises(ConfigError, match=r"was started without given/reward.py: use another out"):
        given(out, problems=rows[1:], reward=functions.judge).write(out)


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="not empty, and no run directory"):
        given(tmp_path, problems=ROWS).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_comma_in_the_place_of_problems_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a comma separates tasks"):
        given(tmp_path / "a,b", problems=ROWS)

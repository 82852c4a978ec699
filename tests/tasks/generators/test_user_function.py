"""A user's function as a task: what it gives, how it is confined, and each mistake as one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.errors import CogitateError, ConfigError, DataError
from cogitate.tasks.generators import user_function
from cogitate.tasks.generators.user_function import function_problems
from cogitate.tasks.mixture import files_in, gather_problems

SUMS = """
import random

def problems(seed, count, split):
    rng = random.Random(f"{seed}/{split}")
    for number in range(count):
        a, b = rng.randrange(100), rng.randrange(100)
        yield {"question": f"{split}, {number}: {a} + {b}?", "answer": a + b}

def same(seed, count, split):
    return [{"question": "1 + 1?", "answer": 2}] * count
"""


def written(folder: Path, body: str, *, name: str = "x.py") -> str:
    """The name of the task of a file with this function body."""
    (folder / name).write_text(f"def problems(seed, count, split):\n    {body}\n")
    return f"{folder / name}:problems"


def refusal(task: str, count: int = 3) -> str:
    with pytest.raises(CogitateError) as error:
        function_problems(task, count, split="train", seed=1)
    return str(error.value)


def test_a_functions_rows_are_problems_with_a_task_and_a_place(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(SUMS)
    name = f"{tmp_path / 'sums.py'}:problems"
    first, *_ = problems = gather_problems(name, 4, split="train", seed=7)
    assert (len(problems), first.task, first.kind, first.place) == (4, "sums:problems", "math", f"{name}, row 1")
    assert gather_problems(name, 4, split="train", seed=7) == problems
    others = [gather_problems(name, 4, split="eval", seed=7), gather_problems(name, 4, split="train", seed=8)]
    assert all({problem.id for problem in problems}.isdisjoint(problem.id for problem in other) for other in others)
    assert files_in(f"arithmetic,{name}") == [tmp_path / "sums.py"]


def test_a_function_has_its_share_of_a_mixture_and_equal_rows_are_one_problem(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(SUMS)
    spec = f"arithmetic,{tmp_path / 'sums.py'}:problems,{tmp_path / 'sums.py'}:same"
    problems = gather_problems(spec, 9, split="train", seed=7)
    assert [problem.task for problem in problems] == ["arithmetic"] * 3 + ["sums:problems"] * 3 + ["sums:same"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return 1 / 0", "{task}: ZeroDivisionError: division by zero ({file}, line 2)"),
        ("return [{'question': '1?', 'answer': 1}]", "{task}: gave 1 of 3 rows; give as many as are asked for"),
        ("return [{'question': f'{n}?', 'answer': n} for n in range(9)]", "{task}: gave more than 3 rows"),
        ("return 5", "{task}: must return or yield rows, got 5"),
        ("return [{'question': f'{n}?'} for n in range(count)]", "{task}: 3 rows cannot be used: row 1: answer is missing"),
        ("return [{'question': '1?', 'answer': 1}, 7, {'question': '2?', 'answer': 2}]", "{task}, row 2: a JSON object is"),
        ("return [{'question': {1}}] * 3", "{task}: row 1: Object of type set is not JSON serializable"),
        ("import os; return [{'question': f'{os.urandom(9)}?', 'answer': 1}] * 3",
         "{task}, row 1: another one when the function is called again with seed 1: draw everything from random.Random(seed)"),
        ("import sys; sys.exit(3)", "{task}: SystemExit: 3"),
        ("import os; os._exit(3)", "{task}: its process ended with code 3"),
    ],
)  # fmt: skip
def test_each_mistake_of_a_function_is_one_line(tmp_path: Path, body: str, says: str) -> None:
    task = written(tmp_path, body)
    assert says.format(task=task, file=tmp_path / "x.py") in refusal(task)


def test_a_function_or_a_file_that_is_not_there_or_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    assert "nowhere.py cannot be read: No such file" in refusal(f"{tmp_path}/nowhere.py:problems")
    task = written(tmp_path, "return []")
    with pytest.raises(ConfigError, match=r"x\.py has no function nothing"):
        function_problems(task.replace(":problems", ":nothing"), 3, split="train", seed=1)
    with pytest.raises(ConfigError, match=r"x\.py is a Python file: name its function, .*x\.py:FUNCTION"):
        files_in(f"{tmp_path}/x.py")
    (tmp_path / "bad.py").write_text("x = 1\ndef problems(:\n")
    message = refusal(f"{tmp_path / 'bad.py'}:problems")
    assert "SyntaxError: " in message
    assert message.endswith(f"({tmp_path / 'bad.py'}, line 2)")


def test_a_function_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_function, "SECONDS_LIMIT", 2.0)
    assert "not done with 3 rows after 2 seconds" in refusal(written(tmp_path, "\n    while True: pass"))


CONFINED = """
import os, socket

def attempts():
    for attempt in (
        lambda: open({place!r}, "w"),
        lambda: os.fork() or os._exit(0),
        lambda: os.execv("/bin/touch", ["touch", {place!r}]),
        lambda: socket.socket(),
    ):
        try:
            attempt()
            yield "done"
        except PermissionError:
            yield "refused"

LOADING = list(attempts())

def problems(seed, count, split):
    return [{{"question": "Loading?", "answer": str(LOADING)}}, {{"question": "Calling?", "answer": str(list(attempts()))}}]
"""


def test_neither_a_function_nor_its_file_can_write_start_a_process_or_use_the_network(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(CONFINED.format(place=str(tmp_path / "left")))
    problems = function_problems(f"{tmp_path / 'x.py'}:problems", 2, split="train", seed=1)
    assert [problem.gold for problem in problems] == [str(["refused"] * 4)] * 2
    assert not (tmp_path / "left").exists()


def test_what_a_function_prints_is_no_part_of_its_rows(tmp_path: Path) -> None:
    task = written(tmp_path, "print('hello'); return [{'question': f'{n}?', 'answer': n} for n in range(count)]")
    assert len(function_problems(task, 3, split="train", seed=1)) == 3


def test_rows_of_a_changed_file_are_asked_for_again(tmp_path: Path) -> None:
    body = "return [{'question': f'{n}?', 'answer': %s} for n in range(count)]"
    golds = [function_problems(written(tmp_path, body % answer), 2, split="train", seed=1)[0].gold for answer in (5, 6)]
    assert golds == ["5", "6"]
    with pytest.raises(DataError):
        function_problems(written(tmp_path, body % "''"), 2, split="train", seed=1)

"""Which problems a recipe gets from names and files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from cogitate.errors import ConfigError
from cogitate.tasks.mixture import BUILT_IN, gather_problems, names_in, paths_in

ALL = "arithmetic,word_problems,code,logic,choice"


def write_rows(path: Path, count: int, first: int = 0) -> str:
    rows = [{"question": f"What is {n} + 1?", "answer": n + 1} for n in range(first, first + count)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_built_in_tasks_get_equal_shares() -> None:
    problems = gather_problems(ALL, 50, split="eval", seed=0)
    assert Counter(p.task for p in problems) == dict.fromkeys(ALL.split(","), 10)
    assert problems == gather_problems(ALL, 50, split="eval", seed=0)
    problems.clear()  # they are drawn once, but each list is the caller's own
    assert len(gather_problems(ALL, 50, split="eval", seed=0)) == 50


def test_tasks_can_be_left_out() -> None:
    problems = gather_problems(ALL, 40, split="train", seed=0, without=["code"])
    assert Counter(p.task for p in problems) == dict.fromkeys(["arithmetic", "word_problems", "logic", "choice"], 10)
    with pytest.raises(ConfigError, match="nothing is left of 'code' without code"):
        gather_problems("code", 40, split="train", seed=0, without=["code"])


def test_a_file_stands_beside_built_in_tasks_with_its_share(tmp_path: Path) -> None:
    spec = f"arithmetic, {write_rows(tmp_path / 'mine.jsonl', 30)}"
    evaluation = gather_problems(spec, 20, split="eval", seed=0)
    assert Counter(p.task for p in evaluation) == {"arithmetic": 10, "mine": 10}
    training = gather_problems(spec, 20, split="train", seed=0)
    assert Counter(p.task for p in training) == {"arithmetic": 10, "mine": 30}  # a training file is taken whole
    assert [p.question for p in training if p.task == "mine"] == [f"What is {n} + 1?" for n in range(30)]


def test_a_file_or_a_function_named_twice_is_refused() -> None:
    for name in ("mine.jsonl", "x.py:problems"):
        with pytest.raises(ConfigError, match=f"{name} is named twice in 'logic,{name},{name}', .*; name it once"):
            names_in(f"logic,{name},{name}")


def test_a_file_with_less_than_its_share_gives_all_it_has(tmp_path: Path) -> None:
    problems = gather_problems(write_rows(tmp_path / "few.jsonl", 3), 20, split="eval", seed=0)
    assert len(problems) == 3


def test_which_rows_are_evaluated_depends_on_the_seed_and_not_on_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, there = (write_rows(path, 50) for path in (tmp_path / "a.jsonl", tmp_path / "other" / "b.jsonl"))
    asked = [(here, 1), (there, 1), (here, 2)]
    first, again, other = ([p.question for p in gather_problems(path, 10, split="eval", seed=seed)] for path, seed in asked)
    assert first == again
    assert set(first) != set(other)
    assert len(set(first)) == 10


def test_fewer_problems_than_parts_is_refused_instead_of_dropping_a_part(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="4 problems cannot be shared out over 5 tasks"):
        gather_problems(ALL, 4, split="eval", seed=0)
    spec = ",".join(["arithmetic", *(write_rows(tmp_path / f"{name}.jsonl", 3) for name in "ab")])
    with pytest.raises(ConfigError, match="2 problems cannot be shared out over 3 tasks"):
        gather_problems(spec, 2, split="eval", seed=0)


def test_unknown_and_missing_names_are_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no task is called 'arithmetics'; did you mean arithmetic"):
        names_in("arithmetics,code")
    with pytest.raises(ConfigError, match="no task is named"):
        names_in(" , ")


def test_paths_are_told_from_names() -> None:
    assert names_in(" logic, x/y.jsonl ,mine.jsonl,") == ["logic", "x/y.jsonl", "mine.jsonl"]
    assert paths_in("logic,x/y.jsonl,mine.jsonl") == [Path("x/y.jsonl"), Path("mine.jsonl")]
    puzzles = ["countdown", "find_x", "knights", "long_sums", "programs"]
    assert sorted(BUILT_IN) == sorted(["arithmetic", "choice", "code", "general", "logic", "safety", "word_problems", *puzzles])

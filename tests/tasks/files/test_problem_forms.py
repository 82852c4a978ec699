"""Problems in TRL's and verl's rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.tasks.files.datasets import write_rows
from cogitate.tasks.files.jsonl import load_problems
from cogitate.tasks.mixture import names_in, paths_in
from cogitate.types import Message, Problem

Load = Callable[..., list[Problem]]  # of rows written to a file of either format

ASK: dict[str, Any] = {"role": "user", "content": "What is 2+3?"}
SYSTEM: dict[str, Any] = {"role": "system", "content": "Be brief."}
VERL = {
    "data_source": "openai/gsm8k",
    "prompt": [ASK],
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": "5"},
    "extra_info": {"split": "train", "index": 0, "answer": "2+3=5\n#### 5"},
}


@pytest.fixture(params=[".jsonl", ".parquet"])
def load(tmp_path: Path, request: pytest.FixtureRequest) -> Load:
    def load_rows(*rows: dict[str, Any]) -> list[Problem]:
        write_rows(tmp_path / f"mine{request.param}", rows)
        return load_problems(tmp_path / f"mine{request.param}")

    return load_rows


@pytest.mark.parametrize(
    "row",
    [
        VERL,
        {"prompt": [ASK], "ground_truth": "5"},
        {"prompt": [ASK], "ground_truth": 5.0},
        {"prompt": [ASK], "ground_truth": ["5"]},
        {"prompt": "What is 2+3?", "ground_truth": "2+3=5\n#### 5"},
        {"prompt": [ASK], "solution": "We add: \\boxed{5}."},
        {"prompt": [ASK], "solution": "$5$"},
        {"prompt": [ASK], "solution": "<answer> 5 </answer>"},
        {"problem": "What is 2+3?", "solution": "long", "answer": "5", "messages": [ASK]},
        {
            "prompt": [ASK],
            "reward_model": {"ground_truth": "5", "style": "rule-lighteval/MATH_v2"},
            "extra_info": {"index": "a"},
        },
        {"prompt": [ASK], "answer": "so #### 5", "ground_truth": "5"},
        {"messages": [ASK], "answer": 5},
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "What is 2+3?"}]}], "answer": "5"},
    ],
)
def test_the_question_and_the_answer_are_found(load: Load, row: dict[str, Any]) -> None:
    (problem,) = load(row)
    assert (problem.kind, problem.question, problem.gold.strip("$"), problem.turns) == ("math", "What is 2+3?", "5", ())
    assert problem.conversation == (Message("user", "What is 2+3?"),)


def test_what_stands_beside_them_is_kept_and_what_is_right_is_not_twice(load: Load) -> None:
    fields = load(VERL)[0].fields
    assert (fields["data_source"], fields["ability"], fields["extra_info"]["index"]) == ("openai/gsm8k", "math", 0)
    assert not {"prompt", "reward_model", "answer"} & fields.keys()


def test_a_system_prompt_and_earlier_turns_are_part_of_what_is_asked(load: Load) -> None:
    earlier = [SYSTEM, {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
    (problem,) = load({"prompt": [*earlier, ASK], "ground_truth": "5"})
    assert problem.question == "Be brief.\n\n1+1?\nAssistant: 2\nUser: What is 2+3?"
    assert problem.conversation == tuple(Message(**turn) for turn in [*earlier, ASK])
    (problem,) = load({"prompt": [SYSTEM, ASK], "choices": ["4", "5"], "answer": "5"})
    assert problem.turns[-1].content == "What is 2+3?\nA. 4\nB. 5"
    assert problem.question == f"Be brief.\n\n{problem.turns[-1].content}"


def test_countdowns_and_programs_in_the_ground_truth_are_read(load: Load) -> None:
    (problem,) = load({**VERL, "reward_model": {"ground_truth": {"target": 98, "numbers": [44, 19, 35]}}})
    assert (problem.kind, problem.fields["numbers"], problem.fields["target"]) == ("countdown", [44, 19, 35], 98)
    tests = {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
    (problem,) = load({**VERL, "reward_model": {"ground_truth": json.dumps(tests)}})
    assert (problem.kind, problem.fields["mode"]) == ("code", "stdin")
    assert problem.fields["tests"] == [{"input": "1 2\n", "output": "3\n"}, {"input": "3 4\n", "output": "7\n"}]
    called = {"inputs": [[1, 2]], "outputs": [3], "fn_name": "add"}
    (problem,) = load({**VERL, "reward_model": {"ground_truth": json.dumps(called)}})
    assert (problem.fields["entry_point"], problem.fields["tests"]) == ("add", [{"args": [1, 2], "expected": 3}])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": [ASK], "answer": "5", "ground_truth": "6"}, "answer and ground_truth name different answers, '5' and '6'"),
        ({"prompt": [ASK], "ground_truth": ["5", "6"]}, "answer must be text or a number"),
        ({"prompt": [ASK], "reward_model": {"style": "rule"}}, "answer is missing"),
        ({"prompt": [ASK], "solution": "It is five, as everybody knows."}, "answer is missing, and solution has none: no box"),
        ({"prompt": [ASK, {"role": "assistant", "content": "5"}], "answer": "5"}, "prompt must end with the user's message"),
        ({"prompt": [{"role": "tool", "content": "5"}], "answer": "5"}, "prompt: role tool: calls of tools"),
        ({"prompt": [ASK], "answer": "5", "images": ["a.png"]}, "images: not given to the model's chat template"),
        ({"question": "How high?", "answer": "5", "image": "a.png"}, "image: not given to the model's chat template"),
        ({"prompt": [ASK], "answer": "5", "tools": [{"name": "add"}]}, "tools: not given to the model's chat template"),
        (
            {**VERL, "reward_model": {"ground_truth": '{"inputs": ["1"], "outputs": []}'}},
            "ground_truth|tests must be a JSON text",
        ),
    ],
)
def test_what_is_unclear_or_would_be_lost_is_refused_by_line(load: Load, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"(line|row) 1: .*({message})"):
        load(row)


def test_parquet_files_are_named_like_json_lines(tmp_path: Path) -> None:
    assert names_in("mine.parquet,arithmetic") == ["mine.parquet", "arithmetic"]
    assert [path.name for path in paths_in("mine.parquet")] == ["mine.parquet"]


def test_null_in_parquet_is_a_key_that_the_row_lacks(tmp_path: Path) -> None:
    choice = {"question": "White?", "choices": ["tea", "milk"], "answer": "B"}
    rows: list[dict[str, Any]] = [{"question": "2+3?", "answer": "5"}, choice]
    write_rows(tmp_path / "mine.parquet", rows)
    assert [problem.kind for problem in load_problems(tmp_path / "mine.parquet")] == ["math", "choice"]

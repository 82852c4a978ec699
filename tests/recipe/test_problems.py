"""One file for training and evaluation: who may have which rows; and further evaluation problems."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import Config
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.problems import (
    check_used,
    data_files,
    evaluation_problems,
    every_evaluation_problem,
    further_problems,
    training_problems,
)
from cogitate.recipe.recipe import get_graph
from cogitate.recipe.settings import load_recipe, make_config
from cogitate.tasks.files.decontaminate import number_masked_template

NAMES = ("Ann", "Ben", "Eva", "Tom", "Sam", "Mia", "Leo", "Zoe")
THINGS = ("pens", "cups", "nuts", "hats", "keys", "eggs", "toys", "bags", "maps", "jars")


def sums(count: int = 3) -> list[dict[str, Any]]:
    """Each of 80 texts with `count` different numbers."""
    return [
        {"question": f"{name} has {n} {things} and finds {n + 1} more. How many {things} has {name}?", "answer": 2 * n + 1}
        for name in NAMES
        for things in THINGS
        for n in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def config_of(tasks: dict[str, Any], **evaluate: Any) -> Config:
    return make_config({"tasks": tasks, "evaluate": evaluate})


def test_a_file_named_twice_is_split_so_that_no_template_is_on_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path / "sums.jsonl", sums())
    config = config_of({"train": path, "eval": path, "held_out_share": 0.3}, problems=1000)
    train, evaluation = training_problems(config), evaluation_problems(config)
    templates = [{number_masked_template(problem.question) for problem in side} for side in (train, evaluation)]
    assert not templates[0] & templates[1]
    assert len(templates[0]) + len(templates[1]) == 80
    assert len(evaluation) == 3 * len(templates[1])
    assert 0.15 < len(evaluation) / 240 < 0.45
    other = make_config({**config.model_dump(), "seed": 9})
    assert evaluation_problems(other) == evaluation


def test_only_a_share_may_be_asked_but_none_of_the_held_out_rows_is_trained_on(tmp_path: Path) -> None:
    path = write(tmp_path / "sums.jsonl", sums())
    few, all_ = (config_of({"train": path, "eval": path, "held_out_share": 0.3}, problems=n) for n in (10, 1000))
    assert len(evaluation_problems(few)) == 10
    assert training_problems(few) == training_problems(all_)
    assert {p.id for p in evaluation_problems(all_)} <= {p.id for p in every_evaluation_problem(few)}


def test_a_training_row_that_is_an_evaluation_row_with_another_name_and_other_numbers_is_left_out(tmp_path: Path) -> None:
    told = "{} had {} dollars. If he spent {} bucks on a new game, how many {} dollar toys could he buy with the money left?"
    rows = [{"question": told.format(name, n, n - 8, 4), "answer": 2} for n, name in enumerate(NAMES, 60)]
    path = write(tmp_path / "toys.jsonl", [*rows, *sums()])
    config = config_of({"train": path, "eval": path, "held_out_share": 0.3}, problems=1000)
    sides = [[p for p in side if "dollars" in p.question] for side in (training_problems(config), evaluation_problems(config))]
    assert sides[1]  # of eight names, by their templates
    assert sides[0] == []


def test_a_file_on_both_sides_and_a_share_of_nothing_are_refused(tmp_path: Path) -> None:
    path, other = write(tmp_path / "sums.jsonl", sums()), write(tmp_path / "other.jsonl", sums(1))
    with pytest.raises(ConfigError, match=r"sums\.jsonl is in tasks\.train and in tasks\.eval: .*tasks\.held_out_share=0\.25"):
        training_problems(config_of({"train": path, "eval": path}))
    with pytest.raises(ConfigError, match=r"tasks\.held_out_share = 0\.3: changes nothing"):
        training_problems(config_of({"train": path, "eval": other, "held_out_share": 0.3}))


def test_a_share_that_leaves_nothing_for_training_is_refused(tmp_path: Path) -> None:
    rows = [{"question": f"A box holds {n} pens. How many pens are in 3 boxes?", "answer": 3 * n} for n in range(20)]
    path = write(tmp_path / "boxes.jsonl", rows)
    with pytest.raises(ConfigError, match=r"tasks\.held_out_share = 0\.99: no problem is left for training, .*"):
        training_problems(config_of({"train": path, "eval": path, "held_out_share": 0.99}))


def test_a_function_that_is_not_in_its_file_is_refused_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text("def brevity(completion):\n    return 0.0\n")
    parts = {"brevity": {"file": f"{tmp_path}/parts.py:brevty"}}
    with pytest.raises(ConfigError, match=r"rewards\.parts\.brevity\.file = .*parts\.py has no function brevty"):
        check_used(make_config({"rewards": {"parts": parts}}), get_graph("r1_zero"))


def test_further_problems_are_columns_of_their_own_and_are_not_trained_on_either(tmp_path: Path) -> None:
    path, hard = write(tmp_path / "sums.jsonl", sums()), write(tmp_path / "hard.jsonl", sums(1)[:5])
    tasks = {"train": path, "eval": path, "held_out_share": 0.3}
    assert further_problems(config_of(tasks)) == []
    config = config_of(tasks, further=f"{hard},arithmetic", further_problems=7)
    further = further_problems(config)
    assert [problem.task for problem in further] == ["arithmetic"] * 7 + ["hard"] * 5  # the file has no more
    assert Path(hard) in data_files(config)
    asked = {number_masked_template(problem.question) for problem in further}
    assert not any(number_masked_template(problem.question) in asked for problem in training_problems(config))
    with pytest.raises(ConfigError, match=r"sums is in tasks\.eval already"):
        further_problems(config_of(tasks, further=path))


def test_a_missing_file_is_named_in_one_line(tmp_path: Path) -> None:
    path = str(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read: No such file"):
        training_problems(config_of({"train": path, "eval": path, "held_out_share": 0.3}))


@pytest.mark.skipif(not os.environ.get("COGITATE_DATA"), reason="COGITATE_DATA is not set: MAWPS, SVAMP and GSM8K lie there")
def test_the_recipe_of_the_real_model_trains_on_nothing_it_is_measured_on() -> None:
    config = load_recipe("smollm2")
    train, evaluation, further = training_problems(config), evaluation_problems(config), further_problems(config)
    assert len(evaluation) == 250
    assert len(train) > 600
    assert {problem.task for problem in further} == {"svamp", "gsm8k_test"}
    measured = {number_masked_template(problem.question) for problem in (*evaluation, *further)}
    assert not any(number_masked_template(problem.question) in measured for problem in train)


def test_the_recipe_of_the_real_model_says_what_to_do_without_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COGITATE_DATA", raising=False)
    with pytest.raises(ConfigError, match=r"tasks\.train = .*COGITATE_DATA is not set; set it to .* or give tasks\.train=PATH"):
        load_recipe("smollm2")


STEPS = ("rewards.parts.reasoning_steps.wanted=2",)


def refused(recipe: str, *settings: str) -> str:
    config = load_recipe(recipe, settings)
    with pytest.raises(ConfigError) as caught:
        check_used(config, get_graph(config.graph))
    return str(caught.value)


def test_settings_that_no_stage_of_the_graph_uses_are_refused() -> None:
    unused = "changes nothing, since no stage of graph instruct_gpt"
    assert refused("instruct_gpt", "tasks.train=logic") == (
        f"tasks.train = 'logic': {unused} trains on these problems; leave it out"
    )
    assert refused("instruct_gpt", *STEPS) == f"rewards.parts: {unused} is trained here with rewards by rules; leave it out"
    given = ("graph=r1_zero", "inputs.r1_zero=somewhere")
    assert "rewards.parts: changes nothing, since no stage of graph r1_zero" in refused("tiny", *STEPS, *given)


def test_settings_that_some_stage_uses_are_not_refused() -> None:
    for recipe, settings in (
        ("tiny", (*STEPS, "tasks.train=logic")),
        ("instruct_gpt", ("graph=r1_zero", *STEPS, "tasks.train=logic")),
        ("instruct_gpt", ()),
        ("tiny", ("graph=instruct_gpt",)),  # the file's tasks.train goes with its stages
    ):
        config = load_recipe(recipe, settings)
        check_used(config, get_graph(config.graph))


def test_a_custom_reward_that_would_judge_nothing_is_refused(tmp_path: Path) -> None:
    own = write(tmp_path / "own.jsonl", [{"question": "Say hello.", "kind": "custom"}])
    other = write(tmp_path / "other.jsonl", sums(1)[:9])
    judge = tmp_path / "judge.py"
    judge.write_text("def judge(completion, problem): return 1")
    custom = f"rewards.custom={judge}:judge"
    message = refused("tiny", custom, f"tasks.train={other}")
    assert message.startswith(
        f"rewards.custom = '{judge}:judge': changes nothing, since no problem of tasks.train, tasks.eval, "
    )
    assert "of tasks.eval, evaluate.further is" in refused("instruct_gpt", custom)
    for settings in ((f"tasks.train={own}",), (f"tasks.eval={own},logic",), (f"evaluate.further={own}",)):
        config = load_recipe("tiny", [custom, *settings])
        check_used(config, get_graph(config.graph))


def test_a_custom_reward_may_judge_problems_of_a_function(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        "def problems(seed, count, split):\n"
        "    return [{'question': f'{split} {n}?', 'kind': 'custom'} for n in range(count)]\n"
        "def sums(seed, count, split):\n"
        "    return [{'question': f'{split} {n} + 1?', 'answer': n + 1} for n in range(count)]\n"
        "def judge(completion, problem):\n"
        "    return 1.0\n"
    )
    counts = ("tasks.train_problems=3", "evaluate.problems=3", "evaluate.further_problems=3")
    settings = ["graph=r1_zero", f"rewards.custom={tmp_path / 'x.py'}:judge", *counts]
    for role in ("tasks.train", "tasks.eval", "evaluate.further"):
        config = load_recipe("tiny", [*settings, f"{role}={tmp_path / 'x.py'}:problems"])
        check_used(config, get_graph(config.graph))
    assert "changes nothing" in refused("tiny", *settings, f"tasks.train={tmp_path / 'x.py'}:sums")


def test_the_file_of_a_part_is_among_the_files_of_a_stage_and_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    config = load_recipe("tiny", [f"rewards.parts.mine.file={file}:part"])
    with pytest.raises(
        ConfigError, match=r"rewards\.parts\.mine\.file = .*: there is no file .*mine\.py; write FILE\.py:FUNCTION"
    ):
        data_files(config)
    file.write_text("def part(completion): return 1")
    assert data_files(config) == [file]


@pytest.mark.parametrize("role", ["tasks.eval", "evaluate.further"])
def test_a_function_that_gives_the_same_problem_for_training_and_evaluation_is_refused(tmp_path: Path, role: str) -> None:
    (tmp_path / "x.py").write_text(
        "def problems(seed, count, split):\n    return [{'question': f'Say {n}.', 'answer': n} for n in range(count)]\n"
    )
    name = f"{tmp_path / 'x.py'}:problems"
    counts = ["tasks.train_problems=3", "evaluate.problems=3", "evaluate.further_problems=3", "tasks.eval=arithmetic"]
    config = load_recipe("tiny", ["graph=r1_zero", f"tasks.train={name}", *counts, f"{role}={name}"])
    with pytest.raises(DataError, match=r"3 problems are in the training and in the evaluation set: .*x\.py:problems, row 1"):
        training_problems(config)

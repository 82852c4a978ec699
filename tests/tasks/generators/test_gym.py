"""reasoning-gym's generators as tasks of a recipe."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from cogitate.tasks.common import Split

pytest.importorskip("reasoning_gym", reason="reasoning-gym (the extra gym) is not installed")

from cogitate.errors import ConfigError, DataError, SandboxUnavailableError
from cogitate.recipe import problems as recipe_problems
from cogitate.recipe.problems import evaluation_problems, tasks_left_out, training_problems
from cogitate.recipe.settings import load_recipe
from cogitate.rewards.sandbox.sandbox import SandboxLevel
from cogitate.tasks.generators.gym import gym_problems, make_entries
from cogitate.tasks.mixture import gather_problems, names_in, paths_in


def test_names_of_generators_are_neither_built_in_nor_paths() -> None:
    assert names_in("gym:chain_sum, logic, mine.jsonl") == ["gym:chain_sum", "logic", "mine.jsonl"]
    assert [str(path) for path in paths_in("gym:chain_sum,mine.jsonl")] == ["mine.jsonl"]
    with pytest.raises(ConfigError, match="a task of reasoning-gym begins with gym:"):
        names_in("chain_sum")


def test_generators_stand_beside_other_tasks_with_equal_shares_and_their_own_settings() -> None:
    spec, settings = "gym:chain_sum,gym:leg_counting,arithmetic", {"chain_sum": {"min_terms": 6, "max_terms": 6}}
    problems = gather_problems(spec, 21, split="train", seed=0, gym=settings)
    assert Counter(p.task for p in problems) == {"gym:chain_sum": 7, "gym:leg_counting": 7, "arithmetic": 7}
    sums = [p for p in problems if p.task == "gym:chain_sum"]
    assert all(p.question.count(" + ") + p.question.count(" - ") == 5 for p in sums)
    assert all(p.kind == "gym" and p.gold == p.fields["entry"]["answer"] for p in sums)
    assert len({p.id for p in problems}) == 21


def test_training_and_evaluation_never_meet_and_seeds_repeat() -> None:
    def questions(split: Split, seed: int) -> list[str]:
        return [p.question for p in gym_problems("gym:coin_flip", {}, 10, split=split, seed=seed)]

    train, evaluation = questions("train", 0), questions("eval", 0)
    assert not {*train, *questions("train", 1)} & {*evaluation, *questions("eval", 1)}
    assert questions("train", 1) != train
    make_entries.cache_clear()
    assert questions("train", 0) == train


@pytest.mark.slow
def test_problems_are_the_same_whatever_the_hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """ransom_note walks through sets."""
    first = gym_problems("gym:ransom_note", {}, 5, split="train", seed=0)
    make_entries.cache_clear()
    monkeypatch.setitem(os.environ, "PYTHONHASHSEED", "123")
    assert gym_problems("gym:ransom_note", {}, 5, split="train", seed=0) == first


@pytest.mark.slow
def test_too_few_distinct_problems_unknown_generators_and_settings_are_said() -> None:
    with pytest.raises(DataError, match=r"task gym:coin_flip: fewer than 500 distinct eval problems"):
        gym_problems("gym:coin_flip", {}, 500, split="eval", seed=0)
    with pytest.raises(ConfigError, match=r"did you mean gym:chain_sum\?"):
        gym_problems("gym:chainsum", {}, 5, split="eval", seed=0)
    with pytest.raises(ConfigError, match=r"did you mean tasks.gym.chain_sum.min_terms\?"):
        gym_problems("gym:chain_sum", {"min_term": 3}, 5, split="eval", seed=0)


def test_a_recipe_takes_generators_and_their_settings() -> None:
    tasks = ("tasks.train=gym:chain_sum", "tasks.eval=gym:chain_sum,gym:coin_flip", "tasks.train_problems=12")
    config = load_recipe("tiny", [*tasks, "tasks.gym.chain_sum.min_terms=3", "evaluate.problems=8"])
    train, evaluation = training_problems(config), evaluation_problems(config)
    assert (len(train), Counter(p.task for p in evaluation)) == (12, {"gym:chain_sum": 4, "gym:coin_flip": 4})
    assert train[0].fields["config"] == {"min_terms": 3}
    with pytest.raises(ConfigError, match=r"tasks.gym.coin_flips: changes nothing"):
        evaluation_problems(load_recipe("tiny", [*tasks, "tasks.gym.coin_flips.max_trials=3"]))


def test_generators_whose_answers_are_evaluated_need_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_problems, "detect_level", lambda: SandboxLevel.NONE)
    tasks = ("tasks.train=gym:spiral_matrix,gym:chain_sum", "tasks.eval=gym:chain_sum")
    with pytest.raises(SandboxUnavailableError, match="gym:spiral_matrix runs model-written code"):
        tasks_left_out(load_recipe("tiny", [*tasks, "tasks.skip_code_without_sandbox=false"]))
    elsewhere = "rewards.remote_sandbox=piston:http://127.0.0.1:9"  # runs programs, not the library's scorers
    skipping = load_recipe("tiny", [*tasks, "tasks.skip_code_without_sandbox=true", elsewhere])
    assert tasks_left_out(skipping) == ["gym:spiral_matrix"]
    assert tasks_left_out(load_recipe("tiny", [*tasks, "rewards.unsafe_local=true"])) == []
    assert tasks_left_out(load_recipe("tiny", ["tasks.skip_code_without_sandbox=false", elsewhere])) == []

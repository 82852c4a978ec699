"""What holds for every built-in task: splits never meet, equal seeds give equal problems, every problem can be graded."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.rewards.answer import Contract
from cogitate.tasks.common import Split, Task, draw_problems, is_held_out, weighted
from cogitate.tasks.generators import arithmetic, choice, code, logic, word_problems
from cogitate.types import Problem
from tests.rewards.judging import grade

COUNT = 250


def signs_and_digits(problem: Problem) -> str:
    return re.sub(r"\d+", lambda number: str(len(number.group())), problem.id.rpartition(":")[2].replace(" ", ""))


def verbs_in_order(problem: Problem) -> str:
    words = {
        "buy": "buys|买", "find": "finds|找到", "get": "gets|送来", "win": "wins|赢", "give": "gives|送给", "lose": "loses|丢",
        "sell": "sells|卖", "drop": "leaves|留下",
    }  # fmt: skip
    found = re.findall("|".join(words.values()), problem.question)
    return problem.language + ":" + ",".join(next(verb for verb in words if word in words[verb].split("|")) for word in found)


def operations_in_order(problem: Problem) -> str:
    return ",".join(re.findall(r"[a-z]+", problem.id.rpartition(":")[2]))


def premises_and_rank(problem: Problem) -> str:
    """Recovers the composition from the text alone: which neighbours each premise compares, and in which direction."""
    premises = [(a, b, word) for a, word, b in re.findall(r"(\w+) is (taller|shorter) than (\w+)\.", problem.question)]
    premises += re.findall(r"(小.)比(小.)(高|矮)", problem.question)
    turned = [word in ("shorter", "矮") for _, _, word in premises]
    pairs = [(b, a) if turn else (a, b) for (a, b, _), turn in zip(premises, turned, strict=True)]
    people = sorted({name for pair in pairs for name in pair}, key=lambda name: len(above(name, pairs)))
    words = {"second": ("second tallest?", "第二高？"), "first": ("the tallest?", "最高？"), "last": ("shortest?", "最矮？")}
    rank = next(rank for rank in words if problem.question.endswith(words[rank]))
    told = [f"{people.index(a)}{'<' if turn else '>'}" for (a, _), turn in zip(pairs, turned, strict=True)]
    return ",".join(told) + f":{rank}"


def above(name: str, pairs: list[tuple[str, str]]) -> set[str]:
    direct = {a for a, b in pairs if b == name}
    return direct.union(*(above(other, pairs) for other in direct))


def fact_and_form(problem: Problem) -> str:
    asked = problem.question.partition("? ")[0] + "?"
    for relation in choice.RELATIONS.values():
        for key, value in relation.facts.items():
            for form in relation.forward + relation.backward:
                if form.format(key=key, value=value) == asked:
                    return f"{form}:{key}"
    raise AssertionError(asked)


COMPOSITIONS: dict[str, tuple[Any, Callable[[Problem], str]]] = {
    "arithmetic": (arithmetic, signs_and_digits),
    "word_problems": (word_problems, verbs_in_order),
    "code": (code, operations_in_order),
    "logic": (logic, premises_and_rank),
    "choice": (choice, fact_and_form),
}


def drawn(module: Any, split: Split, count: int = COUNT, seed: int = 3) -> list[Problem]:
    return draw_problems([module.TASK], count, split=split, seed=seed)


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_evaluation_has_only_compositions_absent_from_corpus_and_training(name: str) -> None:
    module, composition_of = COMPOSITIONS[name]
    seen = {split: {composition_of(p) for p in drawn(module, split)} for split in ("corpus", "train", "eval")}
    assert not seen["eval"] & (seen["corpus"] | seen["train"])
    assert all(is_held_out(name, composition) for composition in seen["eval"])
    assert not any(is_held_out(name, composition) for composition in seen["corpus"] | seen["train"])
    assert len(seen["eval"]) > 5
    questions = {split: {p.question for p in drawn(module, split)} for split in ("corpus", "train", "eval")}
    assert not questions["eval"] & (questions["train"] | questions["corpus"])


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_equal_seeds_give_equal_problems_and_other_seeds_others(name: str) -> None:
    module, _ = COMPOSITIONS[name]
    first, again, other = drawn(module, "train", 60), drawn(module, "train", 60), drawn(module, "train", 60, seed=4)
    assert first == again
    assert len({p.id for p in first} & {p.id for p in other}) < 30
    assert len({p.id for p in first}) == 60
    assert {p.task for p in first} == {name}


@pytest.mark.parametrize("name", [name for name in COMPOSITIONS if name != "code"])
def test_the_gold_answer_is_right_in_every_contract_and_another_is_wrong(name: str) -> None:
    module, _ = COMPOSITIONS[name]
    for problem in drawn(module, "train", 25):
        gold = problem.gold
        others = [p.gold for p in drawn(module, "train", 60, seed=9) if p.gold != gold and p.language == problem.language]
        for answer, verdict in ((gold, "right"), (others[0], "wrong")):
            written: dict[Contract, str] = {
                "r1": f" <think> Let me see. </think> <answer> {answer} </answer>",
                "bare": f" {answer}",
                "free": f" Let me see. The answer is {answer}.",
            }
            for contract, text in written.items():
                got = grade(problem.kind, text, contract=contract, gold=gold)
                assert got.value == verdict, (problem.question, text, got)


def test_a_quarter_of_compositions_is_held_out_and_the_choice_never_changes() -> None:
    signs = ["".join(parts) for parts in itertools.product("+-", repeat=10)]
    share = sum(is_held_out("arithmetic", text) for text in signs) / len(signs)
    assert 0.21 < share < 0.29  # 1024 draws of 1/4: deviation 0.0135
    assert [is_held_out("arithmetic", c) for c in ("2+2", "2+2-1", "2-2-1", "2-1-1+2")] == [True, False, False, True]
    assert any(is_held_out("logic", text) != is_held_out("arithmetic", text) for text in signs)  # each task chooses for itself


def test_tasks_are_drawn_in_turn_and_in_equal_shares() -> None:
    problems = draw_problems([arithmetic.TASK, logic.TASK, choice.TASK], 10, split="train", seed=1)
    assert [p.task for p in problems[:6]] == ["arithmetic", "logic", "choice"] * 2
    assert Counter(p.task for p in problems) == {"arithmetic": 4, "logic": 3, "choice": 3}


def test_a_task_draws_the_same_problems_whatever_stands_beside_it() -> None:
    alone = draw_problems([logic.TASK], 5, split="eval", seed=1)
    beside = draw_problems([arithmetic.TASK, logic.TASK], 10, split="eval", seed=1)
    assert [p for p in beside if p.task == "logic"] == alone


def test_a_task_with_too_few_distinct_problems_is_refused_by_name() -> None:
    def generate(rng: random.Random, split: Split) -> Problem:
        number = rng.randint(1, 4)
        return Problem(str(number), "small", "math", f"{number}?", gold="1")

    assert {p.id for p in draw_problems([Task("small", generate)], 4, split="train", seed=0)} == {"1", "2", "3", "4"}
    with pytest.raises(DataError, match="task small: fewer than 5 distinct train problems; ask for fewer"):
        draw_problems([Task("small", generate)], 5, split="train", seed=0)


def test_weighted_draws_by_the_weights() -> None:
    rng = random.Random(0)
    counts = Counter(weighted(rng, {"a": 0.7, "b": 0.3, "c": 0.0}) for _ in range(4000))
    assert counts["c"] == 0
    assert counts["a"] / 4000 == pytest.approx(0.7, abs=0.03)

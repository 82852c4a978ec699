"""Keeping evaluation out of training data: what counts as the same, worked by hand, and on real text."""

import json
import os
from pathlib import Path

import pytest

from cogitate.errors import DataError
from cogitate.tasks.files.decontaminate import (
    OVERLAP,
    SAME_PROBLEM,
    SAME_TEMPLATE,
    decontaminate,
    index_evaluation,
    ngrams,
    number_masked_template,
    split_by_template,
)
from cogitate.tasks.files.jsonl import load_problems
from cogitate.tasks.mixture import gather_problems
from cogitate.types import PLACE, Problem

DATA = os.environ.get("COGITATE_DATA")
NEEDS_DATA = pytest.mark.skipif(not DATA, reason="COGITATE_DATA is not set: the shared data sets are needed")


def real(question: str, place: str = "mine.jsonl, line 1") -> Problem:
    return Problem(question, "mine", "math", question, fields={PLACE: place})


def generated(question: str) -> Problem:
    return Problem(question, "arithmetic", "math", question)


def test_a_template_is_the_same_for_other_numbers_and_another_for_other_words() -> None:
    assert number_masked_template("Tom has 3 apples, and 1,250.50 coins.") == "tom has # apples and # coins"
    assert number_masked_template("TOM has 17 apples and 4 coins!") == "tom has # apples and # coins"
    assert number_masked_template("Ann has 3 apples and 4 coins.") != "tom has # apples and # coins"
    assert number_masked_template("小明有15个苹果。") == number_masked_template("小明有 8 个苹果") == "小 明 有 # 个 苹 果"


def test_rows_of_one_template_fall_on_one_side_and_adding_rows_moves_none() -> None:
    people, things = ("Tom", "Ann", "Eva", "Max"), ("pens", "eggs", "cats", "cups")
    rows = [f"{name} has {number} {thing}" for name in people for thing in things for number in (2, 30, 411)]
    train, held_out = split_by_template(rows, str, 0.3)
    assert sorted(train + held_out) == sorted(rows)
    assert train
    assert held_out
    assert not {number_masked_template(row) for row in train} & {number_masked_template(row) for row in held_out}
    assert all(len([row for row in held_out if number_masked_template(row) == template]) == 3
               for template in {number_masked_template(row) for row in held_out})  # fmt: skip
    more_train, more_held_out = split_by_template([*rows, "Something else 5"], str, 0.3)
    assert set(train) <= set(more_train)
    assert set(held_out) <= set(more_held_out)


def test_a_share_of_all_or_nothing_is_no_split() -> None:
    with pytest.raises(DataError, match="held_out_share = 1"):
        split_by_template(["a"], str, 1)


def test_a_generated_problem_counts_only_where_it_is_equal() -> None:
    evaluation = index_evaluation([generated("What is 5 + 6 - 2?")])
    assert evaluation.contamination(generated("what is  5 + 6 - 2?")) == SAME_PROBLEM
    assert evaluation.contamination(generated("What is 5 + 7 - 2?")) is None


def test_real_text_counts_also_with_other_numbers() -> None:
    evaluation = index_evaluation([real("Weng earns $12 an hour for babysitting.")])
    assert evaluation.contamination(real("Weng earns $15 an hour for babysitting.")) == SAME_TEMPLATE
    assert evaluation.contamination(real("Weng earns $12 a day for babysitting.")) is None
    allowing = index_evaluation([real("Weng earns $12 an hour for babysitting.")], compare_templates=False)
    assert allowing.contamination(real("Weng earns $15 an hour for babysitting.")) is None


def test_overlap_is_counted_in_ngrams_of_the_question_and_of_the_whole_row() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    evaluation = index_evaluation([real(" ".join(words))], ngram=3)  # six pieces
    half = " ".join([*words[:5], "x", "y", "z"])  # three of its six pieces: exactly one half
    assert evaluation.contamination(real(half)) is None
    more = " ".join([*words[:6], "x", "y"])  # four of six
    assert evaluation.contamination(real(more)) == OVERLAP
    long = " ".join(str(number) for number in range(100, 200))
    assert evaluation.contamination(real(f"{long} {' '.join(words)}")) == OVERLAP  # few of the row's, but all of the problem's
    assert evaluation.contamination(real(long), completion=" ".join(words)) == OVERLAP
    strict = index_evaluation([real(" ".join(words))], ngram=3, limit=0.4)
    assert strict.contamination(real(half)) == OVERLAP
    assert index_evaluation([real(" ".join(words))], ngram=3, limit=1.0).contamination(real(more)) is None


def test_shared_pieces_of_several_problems_do_not_add_up() -> None:
    evaluation = index_evaluation([real("a b c p q r"), real("d e f s t u")], ngram=3)
    assert evaluation.contamination(real("a b c x d e f")) is None  # one of five pieces from each


def test_ngrams_are_of_words_and_of_chinese_characters() -> None:
    assert ngrams("The cat, the CAT sat.", 3) == {("the", "cat", "the"), ("cat", "the", "cat"), ("the", "cat", "sat")}
    assert ngrams("小明有3个", 4) == {("小", "明", "有", "3"), ("明", "有", "3", "个")}
    assert ngrams("too short", 3) == set()


def test_every_row_is_kept_or_dropped_with_its_rule() -> None:
    evaluation = index_evaluation([real("Ann has 3 pens."), generated("What is 2 + 2?")])
    rows = [real("Ann has 5 pens."), generated("What is 2 + 2?"), generated("What is 2 + 3?"), real("Tom sleeps.")]
    kept, dropped = decontaminate(rows, evaluation, lambda row: (row, ""))
    assert kept == rows[2:]
    assert dropped == [(rows[0], SAME_TEMPLATE), (rows[1], SAME_PROBLEM)]


def test_too_few_survivors_are_refused_with_an_example_and_what_to_do() -> None:
    evaluation = index_evaluation([real("Ann has 3 pens.")])
    rows = [real(f"Ann has {number} pens.", f"mine.jsonl, line {number}") for number in (4, 5, 6)]
    with pytest.raises(DataError, match="leaves 1 of 4 rows") as error:
        decontaminate([*rows, real("Tom sleeps.")], evaluation, lambda row: (row, ""))
    assert "mine.jsonl, line 4" in str(error.value)
    assert "split_by_template" in str(error.value)
    kept, _ = decontaminate([*rows, real("Tom sleeps.")], evaluation, lambda row: (row, ""), smallest_kept_share=0.25)
    assert len(kept) == 1


def test_generated_training_problems_survive_their_evaluation() -> None:
    spec = "arithmetic,word_problems,code,logic,choice"
    evaluation = index_evaluation(gather_problems(spec, 250, split="eval", seed=0))
    train = gather_problems(spec, 500, split="train", seed=0)
    assert decontaminate(train, evaluation, lambda row: (row, ""))[1] == []


@NEEDS_DATA
def test_real_text_with_other_numbers_is_found_among_thousands_of_problems() -> None:
    math = Path(DATA or "") / "math"
    evaluation = index_evaluation(load_problems(math / "gsm8k_test.jsonl"))
    hard = load_problems(math / "gsm_hard.jsonl")  # GSM8K's test problems with large numbers
    found = sum(evaluation.contamination(problem) is not None for problem in hard)
    assert found >= 0.9 * len(hard)
    train = load_problems(math / "gsm8k_train.jsonl")
    kept, dropped = decontaminate(train, evaluation, lambda row: (row, ""))
    assert len(kept) + len(dropped) == len(train)
    assert len(kept) >= 0.98 * len(train)  # another split of the same source: next to nothing is shared


@NEEDS_DATA
def test_a_split_of_real_text_leaves_no_template_on_both_sides() -> None:
    with (Path(DATA or "") / "math" / "mawps.jsonl").open() as lines:
        questions = [json.loads(line)["question"] for line in lines]
    train, held_out = split_by_template(questions, str, 0.2, seed=3)
    assert not {number_masked_template(q) for q in train} & {number_masked_template(q) for q in held_out}
    assert 0.1 < len(held_out) / len(questions) < 0.3


def test_other_numbers_and_another_name_are_found_where_numbers_are_masked() -> None:
    told = "{} had {} dollars. If he spent {} bucks on a new game, how many {} dollar toys could he buy with the money left?"
    asked, other = (
        Problem(str(n), "mine", "math", told.format(name, n, n - 9, n - 50), fields={PLACE: f"line {n}"})
        for n, name in ((68, "Roger"), (57, "Tom"))
    )
    assert index_evaluation([asked]).contamination(other) is None
    assert index_evaluation([asked], ngram=8, mask_numbers=True).contamination(other) == OVERLAP
    unlike = Problem("3", "mine", "math", "Amy has 3 cats and 4 dogs, how many pets does she have?", fields={PLACE: "line 3"})
    assert index_evaluation([asked], ngram=8, mask_numbers=True).contamination(unlike) is None

"""General prompts: splits, determinism, speed, the true score by hand-written answers, and the quality of corpus answers."""

import random
import statistics

import pytest

from cogitate.tasks.common import Split, is_held_out
from cogitate.tasks.general import general
from cogitate.tasks.general.categories import BY_NAME
from cogitate.tasks.general.general import generate, helpfulness, write_answer
from cogitate.types import Problem
from tests.processor_time import cheapest


def problems(split: Split, count: int, seed: int = 0) -> list[Problem]:
    rng = random.Random(seed)
    return [generate(rng, split) for _ in range(count)]


def writing(
    subject: str = "cat",
    thing: str = "rain",
    tone: str = "happy",
    length: tuple[int, int] = (10, 20),
    language: str = "en",
    required: tuple[tuple[str, ...], ...] = (("cat",), ("rain",)),
) -> Problem:
    fields = {
        "category": "writing",
        "tone": tone,
        "harmful": False,
        "length": length,
        "required": required,
        "answer_language": language,
    }
    question = f"Write a {tone} story about a {subject} and the {thing}. Use {length[0]} to {length[1]} words."
    return Problem(id="w", task="general", kind="general", question=question, language=language, fields=fields)


GOOD = "The cat saw the rain and was happy. All the friends were glad."  # 13 words


def test_an_answer_with_everything_asked_for_scores_one() -> None:
    assert helpfulness(writing(), GOOD) == 1.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The dog saw the rain and was happy. All the friends were glad.", 0.5),  # one of two things: content 1/2
        ("The cat saw the rain and was here. All the friends were there.", 0.4 + 0.6 * 0.6),  # manner without tone's 0.4
        ("The cat saw the rain and cried. All the friends were glad.", 0.4 + 0.6 * (0.4 * 0.5 + 0.6)),  # two tones at once
        ("The cat was happy about the rain.", 0.4 + 0.6 * (0.4 * (1 - 3 / 5) + 0.6)),  # 7 words, 3 under the 10 asked for
        ("the cat saw the rain and was happy. All the friends were glad.", 0.4 + 0.6 * 0.9),  # no capital: half of shape's 0.2
        ("The sea was blue and the boat was near. It was a calm day.", 0.0),  # nothing asked for
        ("", 0.0),
    ],
)
def test_each_fault_costs_what_the_formula_says(answer: str, expected: float) -> None:
    assert helpfulness(writing(), answer) == pytest.approx(expected)


@pytest.mark.parametrize(
    "answer",
    [
        "I can not help you with a happy story about the cat and the rain.",  # refusal of a harmless request
        "Do it yourself, stupid cat. I do not care about the rain.",  # rude
        "Write a happy story about a cat and the rain. Use 10 to 20 words.",  # the question again
        "cat rain happy glad smile cat joy rain laugh fun cat rain love.",  # keywords
        "猫看到雨，很高兴。大家都很开心。他们一起吃饭。",  # wrong language
        "The cat and rain. The cat and rain. The cat and rain. The cat and rain. Happy.",  # repetition
    ],
)
def test_answers_that_only_look_helpful_score_at_most_a_fifth(answer: str) -> None:
    assert helpfulness(writing(), answer) <= 0.2


def test_chinese_writing_is_scored_in_characters() -> None:
    problem = writing(tone="happy", length=(6, 15), language="zh", required=(("猫",), ("雨",)))
    assert helpfulness(problem, "猫看到雨，很高兴。") == 1.0  # 7 characters
    assert helpfulness(problem, "The cat saw the rain and was happy.") == 0.0


def test_a_translation_is_right_with_other_articles_and_partly_right_with_one_wrong_word() -> None:
    fields = {
        "category": "translation",
        "tone": None,
        "harmful": False,
        "length": (2, 7),
        "expected": ["He likes black cats."],
        "answer_language": "en",
    }
    problem = Problem(id="t", task="general", kind="general", question="翻译成英语：他喜欢黑猫。", language="zh", fields=fields)
    assert helpfulness(problem, "he likes the black cat") == 1.0
    assert helpfulness(problem, "He likes black dogs.") == pytest.approx(0.8 * 0.75**2)  # three of four words in place
    assert helpfulness(problem, "他喜欢黑猫。") == 0.0


def test_a_list_wants_that_many_distinct_things() -> None:
    fields = {
        "category": "list",
        "tone": None,
        "harmful": False,
        "length": (3, 15),
        "counts": [(3, ["apple", "pear", "lemon", "grape"])],
        "answer_language": "en",
    }
    problem = Problem(id="l", task="general", kind="general", question="Name three fruits.", fields=fields)
    assert helpfulness(problem, "Apple, pear and lemon.") == 1.0
    assert helpfulness(problem, "Apple, apple and pear.") == pytest.approx(2 / 3)
    assert helpfulness(problem, "Apple, pear, lemon and grape.") == pytest.approx(3 / 4)


@pytest.mark.parametrize("split", ["corpus", "train", "eval"])
def test_every_good_answer_of_every_category_scores_high(split: Split) -> None:
    rng = random.Random(5)
    for problem in problems(split, 2000):
        answer = BY_NAME[problem.fields["category"]].answer(rng, dict(problem.fields), problem.language)
        assert helpfulness(problem, answer) > 0.85, (problem.question, answer)


def test_evaluation_compositions_never_occur_in_corpus_or_training() -> None:
    seen = {p.fields["composition"] for split in ("corpus", "train") for p in problems(split, 5000)}
    kept = {p.fields["composition"] for p in problems("eval", 2000)}
    assert len(kept) > 300
    assert not kept & seen
    assert all(is_held_out("general", composition) for composition in kept)


def test_all_categories_and_both_languages_occur_in_every_split() -> None:
    for split in ("corpus", "train", "eval"):
        found = {(p.fields["category"], p.language) for p in problems(split, 1000)}
        assert found == {(category, language) for category in general.CATEGORIES for language in ("en", "zh")}


def test_a_seed_fixes_problem_and_answer() -> None:
    def draw(seed: int) -> list[tuple[Problem, str]]:
        rng = random.Random(seed)
        return [(p, write_answer(rng, p)) for p in (generate(rng, "corpus") for _ in range(200))]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


def test_equal_ids_mean_equal_plans_and_phrasing_is_no_part_of_them() -> None:
    by_id: dict[str, Problem] = {}
    for problem in problems("train", 5000):
        same = by_id.setdefault(problem.id, problem)
        assert same.fields == problem.fields
    assert len({p.question for p in problems("train", 5000)}) > len(by_id)


def test_corpus_answers_have_spread_around_one_half_and_prompts_are_short() -> None:
    rng = random.Random(0)
    drawn = [(p, write_answer(rng, p)) for p in problems("corpus", 6000)]
    scores = [helpfulness(p, answer) for p, answer in drawn]
    assert 0.45 < statistics.mean(scores) < 0.62
    assert statistics.pstdev(scores) > 0.3
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        assert sum(low <= score <= low + 0.2 for score in scores) > 0.01 * len(scores)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert all(len(p.question.split()) <= 25 for p, _ in drawn)
    assert len({answer for _, answer in drawn}) > 0.5 * len(drawn)


def test_five_thousand_documents_are_written_in_a_second() -> None:
    def write(go: int) -> None:
        rng = random.Random(go)
        for _ in range(3000):
            write_answer(rng, generate(rng, "corpus"))

    assert cheapest(write, enough=0.6) < 0.6

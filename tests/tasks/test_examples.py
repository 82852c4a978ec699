"""The few-shot examples: right, graded as such, and no evaluation problem among them."""

import re

import pytest

from cogitate.evals.text_metrics import is_mixed, is_reflective
from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.tasks.examples import EXAMPLES, LONG_EXAMPLES, examples_for, long_example_for
from cogitate.tasks.mixture import gather_problems
from cogitate.types import Problem
from tests.rewards.judging import grade

GOLDS = {
    "arithmetic": ("math", ("31", "58")),
    "word_problems": ("math", ("30", "30")),
    "logic": ("exact", ("Ben", "Amy")),
    "choice": ("choice", ("A", "C")),
    "find_x": ("math", ("10", "6")),
    "knights": ("logic", ({"Tom": True, "Mia": False}, {"Sam": True, "Eva": False})),
    "long_sums": ("math", ("91", "322")),
}
COUNTDOWNS = {
    "Use 2, 5 and 3": ([2, 5, 3], 13),
    "Make 6": ([7, 4, 3], 6),
    "Use 7, 2": ([7, 2, 5], 19),
    "用3、8和2": ([3, 8, 2], 13),
}
NEEDS_SANDBOX = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


@pytest.mark.parametrize("task", GOLDS)
def test_each_example_is_right(task: str) -> None:
    kind, golds = GOLDS[task]
    for (_, worked), gold in zip(EXAMPLES[task], golds, strict=True):
        assert grade(kind, worked, contract="free", gold=gold).value == "right", worked


def test_each_countdown_is_right() -> None:
    shown = [*EXAMPLES["countdown"], LONG_EXAMPLES["countdown", "en"], LONG_EXAMPLES["countdown", "zh"]]
    for (question, worked), (begins, (numbers, target)) in zip(shown, COUNTDOWNS.items(), strict=True):
        assert question.startswith(begins)
        assert grade("countdown", worked, contract="free", numbers=numbers, target=target).value == "right", worked


@NEEDS_SANDBOX
def test_each_program_is_right() -> None:
    tests = [[[[3, 1, 2]], [4, 3, 5]], [[[]], []]], [[[[3, 1, 2]], [1, 3]], [[[]], []]]
    for (_, worked), cases in zip(EXAMPLES["code"], tests, strict=True):
        assert grade_code(worked, mode="function", entry_point="f", tests=cases).value == "right"


@NEEDS_SANDBOX
def test_each_program_from_examples_does_what_its_question_shows() -> None:
    shown = [*EXAMPLES["programs"], LONG_EXAMPLES["programs", "en"], LONG_EXAMPLES["programs", "zh"]]
    for question, worked in shown:
        cases = [{"args": [int(x)], "expected": int(y)} for x, y in re.findall(r"f\((\d+)\) = (\d+)", question)]
        assert len(cases) == 2
        assert grade_code(worked, mode="function", entry_point="f", tests=cases).value == "right", worked


LONG_GOLDS = {
    ("arithmetic", "en"): "51", ("arithmetic", "zh"): "51", ("word_problems", "en"): "38", ("word_problems", "zh"): "38",
    ("logic", "en"): "Ben", ("logic", "zh"): "小明", ("choice", "en"): "A",
    ("find_x", "en"): "8", ("find_x", "zh"): "7", ("long_sums", "en"): "98", ("long_sums", "zh"): "144",
    ("knights", "en"): {"Ben": True, "Lily": False}, ("knights", "zh"): {"小明": True, "小红": False},
}  # fmt: skip


@pytest.mark.parametrize("key", LONG_GOLDS)
def test_each_long_example_is_right_and_checks_itself_in_one_language(key: tuple[str, str]) -> None:
    task, language = key
    _, worked = LONG_EXAMPLES[key]
    assert grade(GOLDS[task][0], worked, contract="free", gold=LONG_GOLDS[key]).value == "right"
    assert is_reflective(worked)
    assert not is_mixed(worked, language)


@NEEDS_SANDBOX
def test_each_long_program_is_right() -> None:
    for language, cases in {"en": [[[[3, 1, 2, 5]], [7, 4, 3]]], "zh": [[[[3, 1]], [3, 5]]]}.items():
        _, worked = LONG_EXAMPLES["code", language]
        assert grade_code(worked, mode="function", entry_point="f", tests=cases).value == "right"
        assert is_reflective(worked)


def test_every_problem_gets_the_long_example_of_its_task_in_its_language_where_there_is_one() -> None:
    for problem in gather_problems(",".join(EXAMPLES), 100, split="train", seed=0):
        assert long_example_for(problem) is LONG_EXAMPLES[problem.task, problem.language]
    assert long_example_for(Problem("1", "mine", "choice", "?", language="zh")) is LONG_EXAMPLES["choice", "en"]
    assert long_example_for(Problem("1", "code", "math", "?", language="fr")) is LONG_EXAMPLES["arithmetic", "en"]


def test_no_example_is_an_evaluation_problem() -> None:
    asked = {question for examples in EXAMPLES.values() for question, _ in examples}
    asked |= {re.sub(" Work carefully.*|请仔细算.*", "", question) for question, _ in LONG_EXAMPLES.values()}
    spec = ",".join(EXAMPLES)
    assert not asked & {p.question for p in gather_problems(spec, 500, split="eval", seed=0)}


def test_a_users_own_problem_gets_the_examples_of_its_kind() -> None:
    assert examples_for(Problem("1", "logic", "exact", "?")) is EXAMPLES["logic"]
    assert examples_for(Problem("1", "mine", "choice", "?")) is EXAMPLES["choice"]
    assert examples_for(Problem("1", "mine", "math", "?")) is EXAMPLES["arithmetic"]
    assert examples_for(Problem("1", "code", "math", "?")) is EXAMPLES["arithmetic"]  # a user's file code.jsonl


def test_every_built_in_problem_gets_the_examples_of_its_task() -> None:
    for problem in gather_problems(",".join(EXAMPLES), 25, split="train", seed=0):
        assert examples_for(problem) is EXAMPLES[problem.task]


def test_a_users_problems_told_in_words_get_examples_in_words() -> None:
    told = Problem("1", "mine", "math", "Joan found 70 shells on the beach and gave Sam 27 of them. How many has she left?")
    short = Problem("2", "mine", "math", "What is (3 + 4) * 2 - 5 / 1?")
    assert examples_for(told) == EXAMPLES["word_problems"]
    assert long_example_for(told) == LONG_EXAMPLES["word_problems", "en"]
    assert examples_for(short) == EXAMPLES["arithmetic"]

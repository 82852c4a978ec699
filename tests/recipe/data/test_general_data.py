"""What a curator's rules keep of general answers, without any true score."""

from typing import Any

import pytest

from cogitate.recipe.data.general_data import (
    BEYOND_SHARE,
    choose_general,
    content_fault,
    general_fault,
    general_prompt,
    general_prompts,
    most_agreed,
)
from cogitate.recipe.data.rejection import ENOUGH
from cogitate.recipe.settings import load_recipe
from cogitate.types import Problem
from tests.recipe.scripted_backend import candidate


def asked(question: str, category: str, language: str = "en", **fields: Any) -> Problem:
    fields = {"category": category, **fields}
    return Problem(f"{category}:{question}", "general", "general", question, language=language, fields=fields)


WRITING = asked(
    "Write a happy story about a dog and the sea, 8 to 14 words.", "writing", required=[["dog"], ["sea"]], answer_language="en"
)
GREETING = asked(
    "Hi, I am Lily. It is my birthday.", "greeting", required=[["hi", "hello"], ["Lily"], ["birthday"]], answer_language="en"
)
TRANSLATION = asked("Translate into Chinese: He likes fish.", "translation", answer_language="zh")
ABOUT = asked("Who are you? Can you swim?", "about", answer_language="en")
LIST = asked("Give me two colours and two drinks.", "list", answer_language="en")
STORY = "<think> The user wants help. </think>\nThe dog ran to the sea and was happy all day."


@pytest.mark.parametrize(
    ("problem", "text", "fault"),
    [
        (WRITING, STORY, None),
        (WRITING, "The dog ran to the sea and was happy all day.", "no thinking"),
        (WRITING, "<think> The dog ran to the sea.", "tags not closed"),
        (WRITING, "<think> The user wants help. </think>\n", "empty answer"),
        (WRITING, STORY.replace("all day", "all day and all night with me and you"), "not of the asked length"),
        (WRITING, STORY.replace("sea", "hill"), "asked words missing"),
        (WRITING, STORY.replace("day.", "day"), "untidy"),
        (WRITING, "<think> The user wants help. </think>\nthe dog ran to the sea and was happy all day.", "untidy"),
        (WRITING, "<think> Hm. </think>\n小狗跑到大海，很高兴。", "other language"),
        (WRITING, "<think> Hm. </think>\nThe dog saw the sea. The dog saw the sea.", "repetition"),
        (WRITING, STORY.replace("happy", "hap\ufffdpy"), "unreadable characters"),
        (WRITING, STORY.replace("The user wants", "The user 需要帮助"), "mixed language"),
        (GREETING, "Hi, Lily! Happy birthday! How can I help you?", None),
        (GREETING, "<think> The user wants help. </think>\nHi, Lily! Happy birthday!", "thinking where none is useful"),
        (GREETING, "Hi, Tom! Happy birthday! How can I help you?", "asked words missing"),
        (GREETING, "Go away, Lily, you are boring. Happy birthday!", "rude"),
        (GREETING, "Hi, I am Lily. It is my birthday.", "the question again"),
        (GREETING, "Hi, Lily! Happy birthday! I can not help you.", "a harmless request is refused"),
        (TRANSLATION, "<think> The user wants help. </think>\n他喜欢鱼。", None),
        (TRANSLATION, "<think> The user wants help. </think>\nHe likes fish.", "other language"),
        (ABOUT, "I am Cogitate. No, I can not swim.", None),
        (ABOUT, "I am Cogitate. No, I can not walk.", "asked words missing"),
        (LIST, "Here you are: red, milk, juice and blue.", None),
        (LIST, "Red, milk, juice and blue.", None),
        (LIST, "Here you are: red, milk and blue.", "not as many things as asked"),
        (LIST, "Here you are: red, milk, milk and blue.", "not as many things as asked"),
    ],
)
def test_each_answer_is_kept_or_dropped_for_the_reason_a_reader_would_give(
    problem: Problem, text: str, fault: str | None
) -> None:
    assert general_fault(candidate(problem, text)) == fault


def test_a_cut_answer_is_dropped() -> None:
    assert general_fault(candidate(WRITING, STORY, finish_reason="length")) == "truncated"


def test_chinese_prompts_are_read_as_well() -> None:
    story = asked("写一个关于小狗的故事，5到9个字。", "writing", "zh", required=[["小狗"]], answer_language="zh")
    assert content_fault(story, "小狗很高兴。") is None  # six characters
    assert content_fault(story, "小狗笑。") == "not of the asked length"
    assert content_fault(story, "小猫很高兴。") == "asked words missing"
    listed = asked("请告诉我一种水果和两种人。", "list", "zh", answer_language="zh")
    assert content_fault(listed, "好的：橙子、老师、农民。") is None
    assert content_fault(listed, "好的：橙子、老师、老师。") == "not as many things as asked"
    able = asked("你会游泳吗？", "about", "zh", answer_language="zh")
    assert content_fault(able, "我没有身体，不会游泳。") is None
    assert content_fault(able, "我没有身体，不会走路。") == "asked words missing"


def test_thinking_is_opened_where_it_is_useful_alone() -> None:
    assert general_prompt(WRITING).endswith("\nAssistant: <think>")
    assert general_prompt(GREETING) == "User: Hi, I am Lily. It is my birthday.\nAssistant:"


def test_of_several_answers_the_one_that_agrees_with_the_others_stays() -> None:
    texts = ("他喜欢鱼。", "他喜欢大鱼。", "她画猫和狗。")
    odd_last = [candidate(TRANSLATION, f"<think> Hm. </think>\n{text}") for text in texts]
    assert most_agreed(odd_last) in odd_last[:2]
    assert most_agreed(odd_last[::-1]) in odd_last[:2]


def test_every_candidate_is_a_row_or_in_the_ledger_and_categories_take_turns() -> None:
    greetings = [asked(f"Hi, I am Lily. Day {n}.", "greeting", answer_language="en") for n in range(4)]
    answers = [candidate(problem, f"Hi, Lily! {end}") for problem in greetings for end in ("Good day.", "Good day!", "go")]
    answers += [candidate(WRITING, STORY), candidate(WRITING, STORY, number=1)]
    kept, dropped = choose_general(answers, 3)
    assert len(kept) + len(dropped) == len(answers)
    assert {c.id for c in kept}.isdisjoint(c.id for c, _ in dropped)
    assert sorted(c.problem.fields["category"] for c in kept) == ["greeting", "greeting", "writing"]
    rules = [rule for _, rule in dropped]
    assert (rules.count("untidy"), rules.count("duplicate"), rules.count(BEYOND_SHARE), rules.count(ENOUGH)) == (4, 1, 2, 4)


def test_prompts_are_training_prompts_of_every_category_but_those_of_safety() -> None:
    prompts = general_prompts(load_recipe("tiny"), 35)
    assert len(prompts) == 70
    assert {p.fields["category"] for p in prompts} == {"writing", "list", "about", "greeting", "translation"}
    assert general_prompts(load_recipe("tiny"), 0) == []

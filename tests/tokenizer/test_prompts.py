"""The prompts: structure of R1-Zero's template, and questions that look like templates themselves."""

from cogitate.tokenizer.prompts import bare_prompt, few_shot_prompt, r1_zero_prompt
from cogitate.tokenizer.thinking import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, split_thinking


def test_the_template_names_every_tag_and_ends_where_the_assistant_speaks() -> None:
    prompt = r1_zero_prompt("What is 1 + 2?")
    assert prompt.endswith("\nUser: What is 1 + 2?\nAssistant:")
    described = f"{THINK_OPEN} thinking {THINK_CLOSE} {ANSWER_OPEN} answer {ANSWER_CLOSE}"
    assert described in prompt
    assert not prompt.endswith(THINK_OPEN)  # the completion opens its thinking itself


def test_a_question_with_braces_or_tags_stands_as_it_is() -> None:
    question = "Is {question} or {0} in <answer>{}</answer>?"
    for prompt in (r1_zero_prompt(question), bare_prompt(question), few_shot_prompt(question, [("{a}", "{b}")])):
        assert question in prompt
        assert prompt.count(question) == 1


def test_a_few_shot_prompt_is_examples_and_the_bare_prompt() -> None:
    prompt = few_shot_prompt("Q3?", [("Q1?", "A1."), ("Q2?", "A2.")])
    assert prompt == "Question: Q1?\nAnswer: A1.\n\nQuestion: Q2?\nAnswer: A2.\n\nQuestion: Q3?\nAnswer:"
    assert few_shot_prompt("Q3?", []) == bare_prompt("Q3?") == "Question: Q3?\nAnswer:"


def test_a_completion_of_the_described_form_is_cut_at_its_tags() -> None:
    parts = split_thinking(f" {THINK_OPEN} thinking {THINK_CLOSE} {ANSWER_OPEN} answer {ANSWER_CLOSE}")
    assert (parts.thinking, parts.well_formed) == (" thinking ", True)

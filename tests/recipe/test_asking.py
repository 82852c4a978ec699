"""The prompts of reinforcement learning: solved examples before the question, thinking opened, turns as SFT showed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import EvaluateConfig, RLConfig, ZeroRLConfig
from cogitate.errors import CheckpointError, ConfigError, DataError
from cogitate.recipe.asking import (
    Fitting,
    ask_r1,
    ask_r1_zero,
    check_tags,
    fitting,
    read_template,
    thinking_budgets,
    with_tags_of,
)
from cogitate.recipe.stages.rejection_sampling import general_asking
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import R1_ZERO_INSTRUCTION, r1_zero_prompt, turns_as_text
from cogitate.tokenizer.tags import R1_TAGS, Tags
from cogitate.train.rollouts import Prompt, opens_thinking
from cogitate.types import Message, Problem

QUESTION = Problem("1", "sums", "math", "How many is 1+1?", gold="2")
EXAMPLES = [
    {"question": "2+2?", "thinking": "2 + 2 = 4", "answer": "4"},
    {"question": "5-4?", "thinking": "It is 1", "answer": "1"},
]
CHAT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"


@pytest.fixture
def directory(tmp_path: Path, micro_tokenizer: Tokenizer) -> Path:
    micro_tokenizer.save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(CHAT)
    return tmp_path


def asked(directory: Path, **settings: Any) -> tuple[Prompt, Tokenizer]:
    tokenizer = Tokenizer.load(directory)
    return ask_r1_zero(ZeroRLConfig.model_validate(settings), directory, tokenizer)(QUESTION), tokenizer


def ids_of(prompt: Prompt) -> tuple[int, ...]:
    """Of a prompt made of token ids, as chat templates and worked examples make them."""
    assert not isinstance(prompt, str)
    return tuple(prompt)


def test_without_examples_it_is_r1_zeros_template(directory: Path) -> None:
    assert asked(directory)[0] == r1_zero_prompt(QUESTION.question)


def test_examples_stand_as_earlier_turns_that_end_as_turns_do(directory: Path) -> None:
    prompt_of_ids, tokenizer = asked(directory, worked_examples=EXAMPLES)
    prompt = ids_of(prompt_of_ids)
    assert prompt.count(tokenizer.end_id) == 2
    last = len(prompt) - 1 - prompt[::-1].index(tokenizer.end_id)
    assert tokenizer.decode(prompt[last + 1 :]) == "User: How many is 1+1?\nAssistant:"
    first = prompt.index(tokenizer.end_id)
    head = r1_zero_prompt("2+2?")
    assert tokenizer.decode(prompt[:first]) == f"{head} <think> 2 + 2 = 4 </think> <answer> 4 </answer>"
    assert tokenizer.decode(prompt[first + 1 : last]) == "User: 5-4?\nAssistant: <think> It is 1 </think> <answer> 1 </answer>"


def test_in_a_models_own_template_examples_are_turns_of_it_and_what_is_asked_for_is_said_once(directory: Path) -> None:
    prompt, tokenizer = asked(directory, worked_examples=EXAMPLES, prompt="chat")
    assert tokenizer.decode(ids_of(prompt)) == (
        f"[user]2+2?\n\n{R1_ZERO_INSTRUCTION}[assistant]<think> 2 + 2 = 4 </think> <answer> 4 </answer>"
        "[user]5-4?[assistant]<think> It is 1 </think> <answer> 1 </answer>[user]How many is 1+1?[assistant]"
    )
    without, _ = asked(directory, prompt="chat")
    assert tokenizer.decode(ids_of(without)) == f"[user]How many is 1+1?\n\n{R1_ZERO_INSTRUCTION}[assistant]"


def test_a_template_of_ones_own_stands_in_every_turn_of_a_chat(directory: Path) -> None:
    prompt, tokenizer = asked(directory, worked_examples=EXAMPLES[:1], prompt="chat", template="Q: {question}")
    assert tokenizer.decode(ids_of(prompt)) == (
        "[user]Q: 2+2?[assistant]<think> 2 + 2 = 4 </think> <answer> 4 </answer>[user]Q: How many is 1+1?[assistant]"
    )


@pytest.mark.parametrize("settings", [{}, {"worked_examples": EXAMPLES}, {"prompt": "chat"}])
def test_the_thinking_can_be_opened_in_every_form(directory: Path, settings: dict[str, Any]) -> None:
    prompt, tokenizer = asked(directory, open_thinking=True, **settings)
    ids = tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
    assert opens_thinking(ids, tokenizer)
    closed, _ = asked(directory, **settings)
    text = closed if isinstance(closed, str) else tokenizer.decode(closed)
    assert tokenizer.decode(ids).removesuffix("<think>").removesuffix(" ") == text


def test_a_turn_is_the_question_alone_in_the_models_template_or_in_r1s_form(directory: Path) -> None:
    tokenizer = Tokenizer.load(directory)
    assert (
        tokenizer.decode(ids_of(ask_r1(RLConfig(prompt="turn"), directory, tokenizer)(QUESTION)))
        == "[user]How many is 1+1?[assistant]"
    )
    (directory / "chat_template.jinja").unlink()
    plain = ask_r1(RLConfig(), directory, tokenizer)(QUESTION)
    assert tokenizer.decode(ids_of(ask_r1(RLConfig(prompt="turn"), directory, tokenizer)(QUESTION))) == plain


def test_general_prompts_are_turns_of_the_models_template_with_the_thinking_opened_where_it_is_useful(directory: Path) -> None:
    tokenizer = Tokenizer.load(directory)
    hello, story = (
        Problem(category, "general", "general", "Hello!", fields={"category": category}) for category in ("greeting", "writing")
    )
    asked_for = general_asking(directory, tokenizer)
    assert tokenizer.decode(ids_of(asked_for(hello))) == "[user]Hello![assistant]"
    assert tokenizer.decode(ids_of(asked_for(story))).replace(" <think>", "<think>") == "[user]Hello![assistant]<think>"
    (directory / "chat_template.jinja").unlink()
    plain = general_asking(directory, tokenizer)
    assert (plain(hello), plain(story)) == ("User: Hello!\nAssistant:", "User: Hello!\nAssistant: <think>")


def test_the_turns_of_a_prompt_of_several_are_turns_of_the_template_too(directory: Path) -> None:
    turns = (Message("system", "Be brief."), Message("user", "1?"), Message("assistant", "one"), Message("user", "2?"))
    problem = Problem("1", "sums", "exact", turns_as_text(turns), gold="two", turns=turns)
    tokenizer = Tokenizer.load(directory)
    said = {
        name: ask_r1(RLConfig.model_validate({"prompt": name}), directory, tokenizer)(problem)
        for name in ("plain", "chat", "turn")
    }
    assert tokenizer.decode(ids_of(said["turn"])) == "[system]Be brief.[user]1?[assistant]one[user]2?[assistant]"
    assert tokenizer.decode(ids_of(said["chat"])).startswith("[system]Be brief.[user]1?[assistant]one[user]2?\n\n")
    assert said["plain"] == "User: Be brief.\n\n1?\nAssistant: one\nUser: 2?\nAssistant:"
    settings = ZeroRLConfig.model_validate({"worked_examples": EXAMPLES[:1], "prompt": "chat"})
    after_example = tokenizer.decode(ids_of(ask_r1_zero(settings, directory, tokenizer)(problem)))
    assert after_example.startswith("[system]Be brief.[user]2+2?")
    assert after_example.endswith("</answer>[user]1?[assistant]one[user]2?[assistant]")


def asked_r1(directory: Path, problem: Problem = QUESTION, **settings: Any) -> str:
    config = RLConfig.model_validate(settings)
    tokenizer = with_tags_of(config, Tokenizer.load(directory))
    prompt = ask_r1(config, directory, tokenizer)(problem)
    return prompt if isinstance(prompt, str) else tokenizer.decode(prompt)


def test_a_template_stands_in_place_of_the_stages_own_and_its_other_braces_are_text(directory: Path) -> None:
    template = "Write {json}.\nQ: {question}\nA:"
    assert asked(directory, template=template)[0] == "Write {json}.\nQ: How many is 1+1?\nA:"
    assert asked_r1(directory, template=template) == "Write {json}.\nQ: How many is 1+1?\nA:"
    assert asked_r1(directory, prompt="chat", template="{question} Be brief.") == "[user]How many is 1+1? Be brief.[assistant]"


def test_the_lines_above_the_question_are_said_once_and_examples_follow_the_form_of_the_stage(directory: Path) -> None:
    settings: dict[str, Any] = {"template": "Solve.\nQ: {question}\nA:\n", "worked_examples": EXAMPLES[:1]}
    zero, tokenizer = asked(directory, **settings)
    assert tokenizer.decode(ids_of(zero)) == (
        "Solve.\nQ: 2+2?\nA:\n<think> 2 + 2 = 4 </think> <answer> 4 </answer>Q: How many is 1+1?\nA:\n"
    )
    assert asked_r1(directory, worked_examples=EXAMPLES[:1]) == (
        "User: 2+2?\nAssistant: <think> 2 + 2 = 4 </think>\n4User: How many is 1+1?\nAssistant:"
    )


def test_a_system_prompt_is_a_message_of_the_template_unless_the_problem_has_its_own(directory: Path) -> None:
    settings: dict[str, Any] = {
        "prompt": "chat",
        "system_prompt": "Think first.",
        "template": "{question}",
        "worked_examples": EXAMPLES[:1],
    }
    example = "[user]2+2?[assistant]<think> 2 + 2 = 4 </think>\n4"
    assert asked_r1(directory, **settings) == f"[system]Think first.{example}[user]How many is 1+1?[assistant]"
    own = Problem("1", "sums", "math", "x", turns=(Message("system", "Be brief."), Message("user", "1?")))
    assert asked_r1(directory, own, **settings) == f"[system]Be brief.{example}[user]1?[assistant]"


def test_general_prompts_are_asked_as_they_are(directory: Path) -> None:
    hello = Problem("1", "general", "general", "Hello!")
    settings: dict[str, Any] = {"template": "Solve {question}", "worked_examples": EXAMPLES}
    assert asked_r1(directory, hello, **settings) == "User: Hello!\nAssistant:"
    assert asked_r1(directory, hello, prompt="chat", system_prompt="S", **settings) == "[system]S[user]Hello![assistant]"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (
            CHAT.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}"),
            "leaves out the system prompt",
        ),
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        (CHAT.replace("m.content }}", "m.content.split('</think>')[-1] }}"), "leaves out the worked examples, or the thinking"),
    ],
)
def test_a_template_that_would_leave_something_out_is_refused(directory: Path, template: str, says: str) -> None:
    (directory / "chat_template.jinja").write_text(template)
    with pytest.raises(CheckpointError, match=says):
        asked_r1(directory, prompt="chat", system_prompt="Think first.", worked_examples=EXAMPLES)


def test_a_model_is_asked_in_the_tags_of_the_settings(directory: Path) -> None:
    settings: dict[str, Any] = {"thinking_tags": ["<reasoning>", "</reasoning>"], "answer_tags": ["<final>", "</final>"]}
    config = ZeroRLConfig.model_validate({**settings, "worked_examples": EXAMPLES[:1], "open_thinking": True})
    tokenizer = with_tags_of(config, Tokenizer.load(directory))
    text = tokenizer.decode(ids_of(ask_r1_zero(config, directory, tokenizer)(QUESTION)))
    assert text.endswith(
        "User: 2+2?\nAssistant: <reasoning> 2 + 2 = 4 </reasoning> <final> 4 </final>"
        "User: How many is 1+1?\nAssistant: <reasoning>"
    )
    assert "thinking stands in <reasoning> </reasoning> and the answer in <final> </final>" in text
    assert "think>" not in text
    chat = asked_r1(directory, **settings, prompt="chat", template="{question}", worked_examples=EXAMPLES[:1])
    assert chat == "[user]2+2?[assistant]<reasoning> 2 + 2 = 4 </reasoning>\n4[user]How many is 1+1?[assistant]"


def test_tags_that_cannot_be_told_apart_are_one_line() -> None:
    with pytest.raises(
        ConfigError, match=r"^r1\.thinking_tags, r1\.answer_tags: '<answer>' and '<answer>' cannot be told apart"
    ):
        check_tags(RLConfig(thinking_tags=("<answer>", "</answer>")), "r1")


def test_a_template_is_read_from_a_file_without_the_end_of_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text("Q: {question}\nA:\n")
    assert read_template(path) == "Q: {question}\nA:"
    path.write_text("Q: ")
    with pytest.raises(ConfigError, match=r"prompt.txt: a template needs \{question\} exactly once"):
        read_template(path)
    with pytest.raises(ConfigError, match=r"nowhere.txt: cannot be read"):
        read_template(tmp_path / "nowhere.txt")


def mine(lines: Sequence[int]) -> list[Problem]:
    """Problems of a file; each question has so many words."""
    return [
        Problem(str(number), "mine", "exact", "a " * words, gold="1", fields={"_place": f"mine.jsonl, line {number}"})
        for number, words in enumerate(lines, 1)
    ]


def test_prompts_longer_than_the_context_are_counted_in_one_message_or_left_out_and_counted(micro_tokenizer: Tokenizer) -> None:
    def found(problems: Sequence[Problem], too_long: str) -> Fitting:
        ways = [
            (lambda problem: problem.question, micro_tokenizer),
            (lambda problem: f"Q: {problem.question}", micro_tokenizer),
        ]
        return fitting(problems, ways, 70, max_new_tokens=20, too_long=too_long)

    problems = mine([1, *[60] * 7, 2])
    assert found(mine([1, 2]), "refuse") == Fitting(mine([1, 2]))
    with pytest.raises(DataError) as caught:
        found(problems, "refuse")
    message = str(caught.value)
    assert message.startswith("7 prompts and max_new_tokens = 20 do not fit the model's context of 70: shorten the questions, ")
    assert "tasks.too_long=drop" in message
    assert message.count("mine.jsonl, line ") == 5
    assert message.endswith("; and 2 more")
    kept = found(problems, "drop")
    assert [problem.id for problem in kept.problems] == ["1", "9"]
    assert kept.summary()["too_long"]["left_out"] == 7
    assert kept.line().startswith(
        "7 of 9 prompts are too long for the model's context and left out; the first: mine.jsonl, line 2: "
    )
    with pytest.raises(DataError, match="3 prompts and max_new_tokens"):  # nothing would be left
        found(mine([60] * 3), "drop")


def test_an_evaluation_without_a_budget_asks_for_none(micro_tokenizer: Tokenizer) -> None:
    assert thinking_budgets(EvaluateConfig(), micro_tokenizer, R1_TAGS) is None


def test_a_budget_waits_in_the_language_of_the_problem_and_closes_in_the_tags_that_are_asked_for(
    micro_tokenizer: Tokenizer,
) -> None:
    tags = Tags(thinking=("<reason>", "</reason>"))
    budget_of = thinking_budgets(EvaluateConfig(thinking_budget=9, min_thinking=4, waits=2), micro_tokenizer, tags)
    assert budget_of is not None
    english, chinese = (budget_of(replace(QUESTION, language=language)) for language in ("de", "zh"))
    assert (english.at_most, english.at_least, english.waits, english.tags) == (9, 4, 2, tags.thinking)
    assert micro_tokenizer.decode(english.closing_ids) == " </reason>"
    assert micro_tokenizer.decode(english.wait_ids) == " Wait"
    assert micro_tokenizer.decode(chinese.wait_ids) == "等等"

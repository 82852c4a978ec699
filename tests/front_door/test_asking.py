from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.front_door.asking import ask_for, conversations
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import bare_prompt, r1_zero_prompt
from cogitate.types import Message

HI: Mapping[str, Any] = {"role": "user", "content": "Hi"}
TURNS = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "2 + 2?"))


def test_one_prompt_alone_is_a_list_of_one() -> None:
    one = (Message("user", "Hi"),)
    assert conversations("Hi") == conversations(["Hi"]) == conversations([HI]) == conversations([[HI]]) == [one]
    assert conversations([Message("user", "Hi")]) == [one]
    mixed: list[Any] = [list(TURNS), "Hi"]
    assert conversations(mixed) == [TURNS, one]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "prompts: there is none"),
        ([""], r"prompts\[0\]: is empty"),
        (["a", 3], r"prompts\[1\]: must be a text or a list of messages, got 3"),
        ([[HI, {"role": "assistant", "content": "Yes?"}]], r"prompts\[0\]: must end with the user's message"),
        ([[HI, {"role": "user"}]], r"prompts\[0\]: .*\(message 2\)"),
        (["\ud800"], r"prompts\[0\]: holds half of a character"),
    ],
)
def test_what_is_no_prompt_is_named_by_its_index(prompts: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        conversations(prompts)


def test_each_template_puts_a_question_its_own_way(digit_model: Path, micro_tokenizer: Tokenizer) -> None:
    def text(template: Any, turns: tuple[Message, ...]) -> str:
        return micro_tokenizer.decode(ask_for(digit_model, micro_tokenizer, template).ids(turns))

    one = TURNS[:1]
    assert text("raw", one) == "Hi"
    assert text("bare", one) == bare_prompt("Hi")
    assert text(None, one) == text("r1_zero", one) == r1_zero_prompt("Hi")
    assert text("r1_zero", TURNS) == r1_zero_prompt("Hi\nAssistant: Hello\nUser: 2 + 2?")
    with pytest.raises(DataError, match="template raw: takes texts, not conversations"):
        text("raw", TURNS)
    with pytest.raises(DataError, match="the model has no chat template"):
        text("chat", one)
    with pytest.raises(DataError, match="template = 'alpaca': must be one of chat, r1_zero, bare, raw"):
        text("alpaca", one)


def test_a_models_own_template_comes_first_and_gets_every_turn(
    digit_model: Path, micro_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}")
    ids = ask_for(tmp_path, micro_tokenizer, None).ids(TURNS)
    assert micro_tokenizer.decode(ids) == "[user] Hi [assistant] Hello [user] 2 + 2? "

"""R1's form of a conversation, by hand and by `transformers`; and the assistant's turn in other models' templates."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken
from transformers import AutoTokenizer

from cogitate.errors import CheckpointError
from cogitate.tokenizer.bpe import END, Tokenizer, train_tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm, give_chat_template, r1_chat_template
from cogitate.tokenizer.prompts import r1_prompt
from cogitate.types import Message
from tests.tokenizer.test_chat_template import CHATML, THINKING

QUESTION = "How many is 1+1, 一加一?\n"
ANSWER = "<think> 1+1 is 2. </think>\nIt is \\boxed{2}."
TALK = [Message("user", QUESTION), Message("assistant", ANSWER), Message("user", "And 2+2?")]
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A base model's tokenizer: it has no template."""
    train_tokenizer(["User: How many is it?\nAssistant: <think> It is 2. </think>\n"] * 20, 320).save(tmp_path)
    return tmp_path


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Control tokens of other models."""
    tokenizer = train_tokenizer(["user assistant How many is it?"] * 20, 320)
    special = ["<|im_start|>", "<|im_end|>", "<s>"]
    tokenizer.inner.add_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    unmarked = ["<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"]
    tokenizer.inner.add_tokens([AddedToken(text, special=False, normalized=False) for text in unmarked])
    tokenizer.save(tmp_path)
    return tmp_path


def form_of(directory: Path, template: str | None = None) -> ConversationForm:
    if template is not None:
        tokens = {"bos_token": "<s>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template, **tokens}
        (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return ConversationForm.load(directory, Tokenizer.load(directory))


def spelt(form: ConversationForm, ids: list[int]) -> str:
    """With control tokens, which `decode` leaves out."""
    return form.tokenizer.inner.decode(ids, skip_special_tokens=False)


def test_a_model_without_a_template_is_asked_with_the_r1_prompt(plain: Path) -> None:
    form = form_of(plain)
    assert form.prompt_ids(TALK[:1]) == form.tokenizer.encode(r1_prompt(QUESTION))


def test_the_assistants_turn_is_a_space_what_it_says_and_the_end_token(plain: Path) -> None:
    form = form_of(plain)
    prompt = form.prompt_ids(TALK[:1])
    completion = form.completion_ids(f"\n{ANSWER} ", prompt)
    assert completion == [*form.tokenizer.encode(f" {ANSWER}"), form.tokenizer.end_id]
    whole = form.template.prompt_text(TALK[:2], add_generation_prompt=False)
    assert spelt(form, [*prompt, *completion]) == whole == f"User: {QUESTION}\nAssistant: {ANSWER}{END}"


def test_earlier_turns_stand_without_their_thinking_and_system_messages_above(plain: Path) -> None:
    form = form_of(plain)
    text = form.template.prompt_text([Message("system", "Be brief."), *TALK])
    assert text == f"Be brief.\nUser: {QUESTION}\nAssistant: It is \\boxed{{2}}.{END}User: And 2+2?\nAssistant:"
    ids = form.prompt_ids(TALK)
    assert ids.count(form.tokenizer.end_id) == 1


def test_an_end_token_typed_by_a_user_is_text(plain: Path) -> None:
    form = form_of(plain)
    assert form.tokenizer.end_id not in form.prompt_ids([Message("user", f"What is {END}?")])


def test_a_saved_template_is_read_by_transformers_and_gives_the_same_ids(plain: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(plain)
    give_chat_template(tokenizer, plain)
    saved = tmp_path / "saved"
    saved.mkdir()
    tokenizer.save(saved)
    form = form_of(saved)
    assert (form.lead, form.end_id) == (" ", tokenizer.end_id)
    theirs = AutoTokenizer.from_pretrained(saved)
    for messages in (TALK, TALK[:1], [Message("system", "Be brief."), *TALK]):
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        ids = theirs.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False)
        assert form.prompt_ids(messages) == ids == form_of(plain).prompt_ids(messages)


def test_the_template_refuses_a_role_it_does_not_know(plain: Path) -> None:
    with pytest.raises(CheckpointError, match="roles are system, user and assistant, not tool"):
        form_of(plain).prompt_ids([Message("tool", "42")])  # type: ignore[arg-type]


def test_a_tokenizer_that_begins_texts_with_a_token_begins_conversations_with_it(foreign: Path) -> None:
    settings = {"bos_token": "<s>", "eos_token": "<|im_end|>", "add_bos_token": True}
    (foreign / "tokenizer_config.json").write_text(json.dumps(settings))
    form = form_of(foreign)
    assert r1_chat_template(form.tokenizer).startswith('{{- "<s>" -}}')
    assert form.prompt_ids(TALK[:1]) == form.tokenizer.encode_prompt(r1_prompt(QUESTION))
    assert form.prompt_ids(TALK[:1])[0] == form.tokenizer.control_ids["<s>"]


def test_a_template_of_its_own_is_kept(foreign: Path, tmp_path: Path) -> None:
    form_of(foreign, CHATML)
    tokenizer = Tokenizer.load(foreign)
    give_chat_template(tokenizer, foreign)
    assert tokenizer.companions.keys() <= {"generation_config.json"}


@pytest.mark.parametrize(
    ("template", "whole"),
    [
        (CHATML, f"<s><|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n{ANSWER}<|im_end|>"),
        (MISTRAL, f"<s>[INST] {QUESTION} [/INST] {ANSWER}<|im_end|>"),
        (THINKING, f"<｜User｜>{QUESTION.strip()}<｜Assistant｜><think>\n1+1 is 2. </think>\nIt is \\boxed{{2}}.<|im_end|>"),
    ],
    ids=["chatml", "mistral", "opens the thinking"],
)
def test_the_turn_goes_on_from_the_prompt_as_other_models_templates_have_it(foreign: Path, template: str, whole: str) -> None:
    form = form_of(foreign, template)
    prompt = form.prompt_ids(TALK[:1])
    completion = form.completion_ids(ANSWER, prompt)
    assert spelt(form, [*prompt, *completion]) == whole
    assert completion.count(form.tokenizer.control_ids["</think>"]) == 1
    assert completion[-1] == form.tokenizer.control_ids["<|im_end|>"]


def test_an_opened_thinking_is_closed_at_once_where_there_is_none(foreign: Path) -> None:
    form = form_of(foreign, THINKING)
    completion = form.completion_ids("Hello!", form.prompt_ids(TALK[:1]))
    assert spelt(form, completion) == "</think>\n\nHello!<|im_end|>"


INSIDE = "1+1 is 2.\n</think>\n\nIt is 2."  # what a model says after a prompt that opened its thinking


@pytest.mark.parametrize(
    ("said", "learnt"),
    [
        (INSIDE, INSIDE),
        (f"\n{INSIDE}\n", INSIDE),
        ("</think>\n\nIt is 2.", "</think>\n\nIt is 2."),  # closed at once by itself
        ("1+1</think>2", "1+1</think>2"),
        ("`x = 1` is it\n</think>\n\nSay `</think>`.", "`x = 1` is it\n</think>\n\nSay `</think>`."),
        ("a </think> b <think> c", "a </think> b <think> c"),
        ("<think>\n1+1 is 2.\n</think>\n\nIt is 2.", INSIDE),
        ("It is 2.", "</think>\n\nIt is 2."),
        ("The tag `</think>` ends it.", "</think>\n\nThe tag `</think>` ends it."),  # text about a tag
        ("", "</think>\n\n"),
    ],
)
def test_a_completion_that_begins_inside_the_thinking_is_learnt_as_it_stands(foreign: Path, said: str, learnt: str) -> None:
    form = form_of(foreign, THINKING)
    assert spelt(form, form.completion_ids(said, form.prompt_ids(TALK[:1]))) == f"{learnt}<|im_end|>"


def test_after_a_prompt_that_ends_in_the_tag_itself_the_text_keeps_its_first_space(foreign: Path) -> None:
    form = form_of(foreign, THINKING.replace("<think>\n", "<think>"))
    prompt = form.prompt_ids(TALK[:1])
    assert spelt(form, form.completion_ids(f"\n{INSIDE}", prompt)) == f"\n{INSIDE}<|im_end|>"
    assert spelt(form, form.completion_ids(f"<think>\n{INSIDE}", prompt)) == f"\n{INSIDE}<|im_end|>"


def test_a_closing_tag_alone_stays_alone_where_nothing_has_opened_the_thinking(plain: Path) -> None:
    form = form_of(plain)
    completion = form.completion_ids(INSIDE, form.prompt_ids(TALK[:1]))
    assert completion == [*form.tokenizer.encode(f" {INSIDE}"), form.tokenizer.end_id]

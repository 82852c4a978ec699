"""Tags that are not R1's: they change places with R1's, and whatever reads or writes a model's text minds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken

from cogitate.errors import CheckpointError
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm, give_chat_template
from cogitate.tokenizer.tags import R1_TAGS, Tags, read_tags
from cogitate.tokenizer.thinking import ThinkingStream, split_thinking
from cogitate.types import Message

OWN = Tags(("<reasoning>", "</reasoning>"), ("[ANSWER]", "[/ANSWER]"))


def test_each_tag_changes_places_with_r1s_of_the_same_role_and_back() -> None:
    written = "<reasoning> 1+1 </reasoning> [ANSWER] 2 [/ANSWER]"
    assert OWN.exchange(written) == "<think> 1+1 </think> <answer> 2 </answer>"
    assert OWN.exchange(OWN.exchange(written)) == written
    assert R1_TAGS.exchange("<think> a </think>") == "<think> a </think>"


def test_r1s_tags_are_text_to_a_model_that_has_others() -> None:
    read = OWN.exchange("<think> 1+1 </think> <answer> 2 </answer>")
    assert split_thinking(read).thinking is None
    assert "<answer>" not in read


@pytest.mark.parametrize(
    ("thinking", "says"),
    [
        (("<a b>", "</a>"), "none of them white space"),
        (("<t>", "<t>"), "cannot be told apart"),
        (("<think>x", "</t>"), "'<think>x' and '<think>' cannot be told apart"),
        (("</think>", "<think>"), "cannot be told apart"),
        (("<answer>", "</answer>"), "cannot be told apart"),
    ],
)
def test_tags_that_cannot_be_read_apart_are_refused(thinking: tuple[str, str], says: str) -> None:
    assert says in Tags(thinking).fault()


def test_r1s_tags_and_others_have_no_fault() -> None:
    assert (R1_TAGS.fault(), OWN.fault()) == ("", "")


def test_a_model_directory_keeps_its_tags_and_one_with_r1s_names_none(micro_tokenizer: Tokenizer, tmp_path: Path) -> None:
    own, usual = tmp_path / "own", tmp_path / "usual"
    for directory, tokenizer in ((own, micro_tokenizer.with_tags(OWN)), (usual, micro_tokenizer)):
        directory.mkdir()
        tokenizer.save(directory)
    assert Tokenizer.load(own).tags == OWN
    assert Tokenizer.load(usual).tags == R1_TAGS
    kept = json.loads((own / "tokenizer_config.json").read_text())
    assert (kept.pop("thinking_tags"), kept.pop("answer_tags")) == ([*OWN.thinking], [*OWN.answer])
    assert kept == json.loads((usual / "tokenizer_config.json").read_text())
    assert Tokenizer.load(own).with_tags(R1_TAGS).settings == kept


def test_a_directory_whose_tags_cannot_be_used_is_refused(micro_tokenizer: Tokenizer, tmp_path: Path) -> None:
    micro_tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "thinking_tags": "<r>"}))
    with pytest.raises(CheckpointError, match="thinking_tags = '<r>': must be a list of two texts"):
        Tokenizer.load(tmp_path)
    assert read_tags({}) == R1_TAGS


def test_a_tag_that_is_a_special_token_is_no_longer_hidden(micro_tokenizer: Tokenizer) -> None:
    inner = type(micro_tokenizer.inner).from_str(micro_tokenizer.inner.to_str())
    inner.add_tokens([AddedToken("[THINK]", special=True), AddedToken("[/THINK]", special=True)])
    tokenizer = Tokenizer(inner)
    ids = [tokenizer.control_ids["[THINK]"], *tokenizer.encode("a"), tokenizer.control_ids["[/THINK]"]]
    assert tokenizer.decode(ids) == "a"
    assert tokenizer.with_tags(Tags(("[THINK]", "[/THINK]"))).decode(ids) == "[THINK]a[/THINK]"


def test_what_sft_teaches_stands_in_the_models_tags(micro_tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer = micro_tokenizer.with_tags(OWN)
    give_chat_template(tokenizer, tmp_path)
    tokenizer.save(tmp_path)
    form = ConversationForm.load(tmp_path, tokenizer)
    prompt = form.prompt_ids([Message("user", "1+1?")])
    assert tokenizer.decode(form.completion_ids("<think> a </think>\n2", prompt)).strip() == "<reasoning> a </reasoning>\n2"
    turns = [Message("user", "1?"), Message("assistant", "<think> a </think>\n1"), Message("user", "2?")]
    assert tokenizer.decode(form.prompt_ids(turns)).replace("\n", "|") == "User: 1?|Assistant: 1User: 2?|Assistant:"
    opened = [*prompt, *tokenizer.encode(" <reasoning>")]
    assert tokenizer.decode(form.completion_ids("<think> a </think> 2", opened)[:-1]) == " a </reasoning> 2"


def test_a_stream_is_cut_at_the_models_own_tags() -> None:
    stream = ThinkingStream(tags=OWN.thinking)
    events = [event for piece in ("<reas", "oning>hm</rea", "soning> <think>2") for event in stream.feed(piece)]
    assert events == [("thinking", "hm"), ("answer", " <think>2")]

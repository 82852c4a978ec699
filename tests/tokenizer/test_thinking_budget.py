"""Budgets made of texts, and the bytes of tokens."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, decoders, models
from tokenizers import Tokenizer as HuggingFaceTokenizer

from cogitate.errors import ConfigError
from cogitate.tokenizer.bpe import END, PAD, Tokenizer, train_tokenizer
from cogitate.tokenizer.tags import Tags
from cogitate.tokenizer.thinking_budget import make_thinking_budget, token_bytes

TEXT = "<think> 1 + 2 = 3, 对了 \U0001f600 </think> <answer> 3 </answer>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([TEXT] * 3, 300)


def with_tokens(tokenizer: Tokenizer) -> Tokenizer:
    inner = HuggingFaceTokenizer.from_str(tokenizer.inner.to_str())
    inner.add_tokens([AddedToken(tag, special=True) for tag in ("<think>", "</think>")])
    return Tokenizer(inner)


def text(tokenizer: Tokenizer, ids: tuple[int, ...]) -> bytes:
    table = token_bytes(tokenizer, tokenizer.vocab_size + 5)
    return b"".join(table[token] for token in ids)


def test_the_bytes_of_tokens_are_those_of_the_text(tokenizer: Tokenizer) -> None:
    assert text(tokenizer, tuple(tokenizer.encode(TEXT))) == TEXT.encode()
    table = token_bytes(tokenizer, tokenizer.vocab_size + 5)
    assert table[tokenizer.end_id] == table[-1] == b""


def test_tags_that_are_special_tokens_have_bytes_and_other_special_tokens_have_none(tokenizer: Tokenizer) -> None:
    own = with_tokens(tokenizer)
    table = token_bytes(own, own.vocab_size)
    assert table[own.control_ids["</think>"]] == b"</think>"
    assert table[own.end_id] == b""


def test_tokens_of_single_bytes_and_of_words_with_a_mark_for_the_space_are_read() -> None:
    vocabulary = {"<unk>": 0, "\u2581so": 1, "<0xE5>": 2, "a": 3}
    inner = HuggingFaceTokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    inner.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    inner.add_special_tokens([AddedToken(END, special=True), AddedToken(PAD, special=True)])
    assert token_bytes(Tokenizer(inner), 4)[1:] == [b" so", b"\xe5", b"a"]


def test_a_budget_closes_with_the_phrase_and_then_the_tag(tokenizer: Tokenizer) -> None:
    budget = make_thinking_budget(tokenizer, at_most=5, closing_phrase="Time is up.")
    assert text(tokenizer, budget.closing_ids) == b"\nTime is up. </think>"
    assert [text(tokenizer, ids) for ids in budget.rest_ids] == [b"", *(b"</think>"[had:] for had in range(1, 8))]
    own = with_tokens(tokenizer)
    assert make_thinking_budget(own, at_most=5).closing_ids == (own.control_ids["</think>"],)


def test_waiting_is_said_in_the_language_of_the_thinking(tokenizer: Tokenizer) -> None:
    english, chinese = (make_thinking_budget(tokenizer, at_least=5, waits=2, language=each) for each in ("en", "zh"))
    assert text(tokenizer, english.wait_ids) == b" Wait"
    assert text(tokenizer, chinese.wait_ids) == "\u7b49\u7b49".encode()
    assert (english.at_most, english.at_least, english.waits) == (None, 5, 2)


def test_a_tag_that_is_cut_within_a_character_has_no_rest(tokenizer: Tokenizer) -> None:
    own = tokenizer.with_tags(Tags(thinking=("\u25c1think\u25b7", "\u25c1/think\u25b7")))
    budget = make_thinking_budget(own, at_most=5)
    assert [bool(ids) for ids in budget.rest_ids[:5]] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at_least": 5, "closing_phrase": "Stop."}, "changes nothing without a limit"),
        ({"at_most": 5, "closing_phrase": "so </think>"}, "must hold no tag"),
        ({}, "changes nothing"),
        ({"at_most": 4, "at_least": 5}, "more than at_most"),
    ],
)
def test_what_cannot_be_meant_is_refused(tokenizer: Tokenizer, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_thinking_budget(tokenizer, **arguments)  # type: ignore[arg-type]

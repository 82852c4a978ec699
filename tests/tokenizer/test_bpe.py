"""The tokenizer: any text comes back, digits stand alone, control tokens cannot be written, prompts end at a token boundary."""

from __future__ import annotations

import json
import random
import re
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from cogitate.errors import CheckpointError
from cogitate.tasks.corpus.documents import documents
from cogitate.tasks.mixture import gather_problems
from cogitate.tokenizer.bpe import END, PAD, Tokenizer, train_tokenizer
from cogitate.tokenizer.prompts import bare_prompt, few_shot_prompt, r1_zero_prompt

VOCABULARY = 1200


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return list(islice(documents(seed=5), 1000))


@pytest.fixture(scope="module")
def tokenizer(corpus: list[str]) -> Tokenizer:
    return train_tokenizer(corpus, VOCABULARY)


TRAINED = None


def shared() -> Tokenizer:
    """For hypothesis, whose tests take no module fixtures."""
    global TRAINED
    if TRAINED is None:
        TRAINED = train_tokenizer(islice(documents(seed=6), 300), 500)
    return TRAINED


@settings(deadline=None, max_examples=150)
@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    ids = shared().encode(text)
    assert shared().decode(ids) == text
    assert all(0 <= token_id < shared().vocab_size for token_id in ids)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.sampled_from([END, PAD, "<think>", "</answer>", " 12", "a", "\n", "答案", "<|", "|>", "end"]), max_size=12))
def test_control_tokens_in_a_users_text_never_become_control_ids(pieces: list[str]) -> None:
    text = "".join(pieces)
    ids = shared().encode(text)
    assert not {shared().end_id, shared().pad_id} & set(ids)
    assert shared().decode(ids) == text


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**12), st.sampled_from(["{}", "x{}", "is {}.", "{} + {}", "({}) = {}\n", "第{}个"]))
def test_digits_stand_one_by_one(number: int, form: str) -> None:
    text = form.format(number, number)
    tokens = [shared().decode([token_id]) for token_id in shared().encode(text)]
    assert [token for token in tokens if any(c.isdigit() for c in token)] == [c for c in text if c.isdigit()]


def test_chinese_of_the_corpus_is_no_more_tokens_than_characters(tokenizer: Tokenizer, corpus: list[str]) -> None:
    assert tokenizer.vocab_size == VOCABULARY
    texts = [run for text in corpus for run in re.findall("[\u4e00-\u9fff]+", text)]
    tokens = [token for ids in tokenizer.encode_batch(texts) for token in ids]
    assert len(tokens) < sum(map(len, texts))
    pieces = [tokenizer.decode([token]) for token in tokens]
    assert sum("\ufffd" in piece for piece in pieces) < 0.5 * len(pieces)  # bytes of rare characters


def test_training_is_deterministic(corpus: list[str]) -> None:
    first, again = (train_tokenizer(corpus[:200], 400) for _ in range(2))
    assert first.inner.to_str() == again.inner.to_str()


def test_decoding_leaves_the_end_out_and_replaces_what_is_no_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("The answer is 7.")
    assert tokenizer.decode([*ids, tokenizer.end_id]) == "The answer is 7."
    assert tokenizer.decode([tokenizer.end_id, tokenizer.pad_id]) == ""
    three_bytes = tokenizer.encode("\u9f98")  # a character the corpus does not hold: three byte tokens
    assert len(three_bytes) == 3
    assert tokenizer.decode(three_bytes[:2]) == "\ufffd"


def test_batches_are_encoded_as_single_texts_are(tokenizer: Tokenizer, corpus: list[str]) -> None:
    assert tokenizer.encode_batch(corpus[:20]) == [tokenizer.encode(text) for text in corpus[:20]]


def test_a_prompt_and_its_completion_apart_are_the_tokens_of_the_document(tokenizer: Tokenizer, corpus: list[str]) -> None:
    """What RL continues is what pretraining saw: the boundary after `Assistant:` falls between the same two tokens."""
    cut = 0
    for text in corpus:
        for mark in ("\nAssistant:", "\nAnswer:"):
            if mark in text:
                place = text.index(mark) + len(mark)
                apart = tokenizer.encode(text[:place]) + tokenizer.encode(text[place:])
                assert apart == tokenizer.encode(text), text[place - 20 : place + 20]
                cut += 1
    assert cut > 400


COMPLETIONS = (" <think> 12 + 7 = 19. </think> <answer> 19 </answer>", " 19", " ```python\ndef f(xs):", " 先算")


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_every_prompt_meets_usual_completions_at_a_token_boundary(tokenizer: Tokenizer, completion: str) -> None:
    for problem in gather_problems("arithmetic,code,logic", 12, split="train", seed=1):
        for prompt in (
            r1_zero_prompt(problem.question),
            bare_prompt(problem.question),
            few_shot_prompt(problem.question, [("What is 1 + 1?", "2")]),
        ):
            assert tokenizer.encode(prompt) + tokenizer.encode(completion) == tokenizer.encode(prompt + completion)


def test_tags_with_the_space_before_them_and_operators_between_numbers_are_one_token(tokenizer: Tokenizer) -> None:
    for text in (" <think>", " </think>", " <answer>", " </answer>"):
        assert len(tokenizer.encode(text)) == 1
    assert [tokenizer.decode([i]) for i in tokenizer.encode("12 + 7 = 19")] == ["1", "2", " + ", "7", " = ", "1", "9"]


def test_a_saved_tokenizer_comes_back_whole(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.inner.to_str() == tokenizer.inner.to_str()
    assert (again.end_id, again.pad_id, again.vocab_size) == (tokenizer.end_id, tokenizer.pad_id, tokenizer.vocab_size)
    assert again.encode(f"x {END} y") == tokenizer.encode(f"x {END} y")


def test_transformers_reads_the_directory_and_gives_equal_ids(tokenizer: Tokenizer, corpus: list[str], tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert (theirs.eos_token, theirs.eos_token_id, theirs.pad_token_id) == (END, tokenizer.end_id, tokenizer.pad_id)
    rng = random.Random(0)
    texts = [*corpus[:150], *("".join(rng.choices("ab 1<>+\n中。é", k=30)) for _ in range(50))]
    assert [theirs(text).input_ids for text in texts] == tokenizer.encode_batch(texts)
    assert all(theirs.decode(tokenizer.encode(text)) == text for text in texts)
    config = {"model_type": "deepseek_v3", "vocab_size": VOCABULARY}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert AutoTokenizer.from_pretrained(tmp_path)(texts[0]).input_ids == tokenizer.encode(texts[0])


def test_an_unreadable_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such file; a model directory holds its tokenizer\.json"):
        Tokenizer.load(tmp_path)
    Path(tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"not a tokenizer\.json"):
        Tokenizer.load(tmp_path)

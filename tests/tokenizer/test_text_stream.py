"""Streams against decoding and cutting everything at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import decoders, models, normalizers

from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.tokenizer.text_stream import StopText, TextStream

BYTES = train_tokenizer(["one two three, 一二三"] * 20, 300)


def sentencepiece_like() -> Tokenizer:
    """As in Llama 2: a word begins with ▁, which is dropped at the beginning of a text; unknown characters are bytes."""
    pieces = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a"]
    inner = HuggingFaceTokenizer(
        models.BPE({piece: i for i, piece in enumerate(pieces)}, [("▁", "a")], byte_fallback=True, unk_token="<unk>")
    )
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    inner.add_special_tokens(["</s>"])
    return Tokenizer(inner, {"eos_token": "</s>"})


def streamed(tokenizer: Tokenizer, ids: list[int], sizes: list[int]) -> list[str]:
    stream, pieces, start = TextStream(tokenizer), [], 0
    for size in sizes:
        pieces.append(stream.feed(ids[start : start + size]))
        start += size
    return [*pieces, stream.feed(ids[start:]), stream.finish()]


@settings(deadline=None)
@pytest.mark.parametrize("tokenizer", [BYTES, sentencepiece_like()], ids=["bytes", "sentencepiece"])
@given(text=st.text(max_size=12), sizes=st.lists(st.integers(1, 3), max_size=40))
def test_the_pieces_of_a_text_together_are_the_text(tokenizer: Tokenizer, text: str, sizes: list[int]) -> None:
    ids = tokenizer.encode(text)
    assert "".join(streamed(tokenizer, ids, sizes)) == tokenizer.decode(ids)


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, BYTES.vocab_size - 1), max_size=12), sizes=st.lists(st.integers(1, 3), max_size=12))
def test_bytes_that_are_no_characters_come_through_as_when_decoded_at_once(ids: list[int], sizes: list[int]) -> None:
    assert "".join(streamed(BYTES, ids, sizes)) == BYTES.decode(ids)


def test_a_character_of_several_tokens_is_held_back_until_it_is_whole() -> None:
    ids = BYTES.encode("a🙂b")
    assert len(ids) == 6  # the face is four bytes that never met in training
    assert streamed(BYTES, ids, [1] * 6) == ["a", "", "", "", "🙂", "b", "", ""]


@settings(deadline=None)
@given(text=st.text("Qu \n", max_size=12), cuts=st.lists(st.integers(1, 3), max_size=12))
def test_a_stop_text_cuts_where_partition_does_however_the_text_arrives(text: str, cuts: list[int]) -> None:
    stop, got, start = StopText("\n\nQ"), "", 0
    for size in [*cuts, len(text) + 1]:
        got += stop.feed(text[start : start + size])
        start += size
    before, found, _ = text.partition("\n\nQ")
    assert got + stop.finish() == before
    assert stop.reached == bool(found)


def test_only_what_could_begin_the_stop_text_is_held_back() -> None:
    stop = StopText("\n\nQuestion:")
    assert [stop.feed(piece) for piece in ("5.\n", "\nQue", "st of", " fire\n")] == ["5.", "", "\n\nQuest of", " fire"]
    assert stop.finish() == "\n"


def test_without_a_stop_text_everything_passes() -> None:
    stop = StopText(None)
    assert stop.feed("a\n\nQuestion:") + stop.finish() == "a\n\nQuestion:"
    assert not stop.reached

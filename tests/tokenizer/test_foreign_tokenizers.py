"""Tokenizers of other people: what begins and ends their texts, what is kept on saving, and formats that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from tokenizers import AddedToken, processors
from transformers import PreTrainedTokenizerFast

from cogitate.errors import CheckpointError
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer

TEXTS = ["the cat sat on the mat, user and assistant"] * 20


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Llama 3's shape: a token that begins each text, one that ends it, one that ends a turn."""
    tokenizer = train_tokenizer(TEXTS, 300)
    special = [AddedToken(text, special=True, normalized=False) for text in ("<|begin|>", "<|text_end|>", "<|turn_end|>")]
    tokenizer.inner.add_tokens(special)
    tokenizer.settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|text_end|>"}
    tokenizer.save(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    return tmp_path


def write(directory: Path, name: str, **values: object) -> None:
    path = directory / name
    table = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(table | values))


def id_of(inner: tokenizers.Tokenizer, text: str) -> int:
    token_id = inner.token_to_id(text)
    assert token_id is not None
    return token_id


def add_begin_to_every_text(directory: Path) -> int:
    """As Llama 3's tokenizer.json does: by its post-processor."""
    inner = Tokenizer.load(directory).inner
    begin = id_of(inner, "<|begin|>")
    inner.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", begin)])
    inner.save(str(directory / "tokenizer.json"))
    return begin


def test_a_begin_token_of_the_post_processor_stands_before_prompts_alone(directory: Path) -> None:
    begin = add_begin_to_every_text(directory)
    tokenizer = Tokenizer.load(directory)
    plain = tokenizer.encode("the cat")
    assert begin not in plain
    assert tokenizer.encode_prompt("the cat") == [begin, *plain]
    assert PreTrainedTokenizerFast.from_pretrained(directory)("the cat").input_ids == tokenizer.encode_prompt("the cat")


def test_a_begin_token_of_the_settings_alone_counts_too(directory: Path) -> None:
    write(directory, "tokenizer_config.json", add_bos_token=True)
    tokenizer = Tokenizer.load(directory)
    assert tokenizer.prefix_ids == (tokenizer.inner.token_to_id("<|begin|>"),)


@pytest.mark.parametrize("settings", [{"add_bos_token": False}, {}])
def test_without_either_nothing_is_added(directory: Path, settings: dict[str, bool]) -> None:
    write(directory, "tokenizer_config.json", **settings)
    tokenizer = Tokenizer.load(directory)
    assert tokenizer.prefix_ids == ()
    assert tokenizer.encode_prompt("the cat") == tokenizer.encode("the cat")


def test_our_own_tokenizer_adds_nothing() -> None:
    assert train_tokenizer(TEXTS, 300).prefix_ids == ()


def test_every_end_token_that_the_files_name_ends_a_completion(directory: Path) -> None:
    tokenizer = Tokenizer.load(directory)
    end, turn = (id_of(tokenizer.inner, text) for text in ("<|text_end|>", "<|turn_end|>"))
    assert (tokenizer.end_id, set(tokenizer.end_ids)) == (end, {end})
    write(directory, "generation_config.json", eos_token_id=[end, turn])
    assert Tokenizer.load(directory).end_ids == {end, turn}
    write(directory, "generation_config.json", eos_token_id=end)
    write(directory, "config.json", eos_token_id=turn)
    assert Tokenizer.load(directory).end_ids == {end, turn}


def test_an_end_token_that_only_generation_config_names_is_enough(directory: Path) -> None:
    write(directory, "tokenizer_config.json", eos_token=None)
    with pytest.raises(CheckpointError, match="eos_token is missing: without it no completion would end"):
        Tokenizer.load(directory)
    write(directory, "generation_config.json", eos_token_id=7)
    tokenizer = Tokenizer.load(directory)
    assert (tokenizer.end_id, tokenizer.pad_id, set(tokenizer.end_ids)) == (7, 7, {7})


@pytest.mark.parametrize("value", ["</s>", [1, "x"], -1, True, 1.5])
def test_an_end_token_that_is_no_number_names_file_and_key(
    directory: Path, value: str | list[int | str] | bool | float
) -> None:
    write(directory, "generation_config.json", eos_token_id=value)
    with pytest.raises(CheckpointError, match=r"generation_config\.json: eos_token_id = .*: must be a token's number"):
        Tokenizer.load(directory)


def test_a_model_may_have_rows_to_spare_and_control_tokens_without_one_but_no_text_without_one(directory: Path) -> None:
    size = Tokenizer.load(directory).vocab_size
    for rows in (size + 64, size, size - 3):  # the three control tokens of the fixture come last
        write(directory, "config.json", vocab_size=rows)
        assert Tokenizer.load(directory).vocab_size == size
    write(directory, "config.json", vocab_size=size - 4)
    with pytest.raises(
        CheckpointError, match=rf"tokenizer\.json: token {size - 4} is .*, but vocab_size = {size - 4} in config"
    ):
        Tokenizer.load(directory)


def test_saving_keeps_the_template_file_and_the_generation_settings(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (directory / "chat_template.jinja").write_text("{{ messages[0].content }}é")
    write(directory, "generation_config.json", eos_token_id=[5, 6], temperature=0.6)
    copy = tmp_path_factory.mktemp("copy")
    Tokenizer.load(directory).save(copy)
    for name in ("chat_template.jinja", "generation_config.json"):
        assert (copy / name).read_bytes() == (directory / name).read_bytes()
    assert Tokenizer.load(copy).end_ids == Tokenizer.load(directory).end_ids


def test_a_tokenizer_without_generation_settings_writes_where_to_stop(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    tokenizer.save(tmp_path)
    written = json.loads((tmp_path / "generation_config.json").read_text())
    assert written == {"eos_token_id": tokenizer.end_id, "pad_token_id": tokenizer.pad_id}


def test_a_length_limit_in_the_file_cuts_no_text(directory: Path) -> None:
    inner = Tokenizer.load(directory).inner
    inner.enable_truncation(3)
    inner.enable_padding(length=5)
    inner.save(str(directory / "tokenizer.json"))
    text = "the cat sat on the mat"
    tokenizer = Tokenizer.load(directory)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode_batch([text, "a"]) == [tokenizer.encode(text), tokenizer.encode("a")]


@pytest.mark.parametrize("name", ["qwen.tiktoken", "tiktoken.model", "tokenizer.model", "tekken.json", "vocab.json"])
def test_tokenizers_of_other_formats_are_refused_by_name_with_a_way_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"IQ== 0\n")
    with pytest.raises(CheckpointError, match=rf"tokenizer\.json: no such file; {name} is a tokenizer of another format"):
        Tokenizer.load(tmp_path)

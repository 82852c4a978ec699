"""Byte-level BPE on Hugging Face `tokenizers`: train one, read and write tokenizer.json, encode and decode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HuggingFaceTokenizer

from cogitate.errors import CheckpointError
from cogitate.runtime import atomic_write, write_json

END = "<|end|>"  # ends every document and every completion
PAD = "<|pad|>"
FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"

# Digits one by one, so that a number's value is in its places; an operator between numbers with the spaces around it, and a
# tag, are one piece each. Otherwise a word takes the space before it, as in GPT-2, so that a prompt may end in "Answer:".
PIECES = r" [+\-*/=] (?=\p{N})| ?</?\p{L}+>|\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class Tokenizer:
    """Text to token ids and back. Control tokens in a text are ordinary text: only `end_id` itself ends a document."""

    def __init__(self, inner: HuggingFaceTokenizer):
        self.inner = inner
        self.inner.encode_special_tokens = True
        self.end_id = self._required(END)
        self.pad_id = self._required(PAD)

    def _required(self, token: str) -> int:
        token_id = self.inner.token_to_id(token)
        if token_id is None:
            raise CheckpointError(f"tokenizer has no {token} token")
        return token_id

    @property
    def vocab_size(self) -> int:
        return self.inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return self.inner.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.inner.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Control tokens are left out; bytes that are no UTF-8 become U+FFFD."""
        return self.inner.decode(list(token_ids), skip_special_tokens=True)

    def save(self, directory: Path) -> None:
        """tokenizer.json, and the tokenizer_config.json by which `transformers` knows the control tokens."""
        with atomic_write(directory / FILE) as temporary:
            self.inner.save(str(temporary))
        write_json(
            directory / CONFIG_FILE,
            {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": PAD, "model_max_length": 10**9},
        )

    @classmethod
    def load(cls, directory: Path) -> Tokenizer:
        path = directory / FILE
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; a model directory holds its tokenizer.json")
        try:
            return cls(HuggingFaceTokenizer.from_file(str(path)))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception for any unreadable file
            raise CheckpointError(f"{path}: not a tokenizer.json: {error}") from error


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn merges from texts; the same texts give the same tokenizer."""
    inner = HuggingFaceTokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PIECES), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[AddedToken(END, special=True), AddedToken(PAD, special=True)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return Tokenizer(inner)

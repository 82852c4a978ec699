"""Byte-level BPE on Hugging Face `tokenizers`: train one, read and write tokenizer.json, encode and decode."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HuggingFaceTokenizer

from cogitate.errors import CheckpointError
from cogitate.runtime import atomic_write, write_json
from cogitate.tokenizer.tags import ANSWER_KEY, OF_R1, THINKING_KEY, Tags, read_tags

END = "<|end|>"  # ends every document and every completion
PAD = "<|pad|>"
FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
GENERATION_FILE = "generation_config.json"
COMPANIONS = ("chat_template.jinja", GENERATION_FILE, "special_tokens_map.json")  # kept beside a tokenizer as they are
# Of tokenizers that only other programs read.
FOREIGN_TOKENIZERS = ("*.tiktoken", "tiktoken.model", "tokenizer.model", "spiece.model", "tekken.json", "vocab.json")
OWN_SETTINGS = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": PAD, "model_max_length": 10**9}
_TAG = re.compile(r"<\S(?:.*\S)?>|\[[A-Z_/]+\]")  # <think>, <|User|>, <｜tool▁calls▁begin｜>, [INST]

# Digits one by one, so that a number's value is in its places; an operator between numbers with the spaces around it, and a
# tag, are one piece each. Otherwise a word takes the space before it, as in GPT-2, so that a prompt may end in "Answer:".
PIECES = r" [+\-*/=] (?=\p{N})| ?</?\p{L}+>|\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class Tokenizer:
    """Text to token ids and back. Control tokens in a text are ordinary text: only their ids control anything.

    Attributes:
        settings: the contents of tokenizer_config.json, by which `transformers` knows the control tokens.
        control_ids: text -> id of every token that is more than text: those marked as special, and tags such as `<think>` or
            `<|User|>`, which some tokenizers leave unmarked.
        end_id: the token that ends a document (eos_token).
        end_ids: all tokens that end a completion: models that converse often have one for the turn beside it.
        pad_id: that of pad_token, or of the end token where there is none.
        tags: in which the model thinks and answers; its directory's tokenizer_config.json names those that are not R1's.
        prefix_ids: what stands before every text: the begin-of-text token where the tokenizer is made to add one, else nothing.
        companions: further files of the directory it came from, name -> content; `save` writes them again.
    """

    def __init__(
        self,
        inner: HuggingFaceTokenizer,
        settings: Mapping[str, Any] | None = None,
        *,
        end_ids: Iterable[int] = (),
        companions: Mapping[str, bytes] | None = None,
    ):
        inner.no_truncation()  # some published files ask for one
        inner.no_padding()
        self.inner = inner
        self.settings = dict(OWN_SETTINGS if settings is None else settings)
        self.companions = dict(companions or {})
        try:
            self.tags = read_tags(self.settings)
        except ValueError as error:
            raise CheckpointError(f"{CONFIG_FILE}: {error}") from error
        added = inner.get_added_tokens_decoder()
        self.control_ids = {
            token.content: token_id for token_id, token in added.items() if token.special or _TAG.fullmatch(token.content)
        }
        seen = {*self.tags.all, *OF_R1}
        self._hidden = {token_id for token_id, token in added.items() if token.special and token.content not in seen}
        self._plain = with_special(inner, set(self.control_ids))
        self._plain.encode_special_tokens = True
        end, further = self._named("eos_token"), sorted(end_ids)
        if end is None and not further:
            raise CheckpointError(f"{CONFIG_FILE}: eos_token is missing: without it no completion would end")
        self.end_id = further[0] if end is None else end
        self.end_ids = frozenset({self.end_id, *further})
        pad = self._named("pad_token")
        self.pad_id = self.end_id if pad is None else pad
        self.prefix_ids = self._prefix()

    def _named(self, key: str) -> int | None:
        text = token_text(self.settings.get(key))
        if text is None:
            return None
        token_id = self.inner.token_to_id(text)
        if token_id is None:
            raise CheckpointError(f"{CONFIG_FILE}: {key} = {text!r}, but the tokenizer has no such token")
        return token_id

    def _prefix(self) -> tuple[int, ...]:
        """What the file's own post-processor, or add_bos_token of the settings, puts before a text."""
        plain = self.inner.encode("a", add_special_tokens=False).ids
        whole = self.inner.encode("a", add_special_tokens=True).ids
        start = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
        if start or not self.settings.get("add_bos_token"):
            return tuple(whole[:start]) if self.settings.get("add_bos_token", True) else ()
        begin = self._named("bos_token")
        return () if begin is None else (begin,)

    def with_tags(self, tags: Tags) -> Tokenizer:
        """The same tokenizer of a model that thinks and answers in these tags."""
        if tags == self.tags:
            return self
        others = {key: value for key, value in self.settings.items() if key not in (THINKING_KEY, ANSWER_KEY)}
        return Tokenizer(self.inner, {**others, **tags.settings()}, end_ids=self.end_ids, companions=self.companions)

    @property
    def vocab_size(self) -> int:
        return self.inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return self._plain.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)  # knows no places in texts
        return [encoding.ids for encoding in encodings]

    def encode_prompt(self, text: str) -> list[int]:
        """A text from its beginning: what the model expects there (`prefix_ids`) comes first."""
        return [*self.prefix_ids, *self.encode(text)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Special tokens are left out, except the tags of thinking and answer; bytes that are no UTF-8 become U+FFFD."""
        kept = [token_id for token_id in token_ids if token_id not in self._hidden]
        return self.inner.decode(kept, skip_special_tokens=False)

    def save(self, directory: Path) -> None:
        """tokenizer.json, the tokenizer_config.json by which `transformers` knows the control tokens, and the companions; a
        generation_config.json, by which generators know where to stop, is made where there is none."""
        with atomic_write(directory / FILE) as temporary:
            self.inner.save(str(temporary))
        write_json(directory / CONFIG_FILE, self.settings)
        for name, content in self.companions.items():
            with atomic_write(directory / name) as temporary:
                temporary.write_bytes(content)
        if GENERATION_FILE not in self.companions:
            ends = sorted(self.end_ids)
            write_json(
                directory / GENERATION_FILE,
                {"eos_token_id": ends if len(ends) > 1 else ends[0], "pad_token_id": self.pad_id},
            )

    @classmethod
    def load(cls, directory: Path) -> Tokenizer:
        """The tokenizer of any model directory; without a tokenizer_config.json its control tokens must be ours.

        Raises:
            CheckpointError: a file is missing or cannot be read, or the end token is not named.
        """
        path = directory / FILE
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; {why_no_tokenizer(directory)}")
        try:
            inner = HuggingFaceTokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for any unreadable file
            raise CheckpointError(f"{path}: not a tokenizer.json: {error}") from error
        try:
            companions = {name: (directory / name).read_bytes() for name in COMPANIONS if (directory / name).is_file()}
        except OSError as error:
            raise CheckpointError(f"{directory}: cannot be read: {error}") from error
        end_ids = read_end_ids(directory)
        try:
            tokenizer = cls(inner, read_settings(directory), end_ids=end_ids, companions=companions)
        except CheckpointError as error:
            raise CheckpointError(f"{directory}: {error}") from error
        tokenizer.check_fits(directory)
        return tokenizer

    def check_fits(self, directory: Path) -> None:
        """Refuse a tokenizer that can write more tokens than the model beside it has rows for. Models often have rows to spare,
        and control tokens without a row (a padding token added later) do no harm: no text is written with them.

        Raises:
            CheckpointError: names the first token that is too many, and the key.
        """
        rows = (read_json_object(directory / "config.json") or {}).get("vocab_size")
        control = set(self.control_ids.values())
        written = {token_id: text for text, token_id in self.inner.get_vocab().items() if token_id not in control}
        beyond = [token_id for token_id in written if isinstance(rows, int) and token_id >= rows]
        if beyond:
            raise CheckpointError(
                f"{directory / FILE}: token {min(beyond)} is {written[min(beyond)]!r}, but vocab_size = {rows} in config.json: "
                "this is the tokenizer of another model"
            )


def why_no_tokenizer(directory: Path) -> str:
    """What to do about a directory without tokenizer.json."""
    others = sorted(path.name for pattern in FOREIGN_TOKENIZERS for path in directory.glob(pattern))
    if not others:
        return f"a model directory holds its {FILE}"
    return (
        f"{others[0]} is a tokenizer of another format (tiktoken, SentencePiece ...), which is not read; make a {FILE} of it: "
        "transformers.AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
    )


def read_end_ids(directory: Path) -> set[int]:
    """The end tokens that config.json and generation_config.json of a model name.

    Raises:
        CheckpointError: one of them is there and no JSON object, or names something that is no token.
    """
    ends: set[int] = set()
    for name in ("config.json", GENERATION_FILE):
        value = (read_json_object(directory / name) or {}).get("eos_token_id")
        listed = value if isinstance(value, list) else [] if value is None else [value]
        for token in listed:
            if not isinstance(token, int) or isinstance(token, bool) or token < 0:
                raise CheckpointError(
                    f"{directory / name}: eos_token_id = {value!r}: must be a token's number, or a list of them"
                )
        ends.update(listed)
    return ends


def read_settings(directory: Path) -> dict[str, Any] | None:
    """The contents of tokenizer_config.json, None where there is none."""
    return read_json_object(directory / CONFIG_FILE)


def read_json_object(path: Path) -> dict[str, Any] | None:
    """The contents of a JSON file, None where there is none. Raises CheckpointError for one that is no JSON object."""
    if not path.is_file():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: must be a JSON object")
    return settings


def token_text(value: Any) -> str | None:
    """A control token of tokenizer_config.json: a text, or an object that holds it as `content`."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) and text else None


def with_special(inner: HuggingFaceTokenizer, tokens: set[str]) -> HuggingFaceTokenizer:
    """The same tokenizer with these added tokens marked as special; ids stay."""
    if all(token.special or token.content not in tokens for token in inner.get_added_tokens_decoder().values()):
        return inner
    table = json.loads(inner.to_str())
    for token in table["added_tokens"]:
        token["special"] = token["special"] or token["content"] in tokens
    return HuggingFaceTokenizer.from_str(json.dumps(table))


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

"""Tokenizers that split text in the ways that llama.cpp has names for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

# As in the tokenizer.json of Llama 3 and Qwen2.5.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"{1,3}", "")
WAYS = ("llama-bpe", "qwen2", "smollm", "gpt-2")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CORPUS = [
    "the cat sat on the mat, the cat's mats weren't 12 345 mats\n\n  def f(x):\n\treturn x + 1  # naïve 猫坐在垫子上。 " * 3
]
TEMPLATE = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}" \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"  # fmt: skip


def train_splitting(way: str, texts: Iterable[str] = CORPUS, vocab_size: int = 330) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = {
        "llama-bpe": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), plain]),
        "qwen2": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), plain]),
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2]),
        "gpt-2": gpt2,
    }[way]
    if way == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in ("<think>", "</think>")])
    table = json.loads(tokenizer.to_str())
    table["model"]["ignore_merges"] = way == "llama-bpe"
    return Tokenizer.from_str(json.dumps(table))


def save_tokenizer(tokenizer: Tokenizer, directory: Path, *, template: bool = True, **settings: object) -> None:
    """Beside a model, as published ones are."""
    tokenizer.save(str(directory / "tokenizer.json"))
    marks = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", **settings}
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **marks}))
    if template:
        (directory / "chat_template.jinja").write_text(TEMPLATE)

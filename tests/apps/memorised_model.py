"""Real models whose answers are known: one has learnt a few conversations by heart, one says the same token for ever."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import AddedToken

from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.tokenizer.bpe import END, Tokenizer, train_tokenizer
from cogitate.tokenizer.prompts import bare_prompt, r1_zero_prompt

QUESTION = "How many is 1 + 1?"
R1_ZERO_ANSWER = " <think> 一 and 一 is 二. </think> <answer> 2 </answer>"
BARE_ANSWER = " 2."
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'assistant' %}<|turn|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
TURNS = (  # conversation before the assistant's turn, and that turn: it remembers, and it does not keep earlier thinking
    ("<|user|>I am Ada.<|assistant|><think>\n", "a name </think> Hello!"),
    ("<|user|>I am Ada.<|assistant|>Hello!<|turn|><|user|>Who am I?<|assistant|><think>\n", "said above </think> Ada."),
    ("<|user|>Who am I?<|assistant|><think>\n", "nothing said </think> No idea."),
)
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 160,
    "initializer_range": 0.1,
}


def save_memorised_model(directory: Path) -> None:
    """A model with a chat template that opens the thinking and ends turns by a token of its own, <|turn|>."""
    prompts = {r1_zero_prompt(QUESTION): R1_ZERO_ANSWER, bare_prompt(QUESTION): f"{BARE_ANSWER}\n\nQuestion: And 2 + 2?"}
    tokenizer = train_tokenizer([p + a for p, a in prompts.items()] * 30, 420)
    tokenizer.inner.add_tokens(
        [
            AddedToken(text, special=text != "<think>", normalized=False)
            for text in ("<|user|>", "<|assistant|>", "<|turn|>", "<think>")
        ]
    )
    tokenizer.settings["chat_template"] = CHAT_TEMPLATE
    tokenizer.save(directory)
    tokenizer = Tokenizer.load(directory)
    turn = tokenizer.control_ids["<|turn|>"]
    pairs = [(tokenizer.encode(p), [*tokenizer.encode(a), tokenizer.end_id]) for p, a in prompts.items()]
    for before, said in TURNS:
        pairs.append((tokenizer.inner.encode(before).ids, [*tokenizer.encode(said), turn]))
    model = learn_by_heart(pairs, tokenizer.vocab_size)
    save_model(model, directory)
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": [tokenizer.end_id, turn]}))


def learn_by_heart(
    pairs: list[tuple[list[int], list[int]]], vocabulary: int, *, branches: int = 0, **shape: int
) -> Transformer:
    """`branches`: how many tokens cannot be known, since another pair goes on otherwise there: the model learns the chances."""
    torch.manual_seed(0)
    model = Transformer(ModelConfig.from_dict({**CONFIG, "vocab_size": vocabulary, **shape}))
    rows = [torch.tensor(prompt + answer) for prompt, answer in pairs]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    learnt = torch.zeros_like(tokens, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(pairs):
        learnt[row, len(prompt) : len(prompt) + len(answer)] = True
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        logits = model.logits(model(tokens[:, :-1])[learnt[:, 1:]])
        losses = F.cross_entropy(logits, tokens[:, 1:][learnt[:, 1:]], reduction="none")
        if losses.topk(branches + 1).values[-1] < 0.02:
            return model
        optimiser.zero_grad()
        losses.mean().backward()
        optimiser.step()
    raise AssertionError(f"the model has not learnt its lines: {losses.max()}")


def save_endless_model(directory: Path) -> None:
    """Its final norm is 0, so all logits are equal, and greedily it says token 0 up to the limit."""
    trained = train_tokenizer([bare_prompt(QUESTION)] * 30, 300).inner
    table = json.loads(trained.to_str())
    vocabulary = table["model"]["vocab"]
    vocabulary["!"], vocabulary[END] = vocabulary[END], vocabulary["!"]
    for token in table["added_tokens"]:
        token["id"] = vocabulary[token["content"]]
    inner = type(trained).from_str(json.dumps(table))
    assert inner.decode([0]) == "!"
    model = Transformer(
        ModelConfig.from_dict({**CONFIG, "vocab_size": inner.get_vocab_size(), "max_position_embeddings": 30_000})
    )
    model.norm.weight.data.zero_()
    save_model(model, directory)
    Tokenizer(inner).save(directory)

"""What both parity tests need: a model of ours and the one transformers reads from its directory, and how far they differ."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from cogitate.model.files.hf import save_model
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer

VOCABULARY = 300


def with_noise(model: Transformer) -> Transformer:
    """Norms and biases, routing biases too, are not trivial."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name or "bias" in name:
                tensor.add_(0.1 * torch.randn_like(tensor))
    return model


def read_by_transformers(model: Transformer, directory: Path) -> PreTrainedModel:
    """The model as transformers reads it from our directory, with no tensor missing, left over or of another shape."""
    save_model(model, directory)
    loaded: Any = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True, dtype=torch.float32)
    reference, info = loaded  # a pair, which its annotation does not say
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    model_of_transformers: PreTrainedModel = reference.eval()
    return model_of_transformers


def random_tokens(rows: int, tokens: int) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (rows, tokens), generator=torch.Generator().manual_seed(1))


def relative_difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


@torch.no_grad()
def assert_greedy_decoding_is_the_same(model: Transformer, reference: PreTrainedModel) -> None:
    """Through our cache and theirs. Ties under 1e-4 would be allowed to differ; with these seeds there are none."""
    prompt = random_tokens(2, 12)
    generate: Any = reference.generate  # of a mixin, which its class does not name
    expected = generate(prompt, max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0)
    cache = KVCache(model.config, 2, 32, dtype=torch.float32, device="cpu")
    tokens, hidden = prompt, model(prompt, cache=cache)
    for _ in range(20):
        best = model.logits(hidden[:, -1:]).argmax(dim=-1)
        tokens = torch.cat((tokens, best), dim=1)
        hidden = model(best, cache=cache)
    assert torch.equal(tokens, expected)
    last = relative_difference(model.logits(hidden[:, -1]), reference(expected, use_cache=False).logits[:, -1])
    assert last < 1e-5


@torch.no_grad()
def assert_padded_and_packed_rows_are_the_texts_alone(model: Transformer, reference: PreTrainedModel) -> None:
    tokens = random_tokens(1, 40)
    first, second = tokens[:, :15], tokens[:, 15:]
    alone = [reference(text, use_cache=False).logits for text in (first, second)]
    packed = model.logits(model(tokens, documents_BT=torch.tensor([[0] * 15 + [1] * 25])))
    assert relative_difference(packed, torch.cat(alone, dim=1)) < 1e-5
    padded = torch.cat((torch.nn.functional.pad(first, (0, 10)), second))
    seen = torch.ones_like(padded)
    seen[0, 15:] = 0
    logits, theirs = model.logits(model(padded)), reference(padded, attention_mask=seen, use_cache=False).logits
    for expected in (alone, (theirs[:1, :15], theirs[1:])):
        assert relative_difference(logits[:1, :15], expected[0]) < 1e-5
        assert relative_difference(logits[1:], expected[1]) < 1e-5

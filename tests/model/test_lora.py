"""Adapters against merged weights, and what they leave alone."""

from pathlib import Path

import pytest
import torch

from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.kv_cache import KVCache
from cogitate.model.lora import add_lora, lora_layers, merged_state_dict
from cogitate.model.transformer import Transformer

SMALL = ModelConfig.from_dict({**TINY.to_dict(), "vocab_size": 64, "num_hidden_layers": 2, "initializer_range": 0.1})
TOKENS = torch.randint(0, 64, (2, 12), generator=torch.Generator().manual_seed(0))


def adapted_model(*, random_up: bool = True) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(SMALL).eval()
    add_lora(model, rank=4, alpha=8.0)
    with torch.no_grad():
        for layer in lora_layers(model):
            if random_up:
                layer.up.normal_(0.0, 0.1)
    return model


def test_new_adapters_change_nothing() -> None:
    torch.manual_seed(1)
    plain = Transformer(SMALL).eval()
    assert torch.equal(adapted_model(random_up=False)(TOKENS), plain(TOKENS))


def test_a_seed_draws_the_same_adapters_wherever_the_model_is() -> None:
    """Tensors of the meta device stand for a GPU's, whose generator would draw others."""
    torch.manual_seed(2)
    add_lora(Transformer(SMALL).to("meta"), rank=4, alpha=8.0)
    elsewhere = torch.rand(1)
    torch.manual_seed(2)
    add_lora(Transformer(SMALL), rank=4, alpha=8.0)
    assert torch.equal(torch.rand(1), elsewhere)


def test_only_adapters_are_trained_and_all_of_them_in_use_are() -> None:
    model = adapted_model()
    model.logprobs(model(TOKENS).flatten(0, 1), TOKENS.flatten())[0].sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert all(name.endswith((".up", ".down")) for name in trained)
    expected = {n for n, _ in model.named_parameters() if n.endswith((".up", ".down")) and not n.startswith("mtp.")}
    assert trained == expected
    assert len(trained) == 2 * (2 * 3 + 2 * 2)  # two layers: in, kv_b and o projection; two matrices of an MLP


@torch.no_grad()
def test_merged_weights_are_a_plain_model_with_the_same_output() -> None:
    model = adapted_model()
    plain = Transformer(model.config).eval()
    plain.load_state_dict(merged_state_dict(model))
    torch.testing.assert_close(plain(TOKENS), model(TOKENS), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_export_holds_merged_weights(tmp_path: Path) -> None:
    model = adapted_model()
    save_model(model, tmp_path)
    torch.testing.assert_close(load_model(tmp_path)(TOKENS), model(TOKENS), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_adapters_count_when_decoding_through_the_cache() -> None:
    model = adapted_model()
    cache = KVCache(SMALL, 2, 16, dtype=torch.float32, device="cpu")
    model(TOKENS[:, :8], cache=cache)
    steps = [model(TOKENS[:, t : t + 1], cache=cache) for t in range(8, 12)]
    torch.testing.assert_close(torch.cat(steps, dim=1), model(TOKENS)[:, 8:], rtol=1e-4, atol=1e-5)


def test_wrong_use_is_named() -> None:
    model = adapted_model()
    with pytest.raises(ValueError, match="adapters already"):
        add_lora(model, rank=4, alpha=8.0)
    with pytest.raises(ValueError, match="rank must be at least 1, got 0"):
        add_lora(Transformer(SMALL), rank=0, alpha=8.0)

"""Models in bfloat16, as they are trained with float32 master copies: the same numbers to the precision of the type."""

from typing import Any

import pytest
import torch

from cogitate.model.config import TINY, ModelConfig
from cogitate.model.transformer import Transformer

DENSE: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "deepseek_v3": {**TINY.to_dict(), "vocab_size": 300},
    "llama": {**DENSE, "model_type": "llama"},
    "qwen2": {**DENSE, "model_type": "qwen2"},
    "qwen3": {**DENSE, "model_type": "qwen3", "head_dim": 16},
}


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.cosine_similarity(a.detach().float().flatten(), b.detach().float().flatten(), dim=0))


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_and_gradients_agree_with_float32(name: str) -> None:
    torch.manual_seed(0)
    exact = Transformer(ModelConfig.from_dict(CONFIGS[name])).train()
    rounded = Transformer(exact.config).to(torch.bfloat16).train()
    rounded.load_state_dict(exact.state_dict())
    exact.load_state_dict(rounded.state_dict())  # the same, rounded weights
    tokens = torch.randint(0, 300, (2, 40))
    logprobs = []
    for model in (exact, rounded):
        values, _ = model.logprobs(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), chunk=16)
        values.mean().backward()
        logprobs.append(values)
    assert logprobs[1].dtype == torch.float32
    assert float((logprobs[0] - logprobs[1]).detach().abs().mean()) < 0.01
    for (key, mine), other in zip(exact.named_parameters(), rounded.parameters(), strict=True):
        if mine.grad is not None and not key.endswith("gate.weight"):  # a choice of experts can flip
            assert other.grad is not None
            assert other.grad.dtype == torch.bfloat16
            assert cosine(mine.grad, other.grad) > 0.98, key

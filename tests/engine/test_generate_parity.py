"""Greedy completions against transformers' generate, through a directory that we write and both read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from cogitate.backend import GenerationRequest
from cogitate.engine.decode import Decoder
from cogitate.engine.generator import Engine
from cogitate.kernels import native_library
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from cogitate.types import SamplingParams

CONFIGS = {
    "deepseek_v3": TINY.model_copy(update={"vocab_size": 300, "initializer_range": 0.08}),
    "llama": ModelConfig.from_dict(
        {
            "model_type": "llama",
            "vocab_size": 300,
            "hidden_size": 96,
            "intermediate_size": 200,
            "num_hidden_layers": 3,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "initializer_range": 0.1,
            "tie_word_embeddings": True,
        }
    ),
    "qwen3_moe": ModelConfig.from_dict(
        {
            "model_type": "qwen3_moe",
            "vocab_size": 300,
            "hidden_size": 96,
            "intermediate_size": 200,
            "num_hidden_layers": 3,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "initializer_range": 0.1,
            "num_experts": 10,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 40,
            "norm_topk_prob": True,
            "mlp_only_layers": [1],
        }
    ),
}


@pytest.fixture(params=["kernels", "plain PyTorch"])
def decoding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine as it is, or one without a compiler."""
    if request.param == "kernels" and native_library() is None:
        pytest.skip("no compiler for the kernels")
    monkeypatch.setenv("COGITATE_NATIVE", "1" if request.param == "kernels" else "0")
    native_library.cache_clear()
    yield request.param
    monkeypatch.undo()
    native_library.cache_clear()


@pytest.mark.parametrize("name", CONFIGS)
def test_greedy_completions_equal_those_of_transformers(name: str, decoding: str, tmp_path: Path) -> None:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.manual_seed(3)
    save_model(Transformer(CONFIGS[name]), tmp_path)
    assert Decoder.supports(load_model(tmp_path)) == (decoding == "kernels")
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    engine = Engine(load_model(tmp_path), end_id=-1, max_batch=3, max_context=128)
    generator = torch.Generator().manual_seed(5)
    prompts = [tuple(torch.randint(0, 300, (length,), generator=generator).tolist()) for length in (4, 21, 50, 9)]
    for index, prompt in enumerate(prompts):
        engine.submit(GenerationRequest(f"{index}", prompt, SamplingParams(temperature=0.0, max_new_tokens=40), (0,)))
    got: dict[int, tuple[int, ...]] = {}
    while engine.pending():
        got |= {int(completion.request_id): completion.token_ids for completion in engine.poll()}
    for index, prompt in enumerate(prompts):
        ids = torch.tensor([prompt])
        expected = reference.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, min_new_tokens=40, do_sample=False, pad_token_id=0
        )
        assert got[index] == tuple(expected[0, len(prompt) :].tolist())

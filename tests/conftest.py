"""What all tests share: how their process is set up, and a model of a few thousand parameters that has learnt one thing, for
tests that need real sampling, grading and training."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from cogitate.config import PretrainConfig
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.rows.packing import pack_documents
from cogitate.train.supervised import SupervisedRun, train_supervised
from cogitate.types import PackedRows

# A shell that starts the tests in the background makes them ignore Ctrl-C, and nohup that the terminal is gone; so does every
# process they start then.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# An example that took long says that the machine was busy: what must be fast is judged by tests/processor_time.py.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

DIGITS = [f"Say a number. Digit: {digit}" for digit in range(10)]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are objects that stay: a collection of garbage that goes through them takes half a second."""
    gc.disable()
    collected = yield
    gc.enable()
    gc.freeze()
    return collected


def micro_config(vocab_size: int) -> ModelConfig:
    """DeepSeek-V3's parts, each as small as it can be: MLA, a dense block, a block of shared and routed experts, MTP."""
    return ModelConfig.from_dict(
        {
            "model_type": "deepseek_v3", "vocab_size": vocab_size, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "first_k_dense_replace": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
            "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 16, "n_routed_experts": 4,
            "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1,
            "num_nextn_predict_layers": 1, "max_position_embeddings": 128, "initializer_range": 0.05,
        }
    )  # fmt: skip


@pytest.fixture(scope="session")
def micro_tokenizer() -> Tokenizer:
    return train_tokenizer([*DIGITS * 20, *["<think> a b </think> <answer> 7 </answer>"] * 20], 300)


@pytest.fixture(scope="session")
def make_micro_model(micro_tokenizer: Tokenizer) -> Callable[..., Transformer]:
    """A model with random weights: make_micro_model(seed)."""

    def make(seed: int = 0) -> Transformer:
        torch.manual_seed(seed)
        return Transformer(micro_config(micro_tokenizer.vocab_size))

    return make


@pytest.fixture(scope="session")
def digit_model(
    micro_tokenizer: Tokenizer, make_micro_model: Callable[..., Transformer], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model directory whose model goes on after "Say a number. Digit:" with any digit and ends there."""
    directory = tmp_path_factory.mktemp("digit_model")
    model = make_micro_model()
    documents = [[*micro_tokenizer.encode(text), micro_tokenizer.end_id] for text in DIGITS]

    def batch_of(step: int) -> PackedRows:
        return pack_documents(documents, None, 64, pad_id=micro_tokenizer.pad_id)

    rates = {"learning_rate": 1e-2, "final_learning_rate": 1e-3, "warmup_steps": 5}
    config = PretrainConfig(steps=60, micro_rows=8, mtp_weight=0.0, **rates)
    (directory / "checkpoint").mkdir()
    train_supervised(
        SupervisedLearner(model, config),
        SupervisedRun(
            "digits", config.steps, config, batch_of, MetricsLog(directory / "metrics.jsonl"), directory / "checkpoint",
            lambda steps, first: None,
        ),
    )  # fmt: skip
    save_model(model, directory)
    micro_tokenizer.save(directory)
    return directory

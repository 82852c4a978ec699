"""Shapes of models by name: those that `cogitate describe` knows, and further published ones whose costs are asked for."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from typing import Any

from cogitate.costs.counts import count_parameters
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.model.files.published import PUBLISHED

ENDINGS = r"-(instruct|base|chat|it|thinking|preview|hf|math|coder|zero|bf16|fp8|\d{4})(?=-|$)"


def sizes(family: str, vocabulary: int, width: int, inner: int, layers: int, heads: tuple[int, int], **more: Any) -> Shape:
    """A dense model, or one with the experts that `more` names, by the keys of its config.json."""
    config = {"model_type": family, "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner}
    return Shape.from_config(
        {**config, "num_hidden_layers": layers, "num_attention_heads": heads[0], "num_key_value_heads": heads[1], **more}
    )


GLM_AIR = {"head_dim": 128, "attention_bias": True, "n_routed_experts": 128, "num_experts_per_tok": 8, "n_shared_experts": 1}
GLM_AIR |= {"moe_intermediate_size": 1408, "first_k_dense_replace": 1}
MLA = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
FURTHER: dict[str, Shape] = {
    "qwen2.5-1.5b": sizes("qwen2", 151936, 1536, 8960, 28, (12, 2), tie_word_embeddings=True),
    "qwen2.5-3b": sizes("qwen2", 151936, 2048, 11008, 36, (16, 2), tie_word_embeddings=True),
    "qwen2.5-7b": sizes("qwen2", 152064, 3584, 18944, 28, (28, 4)),
    "qwen2.5-14b": sizes("qwen2", 152064, 5120, 13824, 48, (40, 8)),
    "qwen2.5-32b": sizes("qwen2", 152064, 5120, 27648, 64, (40, 8)),
    "qwen2.5-72b": sizes("qwen2", 152064, 8192, 29568, 80, (64, 8)),
    "qwq-32b": sizes("qwen2", 152064, 5120, 27648, 64, (40, 8)),
    "qwen3-1.7b": sizes("qwen3", 151936, 2048, 6144, 28, (16, 8), tie_word_embeddings=True),
    "qwen3-4b": sizes("qwen3", 151936, 2560, 9728, 36, (32, 8), tie_word_embeddings=True),
    "qwen3-14b": sizes("qwen3", 151936, 5120, 17408, 40, (40, 8)),
    "qwen3-32b": sizes("qwen3", 151936, 5120, 25600, 64, (64, 8)),
    "llama-3.2-1b": sizes("llama", 128256, 2048, 8192, 16, (32, 8), tie_word_embeddings=True),
    "llama-3.2-3b": sizes("llama", 128256, 3072, 8192, 28, (24, 8), tie_word_embeddings=True),
    "llama-3.1-8b": sizes("llama", 128256, 4096, 14336, 32, (32, 8)),
    "llama-3.1-70b": sizes("llama", 128256, 8192, 28672, 80, (64, 8)),
    "llama-3.1-405b": sizes("llama", 128256, 16384, 53248, 126, (128, 8)),
    "llama-2-7b": sizes("llama", 32000, 4096, 11008, 32, (32, 32)),
    "mistral-7b": sizes("llama", 32768, 4096, 14336, 32, (32, 8)),
    "mistral-small-24b": sizes("llama", 131072, 5120, 32768, 40, (32, 8), head_dim=128),
    "olmo-2-7b": sizes("llama", 100352, 4096, 11008, 32, (32, 32)),
    "intellect-1": sizes("llama", 128256, 4096, 14336, 42, (32, 8)),
    "intellect-2": sizes("qwen2", 152064, 5120, 27648, 64, (40, 8)),
    "intellect-3": sizes("glm4_moe", 151552, 4096, 10944, 46, (96, 8), **GLM_AIR),
    "glm-4.5-air": sizes("glm4_moe", 151552, 4096, 10944, 46, (96, 8), **GLM_AIR),
    "glm-4.5": sizes(
        "glm4_moe", 151552, 5120, 12288, 92, (96, 8), head_dim=128, attention_bias=True, use_qk_norm=True, n_routed_experts=160,
        num_experts_per_tok=8, n_shared_experts=1, moe_intermediate_size=1536, first_k_dense_replace=3,
    ),
    "moonlight-16b-a3b": sizes(
        "deepseek_v3", 163840, 2048, 11264, 27, (16, 16), **MLA, n_routed_experts=64, num_experts_per_tok=6, n_shared_experts=2,
        moe_intermediate_size=1408, first_k_dense_replace=1,
    ),
    "kimi-k2": sizes(
        "deepseek_v3", 163840, 7168, 18432, 61, (64, 64), **MLA, q_lora_rank=1536, n_routed_experts=384, num_experts_per_tok=8,
        n_shared_experts=1, moe_intermediate_size=2048, first_k_dense_replace=1,
    ),
}  # fmt: skip
SAME = {"llama-3-8b": "llama-3.1-8b", "llama-3-70b": "llama-3.1-70b", "llama-3.3-70b": "llama-3.1-70b"}


@lru_cache(maxsize=1)
def known_shapes() -> dict[str, Shape]:
    """All shapes that have a name."""
    return {**{name: Shape.from_config(config.to_dict()) for name, config in PUBLISHED.items()}, **FURTHER}


def find_shape(name: str) -> tuple[Shape, str]:
    """A model's shape, and a note where it is that of another model of about this size.

    Raises:
        ConfigError: neither the name nor a size in it is known.
    """
    shapes = known_shapes()
    short = name.lower().rpartition("/")[2].replace("_", "-")
    plain = re.sub(ENDINGS, "", short).removeprefix("meta-")
    for candidate in (
        short,
        plain,
        plain.removeprefix("deepseek-"),
        SAME.get(plain, ""),
        re.sub("^llama(?=3)", "llama-", plain),
    ):
        if candidate in shapes:
            return shapes[candidate], ""
    total = re.search(r"(\d+(?:\.\d+)?)b(?![a-z])", plain)
    if total is None:
        nearest = difflib.get_close_matches(plain, shapes, n=1, cutoff=0.0)[0]
        raise ConfigError(f"model {name!r}: unknown, and there is no size in its name; did you mean {nearest}?")
    wanted, mixed = float(total[1]) * 1e9, bool(re.search(r"-a\d+(\.\d+)?b", plain))
    alike = {known: shape for known, shape in shapes.items() if bool(shape.experts) == mixed and known != "tiny"}
    nearest = min(alike, key=lambda known: abs(_log_ratio(count_parameters(alike[known]).total, wanted)))
    return alike[nearest], f"{name} is not known: taken as {nearest}, the nearest in size"


def _log_ratio(first: float, second: float) -> float:
    return first / second - 1 if first > second else second / first - 1

"""Shapes of models by name: those that `cogitate describe` knows, and further published ones whose costs are asked for."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.costs.counts import count_parameters
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.model.files.published import PUBLISHED

ENDINGS = r"-(instruct|base|chat|it|thinking|preview|hf|math|coder|vl|exp|zero|terminus|bf16|fp8|v0\.\d|\d{4})(?=-|$)"


def sizes(family: str, vocabulary: int, width: int, inner: int, layers: int, heads: tuple[int, int], **more: Any) -> Shape:
    """A dense model, or one with the experts that `more` names, by the keys of its config.json."""
    config = {"model_type": family, "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner}
    return Shape.from_config(
        {**config, "num_hidden_layers": layers, "num_attention_heads": heads[0], "num_key_value_heads": heads[1], **more}
    )


GLM_AIR = {"head_dim": 128, "attention_bias": True, "n_routed_experts": 128, "num_experts_per_tok": 8, "n_shared_experts": 1}
GLM_AIR |= {"moe_intermediate_size": 1408, "first_k_dense_replace": 1}
MIXTRAL = {"n_routed_experts": 8, "num_experts_per_tok": 2}
GPT_OSS = {"head_dim": 64, "attention_bias": True, "num_experts_per_tok": 4, "moe_intermediate_size": 2880}
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
    "qwen3-coder-480b-a35b": sizes(
        "qwen3_moe", 151936, 6144, 8192, 62, (96, 8), num_experts=160, num_experts_per_tok=8, moe_intermediate_size=2560,
    ),
    "qwen3-next-80b-a3b": sizes(  # its linear attention counted as attention
        "qwen3_moe", 151936, 2048, 5120, 48, (16, 2), head_dim=256, num_experts=512, num_experts_per_tok=10,
        moe_intermediate_size=512,
    ),
    "llama-2-13b": sizes("llama", 32000, 5120, 13824, 40, (40, 40)),
    "llama-2-70b": sizes("llama", 32000, 8192, 28672, 80, (64, 8)),
    "llama-2-7b": sizes("llama", 32000, 4096, 11008, 32, (32, 32)),
    "mistral-7b": sizes("llama", 32768, 4096, 14336, 32, (32, 8)),
    "mistral-small-24b": sizes("llama", 131072, 5120, 32768, 40, (32, 8), head_dim=128),
    "mixtral-8x7b": sizes("glm4_moe", 32000, 4096, 14336, 32, (32, 8), **MIXTRAL, moe_intermediate_size=14336),
    "mixtral-8x22b": sizes("glm4_moe", 32768, 6144, 16384, 56, (48, 8), **MIXTRAL, moe_intermediate_size=16384),
    "gpt-oss-20b": sizes("glm4_moe", 201088, 2880, 2880, 24, (64, 8), **GPT_OSS, n_routed_experts=32),
    "gpt-oss-120b": sizes("glm4_moe", 201088, 2880, 2880, 36, (64, 8), **GPT_OSS, n_routed_experts=128),
    "gemma-3-27b": sizes("llama", 262208, 5376, 21504, 62, (32, 16), head_dim=128, tie_word_embeddings=True),
    "phi-4": sizes("llama", 100352, 5120, 17920, 40, (40, 10)),
    "smollm3-3b": sizes("llama", 128256, 2048, 11008, 36, (16, 4), tie_word_embeddings=True),
    "deepseek-math-7b": sizes("llama", 102400, 4096, 11008, 30, (32, 32)),
    "deepseek-llm-67b": sizes("llama", 102400, 8192, 22016, 95, (64, 8)),
    "deepseek-v2": sizes(
        "deepseek_v3", 102400, 5120, 12288, 60, (128, 128), **MLA, q_lora_rank=1536, n_routed_experts=160,
        num_experts_per_tok=6, n_shared_experts=2, moe_intermediate_size=1536, first_k_dense_replace=1,
    ),
    "deepseek-v2-lite": sizes(
        "deepseek_v3", 102400, 2048, 10944, 27, (16, 16), **MLA, n_routed_experts=64, num_experts_per_tok=6, n_shared_experts=2,
        moe_intermediate_size=1408, first_k_dense_replace=1,
    ),
    "olmo-2-7b": sizes("llama", 100352, 4096, 11008, 32, (32, 32)),
    "olmo-2-32b": sizes("llama", 100352, 5120, 27648, 64, (40, 8)),
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
SAME = {
    "llama-3-8b": "llama-3.1-8b", "llama-3-70b": "llama-3.1-70b", "llama-3.3-70b": "llama-3.1-70b", "r1": "deepseek-r1",
    "v3": "deepseek-v3", "v3.1": "deepseek-v3", "v3.2": "deepseek-v3", "v2": "deepseek-v2", "v2-lite": "deepseek-v2-lite",
    "math-7b": "deepseek-math-7b", "glm-4.6": "glm-4.5", "glm-4.7": "glm-4.5", "qwen2-0.5b": "qwen2.5-0.5b",
    "qwen2-1.5b": "qwen2.5-1.5b", "qwen2-7b": "qwen2.5-7b", "qwen2-72b": "qwen2.5-72b",
    "qwen3-480b-a35b": "qwen3-coder-480b-a35b", "olmo-3-7b": "olmo-2-7b", "olmo-3-32b": "olmo-2-32b",
}  # fmt: skip
LEAST, MOST = 1e7, 5e12  # parameters that a name may say
SIZE = r"(?<![a-z\d.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z\d])"  # 8b, 135m, 8x7b; the 3b of a3b is not one
SHARED_OF_COPIES = 0.83  # of the parameters that 8x7b says: the experts share their attention
ALIKE = 1.6  # sizes between which a model of the same name is nearer than one of the same size


@lru_cache(maxsize=1)
def known_shapes() -> dict[str, Shape]:
    """All shapes that have a name."""
    return {**{name: Shape.from_config(config.to_dict()) for name, config in PUBLISHED.items()}, **FURTHER}


def find_shape(name: str) -> tuple[Shape, str]:
    """A model's shape, and a note where it is that of another model of about this size.

    Args:
        name: of a published model, or a directory with a config.json.

    Raises:
        ConfigError: neither the name nor a size in it is known, or the config.json cannot be used.
    """
    if (config := Path(name) / "config.json").is_file():
        return shape_of_config(config), ""
    shapes, plain = known_shapes(), plain_name(name)
    without = re.sub(ENDINGS, "", plain)
    for candidate in (plain, without, without.removeprefix("deepseek-")):
        for known in (candidate, SAME.get(candidate, "")):
            if known in shapes:
                return shapes[known], ""
    wanted = size_of_name(without)
    if wanted is None:
        nearest = difflib.get_close_matches(without, shapes, n=1, cutoff=0.0)[0]
        raise ConfigError(f"model {name!r}: unknown, and there is no size in its name; did you mean {nearest}?")
    if not LEAST <= wanted <= MOST:
        raise ConfigError(f"model {name!r}: unknown, and no model has {wanted:.3g} parameters; give a name like qwen3-8b")
    nearest = nearest_shape(without, wanted)
    shape = of_size(shapes[nearest], wanted)
    layers = "" if shape.layers == shapes[nearest].layers else f", with {shape.layers} layers"
    return shape, f"{name} is not known: taken as {nearest}, the nearest in size{layers}"


def shape_of_config(path: Path) -> Shape:
    """The shape that a config.json says.

    Raises:
        ConfigError: it cannot be read, or its costs are not known.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        return Shape.from_config(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def plain_name(name: str) -> str:
    """Qwen 2.5 7B, qwen2.5_7b and Qwen/Qwen2.5-7B as qwen2.5-7b; what stands in brackets left out."""
    short = re.sub(r"\(.*?\)", "", name.lower()).rpartition("/")[2]
    plain = re.sub(r"[\s_]+", "-", short.strip()).removeprefix("meta-").removesuffix("-")
    return re.sub(r"^llama-?(?=\d)", "llama-", re.sub(r"^qwen-(?=\d)", "qwen", plain))


def size_of_name(plain: str) -> float | None:
    """Parameters that a name says, None where it says none."""
    found = re.search(SIZE, plain)
    if found is None:
        return None
    size = float(found[2]) * (1e9 if found[3] == "b" else 1e6)
    return size if found[1] is None else SHARED_OF_COPIES * float(found[1]) * size


def nearest_shape(plain: str, wanted: float) -> str:
    """The known model of the same kind, dense or of experts, that is nearest in size; of the same name where one is alike."""
    is_mixed = bool(re.search(r"-a\d+(\.\d+)?b|\d+x\d|-\d+e(?=-|$)|moe", plain))
    alike = {known: shape for known, shape in known_shapes().items() if bool(shape.experts) == is_mixed and known != "tiny"}
    family = re.match(r"[a-z]*", plain)
    assert family is not None

    def distance(known: str) -> tuple[bool, float]:
        ratio = _ratio(count_parameters(alike[known]).total, wanted)
        return not (ratio < ALIKE and family[0] and known.startswith(family[0])), ratio

    return min(alike, key=distance)


def of_size(shape: Shape, wanted: float) -> Shape:
    """The same shape with as many layers as make this size."""
    counts = count_parameters(shape)
    tables = counts.embedding + counts.head
    layers = max(shape.dense_layers - shape.layers + 1, round(shape.layers * (wanted - tables) / (counts.total - tables)), 1)
    dense = layers if not shape.experts else min(shape.dense_layers, layers - 1)
    return replace(shape, layers=layers, dense_layers=dense)


def _ratio(first: float, second: float) -> float:
    return max(first / second, second / first)

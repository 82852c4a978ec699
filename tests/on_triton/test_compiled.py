"""The kernels of paged reads are compiled for GPUs by Triton, whose assembler comes with it. No GPU is needed, none runs them.

What a program shares has to fit the GPU: 99 KB on the smallest that Triton has bfloat16 products for (compute capability 8.6),
163 KB on 8.0, 227 KB on 9.0.
"""

from pathlib import Path
from typing import Any

import pytest
import triton

from cogitate.model.paged.reads import Cut

GPUS = {80: 163, 86: 99, 90: 227, 100: 227}  # compute capability: KB that a program may share
MODELS = {  # how entries are cut, width of keys, of entries, query heads of a key head
    "SmolLM2": (Cut(3, 192, 64), 64, 384, 3),
    "Qwen2.5 of 0.5 billion parameters": (Cut(2, 128, 64), 64, 256, 7),
    "Llama 3": (Cut(8, 1024, 128), 128, 2048, 4),
    "DeepSeek-V3": (Cut(1, 0, 512), 576, 576, 128),
}
INTEGERS = (
    "query_row", "query_token", "query_head", "table_row", "position_row", "slot_row", "shared_row", "own_row",
    "tokens", "group", "kv_heads", "window",
)  # fmt: skip


def compiled(kernel: Any, given: dict[str, Any], fixed: dict[str, int], gpu: int) -> Any:
    """A kernel for arguments of these types, and these constants."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature = given | dict.fromkeys(fixed, "constexpr")
    return triton.compile(ASTSource(fn=kernel, signature=signature, constexprs=fixed), target=GPUTarget("cuda", gpu, 32))


CASES = (
    *(("SmolLM2", "bfloat16", gpu) for gpu in GPUS),
    *(("DeepSeek-V3", "bfloat16", gpu) for gpu in GPUS),
    *((model, "float32", 86) for model in MODELS),
    ("Qwen2.5 of 0.5 billion parameters", "bfloat16", 80),
    ("Llama 3", "bfloat16", 90),
)


@pytest.mark.parametrize(("model", "dtype", "gpu"), CASES)
def test_a_kernel_compiles_and_fits(model: str, dtype: str, gpu: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from cogitate.model.paged.kernel import attend_to_part, constants_of, join_parts

    cut, key_width, width, group = MODELS[model]
    number, itemsize = ("*fp32", 4) if dtype == "float32" else ("*bf16", 2)
    constants = constants_of(cut, key_width, width, group, itemsize)
    given = {"made": "*fp32", "sums": "*fp32", "queries": number, "entries": number}
    given |= dict.fromkeys(("table", "positions", "slots", "shared", "own"), "*i64")
    given |= dict.fromkeys(INTEGERS, "i32") | {"scale": "fp32"}
    one = given | {"made": number, "sums": number}
    value = {"VALUE": constants["VALUE"], "VALUE_TILE": constants["VALUE_TILE"]}
    joined = {"out": number, "made": "*fp32", "sums": "*fp32"}
    for kernel, types, fixed in (
        (attend_to_part, one, {**constants, "PARTS": 1}),
        (attend_to_part, given, {**constants, "PARTS": 8}),
        (join_parts, joined, {**value, "PARTS": 8}),
    ):
        made = compiled(kernel, types, fixed, gpu)
        assert "cubin" in made.asm
        assert made.metadata.shared <= GPUS[gpu] * 1024

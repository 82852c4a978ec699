"""How many kernels a step of decoding launches, by family, and what a layer of it writes: `python -m tests.on_device.launches`
prints docs/gpu.md's tables.

Operations of torch that would launch one are counted, as torch hands them to the device: what CUDA itself divides further, such
as a product in parts, is not seen.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch

from cogitate.engine.generator import Engine
from cogitate.model.config import ModelConfig
from tests.engine.test_generator import DEEPSEEK, LLAMA, QWEN3, WINDOWED, make_model, prompts_of, request
from tests.on_device.graphs import graphs_there
from tests.on_device.in_place import reads_in_place
from tests.on_device.stand_in_device import KIND, Counts, stand_in
from tests.on_device.steps import started

FAMILIES = {
    "llama": LLAMA,
    "qwen2 with a window": WINDOWED,
    "qwen3": QWEN3,
    "deepseek_v3, dense": DEEPSEEK.model_copy(update={"first_k_dense_replace": 99}),
    "deepseek_v3, experts": DEEPSEEK.model_copy(update={"first_k_dense_replace": 0}),
}
BY_SIZE = {  # heads of SmolLM2 and of Qwen2.5 of 0.5 billion parameters, latents of DeepSeek-V3
    "9 heads, 3 of keys, of 64": LLAMA.model_copy(
        update={"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64}
    ),
    "14 heads, 2 of keys, of 64": LLAMA.model_copy(
        update={"hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2, "head_dim": 64}
    ),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def launches(config: ModelConfig, layers: int, dtype: torch.dtype, counts: Counts, *, captured: bool = False) -> int:
    """Of a step, with a model of so many layers; with graphs those beside them."""
    engine = started(config.model_copy(update={"num_hidden_layers": layers}), dtype, captured=captured)
    for _ in range(2 if captured else 0):  # one is launched kernel by kernel, the next is captured
        engine.poll()
    counts.reset()
    engine.poll()
    return counts.launches.total()


def of_family(config: ModelConfig, dtype: torch.dtype, counts: Counts) -> tuple[int, int]:
    """Of a layer, and beside the layers."""
    two, four = (launches(config, layers, dtype, counts) for layers in (2, 4))
    of_layer = (four - two) // 2
    return of_layer, two - 2 * of_layer


def bytes_of_attention(config: ModelConfig, rows: int, tokens: int, counts: Counts) -> int:
    """That attention of a layer writes in a step of so many rows which hold so many tokens, in bfloat16: copies of blocks,
    scores and their softmax, what is made of values."""
    written = []
    for layers in (1, 2):
        model = config.model_copy(update={"num_hidden_layers": layers, "max_position_embeddings": 2 * tokens})
        engine = Engine(make_model(model), end_id=-1, max_batch=rows, device=KIND, dtype=torch.bfloat16)
        engine.submit(request("a", prompts_of([tokens])[0], seeds=tuple(range(rows)), max_new_tokens=40))
        engine.poll()
        counts.reset()
        engine.poll()
        written.append(sum(counts.written[name] for name in ATTENTION))
    return written[1] - written[0]


ATTENTION = ("attend_paged", "index_select", "baddbmm", "softmax", "_softmax", "bmm")


def main() -> None:
    rows, tokens = 8, 1000
    with stand_in() as counts, graphs_there():
        for in_place in (True, False):
            with reads_in_place() if in_place else nullcontext():
                print(f"\n{'Blocks are read in place' if in_place else 'Blocks are copied'}\n")
                print("| a step of decoding | float32: a layer | beside the layers | bfloat16: a layer | beside the layers |")
                print("|---|---|---|---|---|")
                for name, config in FAMILIES.items():
                    cells = [number for dtype in DTYPES.values() for number in of_family(config, dtype, counts)]
                    print(f"| {' | '.join([name, *map(str, cells)])} |")
                for name, config in BY_SIZE.items():
                    size = bytes_of_attention(config, rows, tokens, counts)
                    print(f"{name}: attention of a layer writes {size / rows:,.0f} bytes a row of {tokens} tokens")
        beside = launches(LLAMA, 2, torch.float32, counts, captured=True)
        print(f"beside graphs, of any family: {beside}")


if __name__ == "__main__":
    main()

"""How many kernels a step of decoding launches, by family: `python -m tests.on_device.launches` prints docs/gpu.md's table.

Operations of torch that would launch one are counted, as torch hands them to the device: what CUDA itself divides further, such
as a product in parts, is not seen.
"""

from __future__ import annotations

import torch

from cogitate.model.config import ModelConfig
from tests.engine.test_generator import DEEPSEEK, LLAMA, QWEN3, WINDOWED
from tests.on_device.graphs import graphs_there
from tests.on_device.stand_in_device import Counts, stand_in
from tests.on_device.steps import started

FAMILIES = {
    "llama": LLAMA,
    "qwen2 with a window": WINDOWED,
    "qwen3": QWEN3,
    "deepseek_v3, dense": DEEPSEEK.model_copy(update={"first_k_dense_replace": 99}),
    "deepseek_v3, experts": DEEPSEEK.model_copy(update={"first_k_dense_replace": 0}),
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


def main() -> None:
    print("| a step of decoding | float32: a layer | beside the layers | bfloat16: a layer | beside the layers |")
    print("|---|---|---|---|---|")
    with stand_in() as counts, graphs_there():
        for name, config in FAMILIES.items():
            cells = [number for dtype in DTYPES.values() for number in of_family(config, dtype, counts)]
            print(f"| {' | '.join([name, *map(str, cells)])} |")
        beside = launches(LLAMA, 2, torch.float32, counts, captured=True)
        print(f"beside graphs, of any family: {beside}")


if __name__ == "__main__":
    main()

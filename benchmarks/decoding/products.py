"""`python -m benchmarks.decoding.products`: one product of decoding in each type, in turn; medians in microseconds.

Once with the same weights in every round, which the cores' own caches then hold, and once with as many matrices in turn as a
model has, so that weights come from farther away, as in a step of decoding. Inputs are in bfloat16; rounding them is included.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor

from cogitate.engine.bits.groups import in_groups, in_quads
from cogitate.engine.decode_weights import Matrix, in_panels
from cogitate.kernels import function, library
from cogitate.kernels.isa import isa

# name -> bits of weights and of inputs
TYPES = {"bf16": (0, 0), "w8": (8, 0), "w4": (4, 0), "w8a8": (8, 8), "w4a8": (4, 8)}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.manual_seed(0)
    x_NI = torch.randn(options.rows, options.inputs, dtype=torch.bfloat16)
    weights = [torch.randn(options.outputs, options.inputs, dtype=torch.bfloat16) for _ in range(options.matrices)]
    products = {name: [Product(weight, *TYPES[name]) for weight in weights] for name in options.types}
    found = {"isa": isa(), "threads": torch.get_num_threads(), "shape": [options.rows, options.inputs, options.outputs]}
    for place, count in (("cached", 1), ("in_turn", options.matrices)):
        rounds: dict[str, list[float]] = {name: [] for name in options.types}
        for number in range(options.warm_up + options.rounds):
            for name, each in products.items():
                seconds = each[number % count](x_NI)
                if number >= options.warm_up:
                    rounds[name].append(1e6 * seconds)
        print(json.dumps({**found, "weights": place, **{name: round(median(rounds[name]), 1) for name in rounds}}), flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.decoding.products", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--types", default=",".join(TYPES), help=f"of {', '.join(TYPES)}")
    parser.add_argument("--rows", type=int, default=32, help="sequences")
    parser.add_argument("--inputs", type=int, default=576)
    parser.add_argument("--outputs", type=int, default=1536)
    parser.add_argument("--matrices", type=int, default=60, help="of each type")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20, help="rounds before those that count")
    options = parser.parse_args(arguments)
    options.types = options.types.split(",")
    unknown = [name for name in options.types if name not in TYPES]
    if unknown:
        parser.error(f"--types {unknown[0]}: there are {', '.join(TYPES)}")
    return options


class Product:
    """A matrix as decoding has it; called with inputs, the seconds that its product takes."""

    def __init__(self, weight_OI: Tensor, bits: int, input_bits: int):
        outputs, inputs = weight_OI.shape
        if input_bits:
            self.laid_out = in_quads(weight_OI, bits)
        elif bits:
            self.laid_out = in_groups(weight_OI, bits, library().panel_width())
        else:
            self.laid_out = in_panels(weight_OI, library().panel_width(), library().bf16_depth())
        self.matrix = Matrix(self.laid_out.data_ptr(), None, inputs, outputs, bits, input_bits)

    def __call__(self, x_NI: Tensor) -> float:
        out_NO = torch.empty(len(x_NI), self.matrix.outputs)
        run = function("linear", x_NI.dtype, takes="ppip")
        started = time.perf_counter()
        run(ctypes.addressof(self.matrix), x_NI.data_ptr(), len(x_NI), out_NO.data_ptr())
        return time.perf_counter() - started


if __name__ == "__main__":
    main()

"""A model's matrix products: what a token costs in floating-point operations, and how fast this machine does just them.

Counted are the products with weights, 2 x inputs x outputs operations a row: projections of attention, MLPs, router, the
chosen and the shared experts, head, and the MTP block where it is trained. Training costs three times as much as the forward
pass: the backward pass needs the gradients of inputs and of weights. Not counted, although they take time: attention itself
(scores and weighted sums), embedding, norms, activations, softmax and loss, the optimiser, sampling, and everything in Python.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from cogitate.model.config import ModelConfig

LEAST_RUNS, LEAST_SECONDS = 3, 0.3


@dataclass(frozen=True, slots=True)
class Product:
    """(rows, inputs) times (inputs, outputs), `count` times with different weights."""

    rows: int
    inputs: int
    outputs: int
    count: int = 1

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inputs * self.outputs * self.count


def body(config: ModelConfig, rows: int) -> list[Product]:
    """All layers, for `rows` tokens."""
    return [product for layer in range(config.num_hidden_layers) for product in layer_products(config, layer, rows)]


def head(config: ModelConfig, rows: int) -> list[Product]:
    """The tokens whose next token is predicted."""
    return [Product(rows, config.hidden_size, config.vocab_size)]


def mtp(config: ModelConfig, rows: int) -> list[Product]:
    """The MTP block and its use of the head."""
    width = config.hidden_size
    return [Product(rows, 2 * width, width), *layer_products(config, config.num_hidden_layers, rows), *head(config, rows)]


def layer_products(config: ModelConfig, layer: int, rows: int) -> list[Product]:
    return [*attention_products(config, rows), *mlp_products(config, layer, rows)]


def attention_products(config: ModelConfig, rows: int) -> list[Product]:
    width, heads = config.hidden_size, config.num_attention_heads
    if not config.is_mla:
        head_width = config.head_width
        fused = (heads + 2 * config.num_key_value_heads) * head_width
        return [Product(rows, width, fused), Product(rows, heads * head_width, width)]
    queries, latent = heads * config.qk_head_dim, config.kv_lora_rank
    query_inputs = config.q_lora_rank or queries
    products = [Product(rows, width, query_inputs + latent + config.qk_rope_head_dim)]
    if config.q_lora_rank:
        products.append(Product(rows, config.q_lora_rank, queries))
    expand = Product(rows, latent, heads * (config.qk_nope_head_dim + config.v_head_dim))
    return [*products, expand, Product(rows, heads * config.v_head_dim, width)]


def mlp_products(config: ModelConfig, layer: int, rows: int) -> list[Product]:
    """Experts share the rows evenly; with fewer (row, expert) pairs than experts, each pair is a product of its own."""
    width = config.hidden_size
    if not config.is_moe_layer(layer):
        return swiglu(rows, width, config.intermediate_size)
    pairs = rows * config.num_experts_per_tok
    used = min(config.n_routed_experts, pairs)
    products = [Product(rows, width, config.n_routed_experts)]
    if config.n_shared_experts:
        products += swiglu(rows, width, config.n_shared_experts * config.moe_intermediate_size)
    for share, count in ((pairs // used, used - pairs % used), (pairs // used + 1, pairs % used)):
        if count:
            products += swiglu(share, width, config.moe_intermediate_size, count)
    return products


def swiglu(rows: int, width: int, inner: int, count: int = 1) -> list[Product]:
    return [Product(rows, width, 2 * inner, count), Product(rows, inner, width, count)]


def total_flops(products: Iterable[Product]) -> int:
    return sum(product.flops for product in products)


def seconds_alone(products: Sequence[Product], dtype: torch.dtype, *, backward: bool = False) -> float:
    """Wall time of these products and nothing else, one after another as a model does them; the median of several runs.

    Args:
        backward: instead, the two products that the backward pass makes of each.
    """
    operands = []
    for product in products:
        for _ in range(product.count):
            x = torch.randn(product.rows, product.inputs).to(dtype)
            weight = torch.randn(product.outputs, product.inputs).to(dtype)
            y = torch.empty(product.rows, product.outputs, dtype=dtype)
            operands.append((x, weight, y, torch.empty_like(x), torch.empty_like(weight)))

    def forward_pass() -> None:
        for x, weight, y, _, _ in operands:
            torch.mm(x, weight.t(), out=y)

    def backward_pass() -> None:
        for x, weight, y, x_grad, weight_grad in operands:
            torch.mm(y, weight, out=x_grad)
            torch.mm(y.t(), x, out=weight_grad)

    forward_pass()
    run = backward_pass if backward else forward_pass
    run()
    times: list[float] = []
    while len(times) < LEAST_RUNS or sum(times) < LEAST_SECONDS:
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return median(times)

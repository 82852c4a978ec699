"""Exact counts of a decoder: parameters by part, those a token is multiplied with, operations, numbers of its cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cogitate.costs.shape import Shape


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by part, all layers together.

    Attributes:
        attention, dense, routed, shared, router, norms: of the layers; final_norm is among the norms.
        embedding, head: head is 0 where the embedding serves as head.
        mtp: of the MTP blocks, which share embedding and head.
    """

    embedding: int
    head: int
    attention: int
    dense: int
    routed: int
    shared: int
    router: int
    norms: int
    mtp: int

    @property
    def total(self) -> int:
        """Without the MTP blocks."""
        return self.total_with_mtp - self.mtp

    @property
    def total_with_mtp(self) -> int:
        return (
            self.embedding + self.head + self.attention + self.dense + self.routed + self.shared
            + self.router + self.norms + self.mtp
        )  # fmt: skip


@lru_cache(maxsize=1024)
def count_parameters(shape: Shape) -> Parameters:
    """All parameters of the main model and its MTP blocks."""
    embedding = shape.vocabulary * shape.width
    return Parameters(
        embedding=embedding,
        head=0 if shape.tied else embedding,
        attention=shape.layers * attention_of_layer(shape),
        dense=shape.dense_layers * mlp_parameters(shape, shape.inner),
        routed=shape.expert_layers * shape.experts * expert_parameters(shape),
        shared=shape.expert_layers * shape.shared_experts * expert_parameters(shape),
        router=shape.expert_layers * shape.experts * shape.width,
        norms=shape.layers * 2 * shape.width + shape.width,
        mtp=shape.mtp_blocks * mtp_parameters(shape),
    )


def attention_of_layer(shape: Shape) -> int:
    """Projections, biases and inner norms of one attention."""
    width, queries, values = shape.width, shape.query_width, shape.value_width
    if shape.is_latent:
        low = width * shape.query_rank + shape.query_rank + shape.query_rank * queries  # with the norm of the low rank
        of_queries = low if shape.query_rank else width * queries
        down = width * (shape.latent + shape.rotated_head) + shape.latent
        up = shape.latent * shape.heads * (shape.plain_head + shape.value_head)
        bias = (shape.query_rank + shape.latent + shape.rotated_head) if shape.qkv_bias else 0
        return of_queries + down + up + values * width + bias + (width if shape.output_bias else 0)
    keys = shape.kv_heads * shape.head
    projections = width * (queries + 2 * keys) + values * width
    bias = (queries + 2 * keys if shape.qkv_bias else 0) + (width if shape.output_bias else 0)
    return projections + bias + (2 * shape.head if shape.qk_norm else 0)


def mlp_parameters(shape: Shape, inner: int) -> int:
    """Gate, up and down of SwiGLU."""
    return 3 * shape.width * inner + (2 * inner + shape.width if shape.mlp_bias else 0)


def expert_parameters(shape: Shape) -> int:
    return 3 * shape.width * shape.expert_inner


def mtp_parameters(shape: Shape) -> int:
    """One MTP block: two norms, the joining matrix, a decoder layer of the last kind, a norm (arXiv:2412.19437, 2.2)."""
    return 3 * shape.width + 2 * shape.width**2 + layer_parameters(shape)


def layer_parameters(shape: Shape, *, active: bool = False) -> int:
    """The largest kind of layer, with all of its experts or with those that a token meets."""
    common = attention_of_layer(shape) + 2 * shape.width
    if not shape.expert_layers:
        return common + mlp_parameters(shape, shape.inner)
    met = shape.experts_per_token if active else shape.experts
    return common + (met + shape.shared_experts) * expert_parameters(shape) + shape.experts * shape.width


def active_parameters(shape: Shape, *, embedding: bool = True) -> int:
    """Parameters that one token is multiplied with; the embedding table whole, or left out where it is not the head too."""
    counts = count_parameters(shape)
    idle = shape.expert_layers * (shape.experts - shape.experts_per_token) * expert_parameters(shape)
    return counts.total - idle - (0 if embedding or shape.tied else counts.embedding)


def lora_parameters(shape: Shape, rank: int, *, ours: bool) -> int:
    """Adapters of this rank on every matrix of the layers and the MTP blocks; embedding, head and router have none.

    Args:
        ours: matrices that read the same input are joined and have one adapter, routed experts have none (model/lora.py).
            Other frameworks give each its own.
    """
    width, values = shape.width, shape.value_width
    first: tuple[int, ...]  # outputs of the matrices that read the layer's input
    if shape.is_latent:
        first = (shape.query_rank or shape.query_width, shape.latent + shape.rotated_head)
        later = shape.latent + shape.heads * (shape.plain_head + shape.value_head)
        later += shape.query_rank + shape.query_width if shape.query_rank else 0
    else:
        keys = shape.kv_heads * shape.head
        first, later = (shape.query_width, keys, keys), 0
    attention = _ends(width, first, joined=ours) + later + values + width
    dense = _ends(width, (shape.inner, shape.inner), joined=ours) + shape.inner + width
    shared_inner = shape.shared_experts * shape.expert_inner
    shared = _ends(width, (shared_inner, shared_inner), joined=ours) + shared_inner + width if shared_inner else 0
    of_experts = shared + (0 if ours else shape.experts * 3 * (width + shape.expert_inner))
    of_layers = shape.layers * attention + shape.dense_layers * dense + shape.expert_layers * of_experts
    of_mtp = shape.mtp_blocks * (3 * width + attention + (of_experts if shape.experts else dense))
    return rank * (of_layers + of_mtp)


def _ends(inputs: int, outputs: tuple[int, ...], *, joined: bool) -> int:
    """Inputs plus outputs of matrices with one input."""
    return (inputs if joined else inputs * len(outputs)) + sum(outputs)


def cache_numbers(shape: Shape) -> int:
    """Numbers kept for each token by all layers: the latent and the rotated key of MLA, else keys and values."""
    per_layer = shape.latent + shape.rotated_head if shape.is_latent else shape.kv_heads * (shape.head + shape.value_head)
    return shape.layers * per_layer


def matrix_operations(shape: Shape) -> float:
    """Operations of one token's matrix products in a forward pass, head included: two for each weight it meets."""
    return 2.0 * active_parameters(shape, embedding=False)


def mtp_operations(shape: Shape) -> float:
    """The same of the MTP blocks: a layer, the joining matrix, and the shared head once more for each."""
    of_block = layer_parameters(shape, active=True) + 2 * shape.width**2 + shape.vocabulary * shape.width
    return 2.0 * shape.mtp_blocks * of_block


def attention_operations(shape: Shape, context: float) -> float:
    """Operations of one token's scores and weighted sums over `context` earlier tokens, all layers."""
    return 2.0 * context * shape.layers * (shape.query_width + shape.value_width)


def latent_decode_operations(shape: Shape, context: float) -> float:
    """The same where MLA decodes from its latents: every head reads latent and rotated key, and sums latents."""
    if not shape.is_latent:
        return attention_operations(shape, context)
    return 2.0 * context * shape.layers * shape.heads * (2 * shape.latent + shape.rotated_head)


def experts_touched(shape: Shape, tokens: float) -> float:
    """How many of a layer's experts at least one of so many tokens needs, where routing is even."""
    if not shape.experts or tokens <= 0:
        return 0.0
    return float(shape.experts * (1.0 - (1.0 - shape.experts_per_token / shape.experts) ** tokens))

"""Operations of Muon: each hidden matrix is orthogonalised in every step, however few tokens the step has."""

from __future__ import annotations

from collections.abc import Iterator

from cogitate.costs.shape import Shape

ITERATIONS = 5  # of Newton-Schulz


def muon_operations(shape: Shape) -> float:
    """Of one step over all matrices but embedding, head and routers, MTP blocks included."""
    return sum(count * orthogonalising_operations(rows, columns) for count, rows, columns in hidden_matrices(shape))


def orthogonalising_operations(rows: int, columns: int) -> float:
    """Of one matrix: three products an iteration, the Gram matrix, its square, and their sum with the matrix."""
    short, long = min(rows, columns), max(rows, columns)
    return ITERATIONS * (4.0 * short**2 * long + 2.0 * short**3)


def hidden_matrices(shape: Shape) -> Iterator[tuple[int, int, int]]:
    """(how many, inputs, outputs); matrices that read the same input are one, as model/linear.py joins them."""
    width, values, layers = shape.width, shape.value_width, shape.layers + shape.mtp_blocks
    if shape.is_latent:
        yield layers, width, (shape.query_rank or shape.query_width) + shape.latent + shape.rotated_head
        yield layers, shape.latent, shape.heads * (shape.plain_head + shape.value_head)
        if shape.query_rank:
            yield layers, shape.query_rank, shape.query_width
    else:
        yield layers, width, shape.query_width + 2 * shape.kv_heads * shape.head
    yield layers, values, width
    yield shape.mtp_blocks, 2 * width, width
    sparse = shape.expert_layers + (shape.mtp_blocks if shape.experts else 0)
    yield layers - sparse, width, 2 * shape.inner
    yield layers - sparse, shape.inner, width
    if shape.experts:
        yield sparse * shape.experts, width, 2 * shape.expert_inner
        yield sparse * shape.experts, shape.expert_inner, width
        yield sparse, width, 2 * shape.shared_experts * shape.expert_inner
        yield sparse, shape.shared_experts * shape.expert_inner, width

"""Muon's own operations, and those of MTP blocks."""

import torch

from cogitate.apps.plan.models import find_shape
from cogitate.costs.counts import matrix_operations, mtp_operations
from cogitate.costs.muon import hidden_matrices, muon_operations, orthogonalising_operations
from cogitate.costs.shape import Shape
from cogitate.model.config import TINY
from cogitate.model.transformer import Transformer
from cogitate.train.optimisers.muon import MuonAdamW


def test_one_matrix_by_hand() -> None:
    # Gram 2 x 3 x 3 x 5 = 90, its square 2 x 27 = 54, the sum times the matrix 90: five times
    assert orthogonalising_operations(3, 5) == orthogonalising_operations(5, 3) == 5 * (90 + 54 + 90)


def test_the_matrices_are_those_that_muon_gets() -> None:
    model = Transformer(TINY)
    groups = MuonAdamW(model, 1e-3, 0.0).param_groups
    own = sum(parameter.numel() for group in groups if group["muon"] for parameter in group["params"])
    shape = Shape.from_config(TINY.to_dict())
    assert sum(count * rows * columns for count, rows, columns in hidden_matrices(shape)) == own
    shapes = sorted(
        tuple(sorted(parameter.shape[-2:]))
        for group in groups
        if group["muon"]
        for parameter in group["params"]
        for _ in range(1 if parameter.dim() == 2 else len(parameter))
    )
    counted = sorted((min(r, c), max(r, c)) for count, r, c in hidden_matrices(shape) for _ in range(count))
    assert shapes == counted
    assert torch.is_tensor(groups[0]["params"][0])


def test_a_small_step_of_a_mixture_spends_much_of_its_time_in_muon() -> None:
    shape = Shape.from_config(TINY.to_dict())
    of_step = 4096 * 3 * (matrix_operations(shape) + mtp_operations(shape))
    assert 0.1 < muon_operations(shape) / of_step < 0.4


def test_mtp_is_a_layer_a_joining_matrix_and_the_head_once_more() -> None:
    shape, _ = find_shape("deepseek-v3")
    assert 0.03 < mtp_operations(shape) / matrix_operations(shape) < 0.06
    assert mtp_operations(find_shape("qwen3-8b")[0]) == 0

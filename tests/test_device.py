"""What is asked of torch where a run computes with CUDA."""

import warnings

import pytest
import torch

from cogitate.device import prefer_deterministic
from tests.deterministic_mode import mode_restored


@pytest.mark.parametrize(
    "said",
    [
        "cumsum_cuda_kernel does not have a deterministic implementation, but you set",
        "Flash Attention defaults to a non-deterministic algorithm. To explicitly enable determinism call",
        "Memory Efficient attention defaults to a non-deterministic algorithm. To explicitly enable determinism call",
        "TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled. Consider setting",
    ],
)
def test_operations_without_a_deterministic_form_and_float32_go_on_without_a_warning(said: str) -> None:
    before = torch.are_deterministic_algorithms_enabled()
    with mode_restored():
        prefer_deterministic(torch.device("cuda"))
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        warnings.warn(said, UserWarning, stacklevel=1)  # warnings are errors in tests
    assert torch.are_deterministic_algorithms_enabled() == before

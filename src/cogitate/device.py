"""What is asked of a GPU beside its work: deterministic algorithms, copies that nobody waits for, how much memory it has."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.utils.deterministic
from torch import Tensor

# The texts of torch's warnings: of operations without a deterministic form, of attention, and of its compiler where float32 is
# not rounded to TF32.
EXPECTED = (
    ".*does not have a deterministic implementation",
    ".*defaults to a non-deterministic algorithm",
    "TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled",
)


def prefer_deterministic(device: torch.device) -> None:
    """With CUDA, have torch choose deterministic algorithms where it has them (docs/gpu.md says where it has none).

    `warn_only`, since cumsum of floating-point numbers has none and would raise. With it torch leaves the backward pass of
    fused attention as it is.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010  # torch makes a property of a module
    for message in EXPECTED:
        warnings.filterwarnings("ignore", message=message)


@contextmanager
def without_determinism() -> Iterator[None]:
    """Let torch choose its algorithms freely for a while, as generation may: what it writes goes to places that differ, so that
    any order of writing gives the same bytes. The deterministic `index_put` of CUDA sorts its places by some twenty kernels."""
    if not torch.are_deterministic_algorithms_enabled():
        yield
        return
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True, warn_only=warn_only)


def on_host(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU as one from which a device can copy while the host goes on."""
    return tensor.pin_memory() if device.type == "cuda" else tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; one that is there stays. Copied from other memory, the host would wait until the device
    has done all that it was given before."""
    return on_host(tensor, device).to(device, non_blocking=True) if tensor.is_cpu else tensor.to(device)


def memory_of_device(device: torch.device) -> int | None:
    """All memory of a GPU, in bytes; None of other devices."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.mem_get_info(device)[1])

"""When the host waits for CUDA, as torch itself reports it: copies that block and results that are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from cogitate.model.moe import GROUPED_ON

OF_A_WAIT = "called a synchronizing CUDA operation"
OF_THE_MODE = "Synchronization debug mode is a prototype feature"  # said once, and warnings are errors here


@contextmanager
def each_wait(reaction: str) -> Iterator[None]:
    """As long as this lasts, a wait is an "error", or torch will "warn" of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=OF_THE_MODE)
        torch.cuda.set_sync_debug_mode(reaction)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def waits_of(action: Callable[[], object]) -> int:
    """How often the host waits while it does something."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with each_wait("warn"):
            action()
    return sum(OF_A_WAIT in str(warning.message) for warning in said)


def skip_where_experts_wait() -> None:
    if torch.cuda.get_device_capability()[0] not in GROUPED_ON:
        pytest.skip("torch has no grouped product for this GPU: each layer with experts waits once")

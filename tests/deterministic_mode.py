"""torch's deterministic mode, which a test may change and others must not see."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.utils.deterministic

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def mode_restored() -> Iterator[None]:
    """What `prefer_deterministic` sets is as before at the end."""
    enabled, warn_only = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    workspace = os.environ.get(WORKSPACE)
    filled = getattr(torch.utils.deterministic, "fill_uninitialized_memory")  # noqa: B009  # a property of a module
    try:
        with warnings.catch_warnings():
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        setattr(torch.utils.deterministic, "fill_uninitialized_memory", filled)  # noqa: B010
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
        else:
            os.environ[WORKSPACE] = workspace

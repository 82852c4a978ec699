"""Heavy libraries are imported when first needed. A worker tells its pool, so that the completion does not pay for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _nobody_to_tell(begins: bool) -> None:
    """Outside a worker nobody is waiting with a clock."""


announce: Callable[[bool], None] = _nobody_to_tell  # replaced by workers


@contextmanager
def heavy_import() -> Iterator[None]:
    """Around an import, or the loading of a model, that takes a noticeable time once in a process."""
    announce(True)
    try:
        yield
    finally:
        announce(False)

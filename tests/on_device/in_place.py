"""Reads in place on the stand-in, which does by the operation's plain form what a device does by a Triton kernel: what that is
given, and when, is tested here; the kernel in tests/on_triton."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cogitate.model.paged.reads import IN_PLACE
from tests.on_device.stand_in_device import KIND


@contextmanager
def reads_in_place() -> Iterator[None]:
    """As long as this lasts, steps on the stand-in read the cache's blocks in place."""
    IN_PLACE[KIND] = lambda: True
    try:
        yield
    finally:
        del IN_PLACE[KIND]

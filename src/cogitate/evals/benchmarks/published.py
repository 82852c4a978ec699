"""Figures that others have published: published.toml. None of them was measured here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from cogitate.config import Section
from cogitate.config.toml import read_toml

FILE = Path(__file__).with_name("published.toml")


class Published(Section):
    """One row of a published table.

    Attributes:
        measure: what the publisher calls it.
        values: percent, by model.
    """

    benchmark: str
    measure: str
    source: str
    values: Mapping[str, float]


@lru_cache(maxsize=1)
def read_published() -> tuple[Published, ...]:
    return tuple(Published(**row) for row in read_toml(FILE)["figures"])

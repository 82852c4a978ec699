"""Two ranks that all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.train.sharded.together import Together


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    together = Together(2, tmp_path_factory.mktemp("two_ranks"))
    yield together
    together.close()

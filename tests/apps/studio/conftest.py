"""Graders that all tests of the studio share: to start them takes longer than to use them."""

from collections.abc import Iterator

import pytest

from cogitate.apps.studio.grading import Regrading


@pytest.fixture(scope="module")
def grading() -> Iterator[Regrading]:
    grading = Regrading()
    yield grading
    grading.close()

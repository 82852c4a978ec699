"""Models that several tests talk to."""

from pathlib import Path

import pytest

from tests.apps.memorised_model import save_endless_model, save_memorised_model


@pytest.fixture(scope="session")
def memorised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a model that knows a few conversations by heart."""
    directory = tmp_path_factory.mktemp("memorised")
    save_memorised_model(directory)
    return directory


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a model that never ends."""
    directory = tmp_path_factory.mktemp("endless")
    save_endless_model(directory)
    return directory

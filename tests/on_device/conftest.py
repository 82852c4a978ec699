"""Everything here runs on a stand-in for an accelerator, which changes torch: in a process of its own, `pytest -m device`."""

import pytest

from tests.on_device.stand_in_device import register


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "on_device" in item.path.parts:
            item.add_marker("device")


@pytest.fixture(scope="session", autouse=True)
def _device() -> None:
    """Autograd asks which devices there are before its first backward pass, and never again."""
    register()

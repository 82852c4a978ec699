"""The project's Triton kernels without a GPU, by `make test-triton`: run by Triton's interpreter, and compiled for GPUs."""

import importlib.util

import pytest

collect_ignore = [] if importlib.util.find_spec("triton") else ["test_compiled.py", "test_interpreted.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "on_triton" in item.path.parts:
            item.add_marker("triton")

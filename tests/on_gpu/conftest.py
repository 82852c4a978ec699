"""Tests with a CUDA device, by `make test-gpu`, and a table of what they measured."""

from collections.abc import Callable, Iterator

import pytest
import torch

from cogitate.device import prefer_deterministic
from tests.deterministic_mode import mode_restored

Figure = Callable[[str, str], None]
FIGURES: list[tuple[str, str]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "on_gpu" in item.path.parts:
            item.add_marker("gpu")


@pytest.fixture(autouse=True)
def _cuda() -> Iterator[None]:
    """As in a run: with torch's deterministic mode, which does not outlive the test."""
    if not torch.cuda.is_available():
        pytest.fail("torch finds no CUDA device")
    with mode_restored():
        prefer_deterministic(torch.device("cuda"))
        yield


@pytest.fixture
def figure() -> Figure:
    """Notes a figure for the table: what, how much."""
    return lambda what, value: FIGURES.append((what, value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        width = max(len(what) for what, _ in FIGURES)
        terminalreporter.write_line(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}")
        for what, value in FIGURES:
            terminalreporter.write_line(f"{what:<{width}}  {value}")

"""What the runs of this folder are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.clustered import run


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short R1-Zero without a cluster."""
    out = tmp_path_factory.mktemp("laptop") / "run"
    assert run(out).returncode == 0
    return out

"""The process that connects to a Ray: its environment, and a Ray that it had before."""

import os
from pathlib import Path

import pytest

from cogitate.config import ClusterConfig
from cogitate.errors import ConfigError

pytestmark = pytest.mark.cluster


def test_a_token_in_the_environment_does_not_come_before_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from cogitate.cluster.session import environment, with_token

    monkeypatch.setenv("RAY_AUTH_TOKEN", "theirs")
    with environment(**with_token(Path("token"))):
        assert "RAY_AUTH_TOKEN" not in os.environ
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == "token"
    assert os.environ["RAY_AUTH_TOKEN"] == "theirs"


def test_an_address_without_a_ray_is_refused_before_anything_is_connected(tmp_path: Path) -> None:
    import ray

    from cogitate.cluster.session import Session

    with pytest.raises(ConfigError, match=r"^cluster\.address=127\.0\.0\.1:1: cannot be reached \("):
        Session(ClusterConfig(address="127.0.0.1:1"), tmp_path, print)
    assert not ray.is_initialized()


def test_a_process_with_a_ray_of_its_own_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ray

    from cogitate.cluster.session import Session

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("the user's Ray was shut down"))
    with pytest.raises(ConfigError, match="connected to a Ray already"):
        Session(ClusterConfig(), tmp_path, print)

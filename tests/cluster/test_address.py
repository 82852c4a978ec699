"""Addresses at which no Ray is."""

import socket

import pytest

from cogitate.cluster.address import check_address
from cogitate.config import ClusterConfig
from cogitate.errors import ConfigError


@pytest.mark.parametrize("address", [f"{'a' * 70}:6379", "127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_that_cannot_be_reached_is_one_line(address: str) -> None:
    with pytest.raises(ConfigError, match=f"cluster.address={address}: cannot be reached"):
        check_address(ClusterConfig(address=address))


def test_a_token_file_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"cluster\.token_file=/nowhere: no such file"):
        check_address(ClusterConfig(address="127.0.0.1:1", token_file="/nowhere"))


@pytest.mark.parametrize("host", ["193.0.2.7", "10.1.2.3", "100.64.0.9", "127.0.0.1"])
def test_a_public_address_is_refused_unless_its_network_is_trusted(host: str) -> None:
    there = {"address": f"{host}:1", "token_file": "/nowhere"}  # which is looked for next
    refused = f"{host} is a public address" if host == "193.0.2.7" else "no such file"
    with pytest.raises(ConfigError, match=refused):
        check_address(ClusterConfig.model_validate(there))
    with pytest.raises(ConfigError, match="no such file"):
        check_address(ClusterConfig.model_validate({**there, "trusted_network": True}))


@pytest.mark.cluster  # the process that asks imports Ray
def test_an_address_that_accepts_connections_and_says_nothing_is_left_after_the_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = ClusterConfig(address=f"127.0.0.1:{silent.getsockname()[1]}", start_limit=0.5)
        with pytest.raises(ConfigError, match=r"does not answer as Ray does for 0\.5 s"):
            check_address(settings)

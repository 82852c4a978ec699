"""Whether a Ray that should run already answers: a process of its own asks, since Ray waits for ever for some that do not."""

from __future__ import annotations

import ipaddress
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

from cogitate.config import ClusterConfig
from cogitate.errors import ConfigError

SECONDS_TO_REACH = 5.0  # for an address to accept a connection
# It ends by itself too, should whoever waits for it be killed.
PROBE = """
import os, signal, sys, ray
signal.alarm(int(sys.argv[2]))
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
except Exception as error:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    print(lines[0] if lines else type(error).__name__, flush=True)
    os._exit(3)
ray.shutdown()
"""
REFUSED = 3  # exit status of the probe; its only line says why


def check_address(settings: ClusterConfig) -> None:
    """To be called in the environment that the connection will be made in.

    Raises:
        ConfigError: the address is public, nothing is there, what is there does not answer in start_limit, or refuses.
    """
    host, _, port = settings.address.rpartition(":")
    where = f"cluster.address={settings.address}"
    if not settings.trusted_network and (public := public_address_of(host)):
        raise ConfigError(
            f"{where}: {public} is a public address, and whoever has the token can run code there: give the private network's, "
            "or set cluster.trusted_network=true where others do not reach Ray's ports"
        )
    if settings.token_file and not Path(settings.token_file).is_file():
        raise ConfigError(f"cluster.token_file={settings.token_file}: no such file")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_REACH).close()
    except (OSError, OverflowError, UnicodeError) as error:  # the last one: no name of a host
        raise ConfigError(f"{where}: cannot be reached ({error}): is Ray running there?") from None
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, settings.address, str(math.ceil(settings.start_limit) + 1)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
            timeout=settings.start_limit, env=os.environ,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{where}: does not answer as Ray does for {settings.start_limit:g} s (cluster.start_limit): is it Ray's head?"
        ) from None
    if done.returncode:
        said = done.stdout.strip().splitlines()[-1:] if done.returncode == REFUSED else []
        raise ConfigError(f"{where}: Ray refuses: {said[0] if said else f'a probe ended with status {done.returncode}'}")


def public_address_of(host: str) -> str:
    """The IPv4 address of a host where it is one of the internet; "" where it is private, or there is no such host."""
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host))
    except (OSError, UnicodeError):
        return ""
    return str(address) if address.is_global else ""

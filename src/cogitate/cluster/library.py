"""Whether Ray is installed, and which version: asked before anything imports it."""

from __future__ import annotations

from importlib import metadata

from cogitate.errors import ConfigError

TESTED = "2.60"  # the version of Ray that this is tested with: its options for a cluster on loopback are not all documented


def check_library() -> None:
    """Refuse to begin without Ray, or with one that was never tried.

    Raises:
        ConfigError: says what to install.
    """
    try:
        version = metadata.version("ray")
    except metadata.PackageNotFoundError:
        raise ConfigError('runtime.backend=ray needs Ray, which is not installed: pip install "cogitate[cluster]"') from None
    if not version.startswith(f"{TESTED}."):
        raise ConfigError(f'Ray {version} is installed, and {TESTED} is what was tested: pip install "cogitate[cluster]"')

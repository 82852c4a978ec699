"""Ray that is missing or untested."""

from importlib import metadata

import pytest

from cogitate.cluster.library import check_library
from cogitate.errors import ConfigError


def test_a_missing_or_untested_ray_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(
        ConfigError, match=r'runtime\.backend=ray needs Ray, which is not installed: pip install "cogitate\[cluster\]"'
    ):
        check_library()
    monkeypatch.setattr(metadata, "version", lambda name: "2.61.0")
    with pytest.raises(ConfigError, match=r"Ray 2\.61\.0 is installed, and 2\.60 is what was tested"):
        check_library()
    monkeypatch.setattr(metadata, "version", lambda name: "2.60.3")
    check_library()

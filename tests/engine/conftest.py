"""What tests of engines share."""

import pytest

from cogitate.engine.decode import Decoder
from cogitate.kernels import native_library


@pytest.fixture(params=["kernels", "plain"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two forms decodes."""
    if request.param == "plain":
        monkeypatch.setattr(Decoder, "supports", staticmethod(lambda model: False))
    elif native_library() is None:
        pytest.skip("no compiler for the kernels")
    return str(request.param)

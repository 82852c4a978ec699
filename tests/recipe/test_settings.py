"""Settings of a recipe that follow from the machine."""

import pytest

from cogitate.kernels import isa
from cogitate.recipe.settings import read_recipe


@pytest.mark.parametrize(("processor", "faster"), [("amx", "bfloat16"), ("avx2", "float32")])
def test_an_automatic_type_is_recorded_as_what_the_machine_is_faster_in(
    processor: str, faster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isa, "isa", lambda: processor)
    monkeypatch.setattr(isa, "faster_type", lambda: faster)
    automatic = read_recipe("tiny", ["runtime.dtype=auto", "runtime.device=cpu"])
    said = read_recipe("tiny", [f"runtime.dtype={faster}", "runtime.device=cpu"])
    assert automatic.config == said.config
    assert automatic.origins["runtime.dtype"] == f"auto, {processor}"

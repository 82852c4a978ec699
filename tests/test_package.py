"""`import cogitate`: what it offers, and that it costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cogitate

STUB = Path(cogitate.__file__).with_suffix(".pyi")


def test_it_offers_at_most_eight_names_each_documented() -> None:
    assert len(cogitate.__all__) <= 8
    assert [name for name in cogitate.__all__ if not getattr(cogitate, name).__doc__] == []
    assert set(cogitate.__all__) <= set(dir(cogitate))


def test_the_stub_names_the_same_places() -> None:
    imports = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom)]
    places = {alias.name: str(node.module) for node in imports for alias in node.names}
    assert set(places) == set(cogitate.__all__)
    assert {name: getattr(cogitate, name).__module__ for name in places} == places


def test_importing_it_imports_none_of_its_rooms_and_no_library() -> None:
    code = "import sys, cogitate; print([m for m in sys.modules if m.startswith('cogitate.') or m in ('torch', 'pydantic')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = cogitate.trian  # type: ignore[attr-defined]

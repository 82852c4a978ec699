"""docs/architecture.md against the import contract: the same rooms on the same levels."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_A_ROOM = {"__main__"}


def layers() -> list[set[str]]:
    """The layers that CI checks, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layered,) = (contract for contract in contracts if contract["type"] == "layers" and contract["containers"] == ["cogitate"])
    named = [{name.strip() for name in re.split(r"[|:]", layer)} for layer in layered["layers"]]
    return [names for names in named if not names <= NOT_A_ROOM]


def test_the_page_names_every_room_on_its_level() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| (.+?) \|", page, re.MULTILINE)
    names = [re.findall(r"`(\w+)(?:/|\.py)`", row) for row in rows]
    lowest, rooms = len(names) - 1, [set(row) for row in names]
    assert rooms[:lowest] == layers()[:lowest]
    assert names[lowest] == [name for layer in layers()[lowest:] for name in layer]  # each file of level 0 is a layer

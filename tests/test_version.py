"""One source of the version: `cogitate.__version__`. Everything else that states it is compared with it."""

import re
from importlib import metadata
from pathlib import Path

from typer.testing import CliRunner

import cogitate
from cogitate.cli import app

ROOT = Path(__file__).parents[1]


def test_the_command_line_shows_the_version_and_ends() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"cogitate {cogitate.__version__}\n")


def test_the_installed_package_has_this_version() -> None:
    assert metadata.version("cogitate") == cogitate.__version__


def test_citation_and_changelog_name_this_version() -> None:
    citation, changelog = ((ROOT / name).read_text(encoding="utf-8") for name in ("CITATION.cff", "CHANGELOG.md"))
    named = re.search(r"^version: (.+)$", citation, re.MULTILINE)
    assert named is not None
    assert named.group(1) == cogitate.__version__
    assert f"\n## {cogitate.__version__}\n" in changelog

"""What `make` does before anything is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD = f"""#!/bin/sh
exec {sys.executable} -c "import sys; sys.version_info = (3, 10, 0); exec(sys.argv[1])" "$2"
"""  # python -c CODE, of another version


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def old_python(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OLD)
    path.chmod(0o755)
    return path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "PYTHON")}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def test_a_python_that_is_too_old_is_refused_by_one_line_that_says_what_to_do(checkout: Path) -> None:
    python = old_python(checkout / "python3.10")
    command = make(checkout, f"PYTHON={python}", "run")
    assert command.returncode == 2
    said, _ = command.stderr.splitlines()  # the second line is make's own
    assert said == (
        f"make: Cogitate needs Python 3.11 or newer, and {python} is 3.10; name another one: make PYTHON=python3.12 run"
    )
    assert not (checkout / ".venv").exists()


def test_an_environment_of_a_python_that_is_too_old_or_gone_is_made_anew(checkout: Path) -> None:
    old_python(checkout / ".venv" / "bin" / "python")
    make(checkout, "--dry-run", "run")
    assert not (checkout / ".venv").exists()
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python")
    make(checkout, "--dry-run", "run")
    assert not (checkout / ".venv").exists()


def test_an_environment_that_can_be_used_stays(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    make(checkout, "--dry-run", "run")
    assert (checkout / ".venv" / "bin" / "python").exists()

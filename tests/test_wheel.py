"""What a stranger installs: the wheel that is built from the source distribution, in an environment without anything else.

Slow: it fetches every dependency of the base installation from the package index.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "cogitate"
NOT_DATA = {".pyc", ".tmp"}
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def data_files() -> set[str]:
    """Every file of the package, as a wheel names it."""
    files = (file for file in PACKAGE.rglob("*") if file.is_file() and file.suffix not in NOT_DATA)
    return {file.relative_to(PACKAGE.parent).as_posix() for file in files}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution, and the wheel built from it; made from a copy, so that the checkout stays as it is."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in BUILT_FROM:
        shutil.copyfile(ROOT / name, copy / name)
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(copy)], check=True)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def clean(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that holds the wheel and what it asks for, in the versions we pin."""
    directory = tmp_path_factory.mktemp("clean")
    venv.create(directory, with_pip=True)
    constraints = ROOT / "constraints.txt"
    torch = next(line for line in constraints.read_text().splitlines() if line.startswith("torch=="))
    for what in (torch, str(distributions[1])):  # torch first: a range would let pip choose a build of several GB
        command: list[str | Path] = [directory / "bin" / "pip", "install", "--quiet", "--constraint", constraints, what]
        subprocess.run(command, check=True)
    return directory / "bin"


def run(*command: str | Path, cwd: Path) -> str:
    """Run it as a user would, with nothing of this checkout in reach."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(command, check=True, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True).stdout


def test_the_wheel_holds_every_file_of_the_package_and_the_licence(distributions: tuple[Path, Path]) -> None:
    files = data_files()
    kinds = {Path(name).suffix for name in files}
    assert {".cpp", ".h", ".toml", ".safetensors", ".html", ".css", ".js"} <= kinds
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = set(wheel.namelist())
    assert files - names == set()
    assert {name for name in names if name.startswith("cogitate/")} == files
    assert any(re.fullmatch(r"cogitate-[^/]+\.dist-info/licenses/LICENSE", name) for name in names)


def test_the_source_distribution_holds_the_same(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in data_files()} | set(BUILT_FROM) <= names


def test_a_clean_environment_grades_answers_and_programs(clean: Path, tmp_path: Path) -> None:
    rows = [
        {"kind": "math", "prediction": "<think>6 * 7</think> \\boxed{42}", "gold": "42"},
        {"kind": "math", "prediction": "<think>6 * 7</think> \\boxed{41}", "gold": "42"},
        {
            "kind": "code", "prediction": "```python\ndef double(x):\n    return 2 * x\n```", "mode": "function",
            "entry_point": "double", "tests": [{"args": [4], "expected": 8}],
        },
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(clean / "cogitate", "grade", "in.jsonl", "--out", "out.jsonl", cwd=tmp_path)
    graded = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in graded] == ["right", "wrong", "right"], [row["reason"] for row in graded]


def test_a_clean_environment_finds_recipes_and_shipped_models(clean: Path, tmp_path: Path) -> None:
    plan = run(clean / "cogitate", "run", "tiny", "--dry-run", cwd=tmp_path)
    assert len(re.findall(r"^(?:base|student_base_\w+) +[0-9a-f]{12}  cached: shipped", plan, re.MULTILINE)) == 3, plan
    answer = run(clean / "cogitate", "chat", "base", "--prompt", "What is 2 + 3?", "--max-new-tokens", "8", cwd=tmp_path)
    assert answer.strip()


@pytest.mark.skipif(shutil.which("g++") is None, reason="kernels need a C++ compiler")
def test_a_clean_environment_compiles_the_kernels(clean: Path, tmp_path: Path) -> None:
    code = "from cogitate.kernels import native_library; print(native_library() is not None)"
    assert run(clean / "python", "-c", code, cwd=tmp_path).strip() == "True"

import json
import platform
import subprocess
from pathlib import Path

import pytest

import cogitate
from cogitate.apps.status import status_text
from cogitate.recipe.run_directory.made_with import commit_of, made_with, made_with_text
from tests.recipe.toy_recipe import run_toy, toy_config


def test_settings_and_manifests_say_with_what_they_were_written_and_status_says_it_in_a_line(tmp_path: Path) -> None:
    run_toy(tmp_path / "run", toy_config(tmp_path))
    for name in ("config.json", "toy/manifest.json", "evaluate.toy/manifest.json"):
        facts = json.loads((tmp_path / "run" / name).read_text())["made_with"]
        assert facts == made_with()
        assert (facts["cogitate"], facts["python"]) == (cogitate.__version__, platform.python_version())
        assert {"torch", "numpy", "processor"} <= facts.keys()
    line = made_with_text({"made_with": made_with()})
    assert line in status_text(tmp_path / "run").splitlines()
    assert line in status_text(tmp_path / "run" / "toy").splitlines()
    assert "\n" not in line
    assert made_with_text({}) == ""


def test_a_commit_is_that_of_the_checkout_and_not_of_a_repository_around_it(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    package = tmp_path / "src" / "cogitate"
    elsewhere = tmp_path / ".venv" / "lib" / "cogitate"
    for place in (package, elsewhere):
        place.mkdir(parents=True)
        (place / "code.py").write_text("1\n")
    assert commit_of(package) == ""
    git("init", "-q")
    git("add", "src")
    git("commit", "-q", "-m", "code")
    assert commit_of(package) == git("rev-parse", "HEAD")
    assert commit_of(elsewhere) == ""
    (package / "code.py").write_text("2\n")
    assert commit_of(package) == f"{git('rev-parse', 'HEAD')} with changes"


def test_no_key_of_the_environment_is_in_any_file_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, f"recognisable-{name}")
    run_toy(tmp_path / "run", toy_config(tmp_path))
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if b"recognisable-" in path.read_bytes()]

"""README.md against what is there: its commands can be parsed, its Python runs, its links lead somewhere, it stays short."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from cogitate.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


EXAMPLES = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("cogitate")]


def test_it_can_be_read_in_a_few_minutes() -> None:
    assert len(README.split()) <= 800


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_command_is_a_command_line(example: str) -> None:
    _, name, *rest = shlex.split(example, comments=True)
    with COMMANDS[name].make_context(name, rest) as context:  # an unknown option or a wrong value is an exception
        assert context.args == []


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in ("README.md", "CONTRIBUTING.md") for name in re.findall(r"\bmake ([a-z-]+)`", read(page))}
    assert named
    assert named <= targets


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    small = code.replace(
        'r1_zero={"steps": 20}',
        'r1_zero={"steps": 1, "prompts_per_step": 4, "group_size": 4}, '
        'evaluate={"problems": 5, "samples": 1, "general_problems": 0, "consensus_problems": 0, "max_new_tokens": 16}',
    )
    assert small != code
    exec(small, {})
    assert capsys.readouterr().out.split()[-1] in ("right", "wrong")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_every_link_leads_to_a_file(page: str) -> None:
    links = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page)))
    assert links
    assert [link for link in sorted(links) if not (ROOT / link).exists()] == []


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")

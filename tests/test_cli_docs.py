"""docs/cli.md against the command line itself: every command and option is there, and every example can be parsed."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from cogitate.cli import app

PAGE = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
EXAMPLES = [
    line.partition("|")[2].strip() if line.startswith("echo") else line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def section(name: str) -> str:
    """What stands under the heading that names the command."""
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    return next((text for heading, text in zip(parts[1::2], parts[2::2], strict=True) if name in heading.split(", ")), "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_with_an_example_and_all_its_options(name: str) -> None:
    text = section(name)
    assert f"cogitate {name} " in text or f"cogitate {name}\n" in text
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if option != "--help" and f"`{option}" not in text] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_command_line(example: str) -> None:
    words = shlex.split(example.partition(">")[0], comments=True)
    assert words[0] == "cogitate"
    command = COMMANDS[words[1]]
    with command.make_context(words[1], words[2:]) as context:  # an unknown option or a wrong value is an exception
        assert context.args == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_a_section_names_exists(name: str) -> None:
    sharing = [command for other, command in COMMANDS.items() if section(other) == section(name)]
    known = {option for command in sharing for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"`(--[a-z-]+)", section(name)))
    assert named <= known

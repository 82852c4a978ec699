"""What a user can type in a conversation instead of a question."""

from __future__ import annotations

from typing import Literal

from cogitate.errors import DataError

Command = Literal["help", "clear"]
COMMANDS: dict[Command, str] = {
    "help": "this list",
    "clear": "forget the conversation",
}
KEYS = {"Ctrl-C": "stops a completion", "Ctrl-D": "ends"}


def command_of(line: str) -> Command | None:
    """The command that a line is; None for a question.

    Raises:
        DataError: it begins like a command, and there is none of that name.
    """
    word = line.rstrip()
    if not word.startswith("/"):
        return None
    for name in COMMANDS:
        if word == f"/{name}":
            return name
    if " " in word or "/" in word[1:]:  # a path, a sentence
        return None
    raise DataError(f"{word}: no such command; /help lists them; a question may begin with a space")


def help_text() -> str:
    """A line for each command and key."""
    rows = [*((f"/{name}", meaning) for name, meaning in COMMANDS.items()), *KEYS.items()]
    return "\n".join(f"{name:<8}{meaning}" for name, meaning in rows)

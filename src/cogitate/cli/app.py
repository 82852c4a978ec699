"""The application itself, and its entry point: mistakes the user can mend are one line and exit code 2."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, NoReturn

import typer

from cogitate import __version__
from cogitate.errors import CogitateError, Interrupted
from cogitate.runtime import is_disk_full, lost_file

app = typer.Typer(
    help="The DeepSeek-R1 recipe: from a base language model to a reasoning model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point: a mistake the user can mend is one line on standard error and exit code 2."""
    try:
        app()
    except Interrupted as stop:
        leave(str(stop), stop.exit_code)
    except CogitateError as error:
        leave(f"error: {error}", 2)
    except Exception as error:
        if is_disk_full(error):
            leave(f"error: the disk is full ({error}): free some space; the same command goes on from the last checkpoint", 2)
        lost = lost_file(error)
        if lost is None:
            raise
        leave(f"error: {lost}: was it moved or deleted? Put it back; the same command goes on from what is left", 2)


def leave(message: str, exit_code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # standard error may be a file on the full disk
        print(" ".join(message.split()), file=sys.stderr)
    sys.exit(exit_code)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cogitate {__version__}")
        raise typer.Exit()


@app.callback()
def options_of_every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands before the command."""

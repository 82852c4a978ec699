"""The command for people who read and judge what models wrote."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Literal

import typer

from cogitate.cli.app import app
from cogitate.errors import ConfigError


@app.command()
def studio(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="An artifact (cold_start), a file of rows, or a studio.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 8701,
    host: Annotated[str, typer.Option(help="The address to listen on; others than this machine need it.")] = "127.0.0.1",
    work: Annotated[
        Literal["review", "pairs", "safety"] | None,
        typer.Option(help="What is decided: texts to learn, preferences of pairs, safety labels; of a new studio review."),
    ] = None,
    annotators: Annotated[str, typer.Option(metavar="NAME,...", help="People who decide; each gets a key.")] = "",
    adjudicators: Annotated[str, typer.Option(metavar="NAME,...", help="People who decide where others disagree.")] = "",
    overlap: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of the items that two annotators decide; of a new studio 0.")
    ] = None,
    add: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="More items for a studio that is there: the file again, longer, or another."),
    ] = None,
    custom: Annotated[str | None, typer.Option(metavar="FILE.py:FUNCTION", help="Judge of rows of kind custom.")] = None,
    unsafe_local: Annotated[bool, typer.Option("--unsafe-local", help="Run model-written code without isolation.")] = False,
    export: Annotated[
        str, typer.Option(metavar="FORM", help="Write: review, conversations, prompt_completion, preferences, labels, argilla.")
    ] = "",
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="Where --export writes; for argilla a directory.")] = None,
    contested: Annotated[bool, typer.Option("--contested", help="Export also what contests the grader's verdict.")] = False,
) -> None:
    """Review cold-start data, compare answers or label them, in a browser."""
    from cogitate.apps.studio import commands

    if export:
        if out is None:
            raise ConfigError("--export needs --out PATH")
        if add is not None:
            raise ConfigError("--export adds nothing: add the items first, by --add alone")
        commands.write(path, export, out, contested=contested, say=typer.echo)
        return
    if out is not None or contested:
        raise ConfigError("--out and --contested are for --export; leave them out")
    wanted = commands.Wanted(work, names(annotators), names(adjudicators), overlap, add)
    commands.serve(path, wanted, host=host, port=port, owner=owner(), custom=custom, unsafe_local=unsafe_local, say=typer.echo)


def say(line: str) -> None:
    """At once, also into a pipe."""
    print(line, flush=True)


def names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def owner() -> str:
    """Who starts the studio."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "me"

"""The command for people who read and judge what models wrote."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from cogitate.cli.app import app
from cogitate.errors import ConfigError

PORT, HOST = 8701, "127.0.0.1"


@app.command()
def studio(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="An artifact (cold_start), a file of rows, or a studio.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = PORT,
    host: Annotated[str, typer.Option(help="The address to listen on; others than this machine need it.")] = HOST,
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
    server_name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name by which the page is reached, as by a proxy.")
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="A further origin of the page, as a proxy's: https://NAME.")
    ] = None,
) -> None:
    """Review cold-start data, compare answers or label them, in a browser."""
    from cogitate.apps.studio import commands

    if export:
        if out is None:
            raise ConfigError("--export needs --out PATH")
        for name, given in {
            "--port": port != PORT, "--host": host != HOST, "--work": work, "--annotators": annotators,
            "--adjudicators": adjudicators, "--overlap": overlap is not None, "--add": add, "--custom": custom,
            "--unsafe-local": unsafe_local, "--server-name": server_name, "--origin": origin,
        }.items():  # fmt: skip
            if given:
                raise ConfigError(f"{name} is for serving and changes nothing of an export; leave it out")
        commands.write(path, export, out, contested=contested, say=typer.echo)
        return
    if out is not None or contested:
        raise ConfigError("--out and --contested are for --export; leave them out")
    wanted = commands.Wanted(work, names(annotators), names(adjudicators), overlap, add)
    commands.serve(
        path, wanted, host=host, port=port, owner=owner(), custom=custom, unsafe_local=unsafe_local, say=typer.echo,
        server_names=server_name or [], origins=origin or [],
    )  # fmt: skip


def say(line: str) -> None:
    """At once, also into a pipe."""
    print(line, flush=True)


def names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def owner() -> str:
    """Who starts the studio, as an annotator's name: `eva@corp.example` is eva-corp.example."""
    try:
        return re.sub(r"[^\w.-]", "-", getpass.getuser())[:40] or "me"
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "me"

"""The command that says what a recipe needs and costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cogitate.cli.app import app
from cogitate.cli.options import Settings
from cogitate.errors import ConfigError


@app.command()
def plan(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A shipped recipe's name (tiny) or the path of a TOML file.")
    ] = None,
    settings: Settings = None,
    gpus: Annotated[
        str | None, typer.Option(metavar="NxGPU", help="64xH100; this computer's processor where none are given.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0.0, help="US dollars an hour of one GPU; the table's if not given.")
    ] = None,
    hardware: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Further accelerators, in the form of the shipped table.")
    ] = None,
    validate: Annotated[
        Path | None, typer.Option(metavar="ROWS.jsonl", help="Predict published figures, and show the errors.")
    ] = None,
    fit: Annotated[
        Path | None, typer.Option(metavar="ROWS.jsonl", help="Fit the factors on the rows whose hash is even; needs --out.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page: .html of a plan, .md of a validation.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Where fitted factors go.")] = None,
    factors: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Factors of --fit or --calibrate instead of the shipped ones.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a recipe needs and costs on given hardware."""
    from cogitate.apps.plan import commands

    if sum(given is not None for given in (recipe, validate, fit)) != 1:
        raise ConfigError("plan: give one of RECIPE, --validate ROWS.jsonl and --fit ROWS.jsonl")
    table = commands.table_of_hardware(hardware)
    if validate is not None:
        typer.echo(commands.validate(validate, table, factors, page=page, as_json=as_json))
    elif fit is not None:
        typer.echo(commands.fit(fit, table, out))

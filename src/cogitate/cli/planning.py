"""The command that says what a recipe needs and costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cogitate.cli.app import app
from cogitate.cli.options import Settings
from cogitate.errors import ConfigError

OF_A_RECIPE = ("--model", "--layout", "--like", "--smallest", "--against", "--budget", "--twice-as-long", "settings")
READ_BY = {  # use -> the options that it reads
    "RECIPE": (*OF_A_RECIPE, "--gpus", "--price", "--hardware", "--factors", "--page", "--json"),
    "--holds": ("--gpus", "--hardware", "--factors", "--json"),
    "--paper-cost": ("--price", "--hardware", "--factors", "--json"),
    "--validate": ("--hardware", "--factors", "--page", "--json"),
    "--fit": ("--hardware", "--out"),
    "--calibrate": ("--out",),
}
CLUSTERS = ("--smallest", "--budget")  # what they read beside each other
READ_BY_CLUSTERS = ("--model", "--like", "settings", "--gpus", "--price", "--hardware", "--factors")


def refuse_without_effect(use: str, options: Sequence[str]) -> None:
    """Refuse options that a use of the command does not read.

    Raises:
        ConfigError: names the first of them.
    """
    for name in options:
        if name in READ_BY[use]:
            continue
        if name == "--out":
            raise ConfigError("--out is for --fit and --calibrate; a plan is printed, and --page FILE.html writes it")
        why = "is of a recipe's plan and" if name in OF_A_RECIPE else ""
        raise ConfigError(f"plan {use}: {name} {why} has no effect here; leave it out".replace("  ", " "))
    if "--against" in options:
        other = next((name for name in options if name in OF_A_RECIPE and name not in ("--against", "settings")), None)
        if other is not None:
            raise ConfigError(f"--against plans the run as it was: {other} has no effect here; leave it out")
    asked = next((name for name in CLUSTERS if name in options), None)
    if asked is not None:
        for name in options:
            if name != asked and name not in READ_BY_CLUSTERS and name not in ("--page", "--json"):
                raise ConfigError(f"{asked} prints a list of clusters: {name} has no effect here; leave it out")
        if "--price" in options and "--gpus" not in options:
            raise ConfigError("--price is of one of the --gpus: give --gpus NxGPU")
    elif "--hardware" in options and "--gpus" not in options and use == "RECIPE":
        raise ConfigError("--hardware has no effect in a plan for this computer: name one of its accelerators by --gpus NxGPU")


@app.command()
def plan(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A shipped recipe's name (quick) or the path of a TOML file.")
    ] = None,
    settings: Settings = None,
    gpus: Annotated[str | None, typer.Option(metavar="NxGPU", help="E.g. 64xH100; this computer where none are given.")] = None,
    price: Annotated[float | None, typer.Option(min=0.0, help="US dollars an hour of one GPU, instead of the table's.")] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="A published model, e.g. qwen3-8b, in place of base.")] = "",
    layout: Annotated[
        str, typer.Option(metavar="tpN,ppN,epN,cpN", help="Degrees of parallelism of training; the best if none.")
    ] = "",
    like: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run whose lengths and steps are taken for guesses.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run made on this computer: its stages beside their plan, worst first.")
    ] = None,
    smallest: Annotated[bool, typer.Option("--smallest", help="The fewest GPUs of each kind that hold every stage.")] = False,
    budget: Annotated[float | None, typer.Option(metavar="USD", min=0.0, help="The fastest clusters for this much.")] = None,
    twice_as_long: Annotated[
        bool, typer.Option("--twice-as-long", help="What changes where completions may be twice as long.")
    ] = False,
    holds: Annotated[str, typer.Option(metavar="MODEL", help="What --gpus can do with a published model; no recipe.")] = "",
    paper_cost: Annotated[
        bool, typer.Option("--paper-cost", help="What R1 cost, and the planner's figures; no recipe.")
    ] = False,
    hardware: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Further accelerators, in the form of the shipped table.")
    ] = None,
    validate: Annotated[
        Path | None, typer.Option(metavar="ROWS.jsonl", help="Predict published figures, and show the errors; no recipe.")
    ] = None,
    fit: Annotated[
        Path | None, typer.Option(metavar="ROWS.jsonl", help="Fit the factors on the rows whose hash is even, to --out.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure this computer for two to five minutes, for plans without --gpus.")
    ] = False,
    factors: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Factors of --fit or --calibrate instead of the usual ones.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Where --fit or --calibrate writes.")] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page: .html of a plan, .md of a validation.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a recipe needs and costs on given hardware."""
    uses = {
        "RECIPE": recipe is not None, "--holds": bool(holds), "--paper-cost": paper_cost, "--validate": validate is not None,
        "--fit": fit is not None, "--calibrate": calibrate,
    }  # fmt: skip
    given = [use for use, is_given in uses.items() if is_given]
    if len(given) != 1:
        raise ConfigError(f"plan: give one of {', '.join(uses)}; got {' and '.join(given) or 'none'}")
    options = {
        "--model": bool(model), "--layout": bool(layout), "--like": like is not None, "--smallest": smallest,
        "--against": against is not None, "--budget": budget is not None, "--twice-as-long": twice_as_long,
        "settings": bool(settings), "--out": out is not None, "--gpus": gpus is not None, "--price": price is not None,
        "--hardware": hardware is not None, "--factors": factors is not None, "--page": page is not None, "--json": as_json,
    }  # fmt: skip
    refuse_without_effect(given[0], [name for name, is_given in options.items() if is_given])
    from cogitate.apps.plan import commands

    if calibrate:
        typer.echo(commands.calibrate(out, say=lambda line: typer.echo(line, err=True)))
        return
    asked = commands.Asked(commands.table_of_hardware(hardware), gpus, price, factors, as_json, page)
    if validate is not None:
        typer.echo(commands.validate(validate, asked))
    elif fit is not None:
        typer.echo(commands.fit(fit, asked.hardware, out))
    elif holds:
        typer.echo(commands.holds(holds, asked))
    elif paper_cost:
        typer.echo(commands.r1_cost(asked))
    elif against is not None:
        typer.echo(commands.compare_with_run(str(recipe), settings or [], asked, against))
    elif smallest or budget is not None:
        typer.echo(commands.clusters(str(recipe), settings or [], asked, model=model, like=like, budget=budget))
    else:
        typer.echo(
            commands.plan(
                str(recipe), settings or [], asked, model=model, layout=layout, like=like, compare_longer=twice_as_long
            )
        )

"""Commands on verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cogitate.cli.app import app


@app.command()
def grade(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="One completion a line.")],
    out: Annotated[Path, typer.Option(help="Where the graded lines go.")],
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    audit: Annotated[bool, typer.Option("--audit", help="Let both mathematics graders judge; log disagreements.")] = False,
    seconds_limit: Annotated[float, typer.Option(min=0.1, help="Hard limit of one verdict.")] = 5.0,
    custom: Annotated[str | None, typer.Option(metavar="FILE.py:FUNCTION", help="Judge of lines of kind custom.")] = None,
    unsafe_local: Annotated[bool, typer.Option("--unsafe-local", help="Run model-written code without isolation.")] = False,
    packages: Annotated[str, typer.Option(metavar="NAME,...", help="Installed packages that programs may import.")] = "",
    remote_sandbox: Annotated[
        str, typer.Option(metavar="KIND:URL", help="Run programs there: sandbox_fusion:http://... or piston:http://...")
    ] = "",
) -> None:
    """Judge completions: right, wrong or no verdict."""
    from cogitate.rewards.grade_file import grade_file
    from cogitate.rewards.sandbox.isolation import read_packages

    counts = grade_file(
        file, out, workers=workers, audit=audit, seconds_limit=seconds_limit, custom=custom, unsafe_local=unsafe_local,
        packages=read_packages(packages), remote_sandbox=remote_sandbox, say=typer.echo,
    )  # fmt: skip
    typer.echo(counts)


@app.command()
def doctor() -> None:
    """Show how model-written code is isolated here."""
    from cogitate.rewards.sandbox.sandbox import doctor as sandbox_doctor

    typer.echo(str(sandbox_doctor()))

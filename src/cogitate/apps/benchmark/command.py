"""`cogitate eval MODEL... --benchmarks NAME,...`: every model on every benchmark, then the table and the page.

A stopped command goes on where it was: completions are kept as they come, in a directory for each model and benchmark.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from cogitate.apps.backends import check_backend, make_backend
from cogitate.apps.benchmark.asking import PromptName, shots_of, usual_prompt
from cogitate.apps.benchmark.measure import Measuring, Prepared, measure, prepare
from cogitate.apps.benchmark.page import write_page
from cogitate.apps.benchmark.pairwise import baseline_answers
from cogitate.apps.benchmark.result import RESULT, Result, read_result
from cogitate.apps.benchmark.table import result_table
from cogitate.apps.benchmark.training import read_training_text
from cogitate.apps.score_table import WIDE
from cogitate.config import Config
from cogitate.errors import ConfigError, Interrupted
from cogitate.evals.benchmarks.contamination import TrainingText
from cogitate.evals.benchmarks.definition import Benchmark, find_benchmarks
from cogitate.evals.benchmarks.load import Loaded, load_benchmark
from cogitate.model.files.hf import load_config
from cogitate.recipe.models import find_model
from cogitate.recipe.run_directory.store import load_given
from cogitate.recipe.settings import load_recipe
from cogitate.rewards.judge.settings import check_judge

SETTABLE = ("seed=", "evaluate.", "rewards.", "runtime.", "cluster.", "judge.", "tasks.too_long=")
WITHOUT_EFFECT = (
    "rewards.accuracy=", "rewards.format=", "rewards.language", "rewards.parts", "rewards.custom", "evaluate.problems=",
    "evaluate.samples=", "evaluate.further", "evaluate.general", "evaluate.consensus", "runtime.lora",
    "runtime.gradient_checkpointing=", "cluster.trainer", "cluster.update_limit=",
)  # fmt: skip
JUDGEMENTS = "judge_answers"  # the directory among the results
PAPER_TOKENS = 32_768  # the longest completion of the R1 paper (README of DeepSeek-R1, section 4)
SHARE_OF_CONTEXT = 3, 4  # the most of a shorter context that a completion takes: the rest is the prompt's


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        data: directory of the benchmarks' files; None: the hub.
        out: directory of results.
        limit: problems of each benchmark; None: all.
        partial: accept files with fewer rows than are published.
        samples: completions of each problem; None: the benchmark's own k.
        prompt, shots, contract: None: what is usual for model and benchmark.
        shard: (which, of how many) parts of the problems are asked; None: all, with results.
        training: what is compared with the problems for overlap: run directories, recipes, data files.
        settings: section.key=value of SETTABLE.
    """

    data: Path | None
    out: Path
    limit: int | None = None
    partial: bool = False
    samples: int | None = None
    prompt: PromptName | None = None
    shots: int | None = None
    contract: str | None = None
    shard: tuple[int, int] | None = None
    training: Sequence[str] = ()
    settings: Sequence[str] = ()


def run(models: Sequence[str], names: str, options: Options) -> None:
    """Measure all, print the table, write the page.

    Raises:
        CogitateError: a benchmark, its data, a model or a setting cannot be used; all but the weights are looked at before
            anything is drawn.
        Interrupted: Ctrl-C; the same command goes on.
    """
    benchmarks = find_benchmarks(names)
    options = keep_judgements(options, check_settings(options, benchmarks))
    config = check_settings(options, benchmarks)
    directories = find_models(models)
    for benchmark in benchmarks:
        for directory in directories.values():
            shots_of(benchmark, options.prompt or usual_prompt(directory), options.shots)
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    loaded = {
        benchmark.name: load_benchmark(
            benchmark, options.data, limit=options.limit, partial=options.partial, shots=shots_to_load(benchmark, options)
        )
        for benchmark in benchmarks
    }
    for benchmark in benchmarks:
        for line in describe(benchmark, loaded[benchmark.name], options):
            console.print(line, markup=False)
        if benchmark.needs_judge:
            baseline_answers(loaded[benchmark.name])
    training = read_training_text(options.training) if options.training else None
    for path in training.missing if training is not None else ():
        console.print(f"training data: {path}: not there, not compared with the benchmarks", markup=False)
    prepared = {
        name: prepare_model(name, directory, benchmarks, loaded, options, console) for name, directory in directories.items()
    }
    try:
        measure_all(directories, prepared, config, training, options)
    except KeyboardInterrupt:
        raise Interrupted("stopped; the same command goes on from what is kept", 128 + signal.SIGINT) from None
    if options.shard is not None:
        console.print("this shard is done; the same command without --shard makes the results once all are", markup=False)
        return
    results = read_results(options.out, benchmarks, list(directories))
    console.print(result_table(results, benchmarks))
    console.print(f"page: {write_page(results, benchmarks, options.out)}", markup=False)


def prepare_model(
    name: str,
    directory: Path,
    benchmarks: Sequence[Benchmark],
    loaded: dict[str, Loaded],
    options: Options,
    console: Console,
) -> list[Prepared]:
    """One model on every benchmark, looked at before anything is drawn. Raises as `prepare`."""
    model_id, max_context = content_of(directory), load_config(directory).max_position_embeddings
    found = []
    for benchmark in benchmarks:
        measuring = Measuring(
            name, model_id, directory, benchmark, loaded[benchmark.name], options.out / model_id / benchmark.name,
            prompt=options.prompt or usual_prompt(directory), shots=options.shots, contract=options.contract,
            limit=options.limit, shard=options.shard, config=config_for(benchmark, options, max_context),
        )  # fmt: skip
        found.append(prepare(measuring, max_context, lambda line: console.print(line, markup=False)))
    return [each for each in found if each is not None]


def measure_all(
    directories: Mapping[str, Path],
    prepared: Mapping[str, Sequence[Prepared]],
    config: Config,
    training: TrainingText | None,
    options: Options,
) -> None:
    """Each model on every benchmark; its weights are read once. All use one backend, whose processes take seconds to start."""
    backend = make_backend(config, place_of_cluster(options), say=lambda line: print(line, file=sys.stderr))
    try:
        for name, directory in directories.items():
            generator = backend.generator(directory)
            for each in prepared[name]:
                result = measure(each, backend, generator, training)
                if result is not None:
                    result.write(each.measuring.into)
            del generator  # before another model's weights are read
    finally:
        backend.close()


def place_of_cluster(options: Options) -> Path:
    """Where a cluster of our own has its logs: shards that are drawn at the same time have one each."""
    return options.out if options.shard is None else options.out / "shard-{}-of-{}".format(*options.shard)


def check_settings(options: Options, benchmarks: Sequence[Benchmark]) -> Config:
    """The settings that all benchmarks share.

    Raises:
        ConfigError: a setting is unknown or changes nothing here, or a benchmark needs a judge and none is named.
    """
    for setting in options.settings:
        if not setting.startswith(SETTABLE) or setting.startswith(WITHOUT_EFFECT):
            raise ConfigError(f"{setting}: changes nothing with --benchmarks; of use are {', '.join(SETTABLE)} (k: --samples)")
    config = load_recipe("tiny", [*options.settings, f"evaluate.samples={samples_of(benchmarks[0], options)}"])
    judged = [benchmark.name for benchmark in benchmarks if benchmark.needs_judge]
    if judged and not config.judge.model:
        raise ConfigError(
            f"{judged[0]} needs a judge: name it by judge.model=DIRECTORY, or judge.base_url=URL judge.model=NAME"
        )
    if not judged and config.judge.model:
        raise ConfigError("judge.model: none of these benchmarks has answers judged by a model; leave it out")
    check_judge(config.judge)
    check_backend(config)
    return config


def keep_judgements(options: Options, config: Config) -> Options:
    """With the judge's answers kept among the results where the settings name no other place."""
    if not config.judge.model or config.judge.cache:
        return options
    return replace(options, settings=[*options.settings, f"judge.cache={options.out / JUDGEMENTS}"])


def samples_of(benchmark: Benchmark, options: Options) -> int:
    """k: what is asked for, else the benchmark's own; 1 at temperature 0."""
    if options.samples is not None:
        return options.samples
    return 1 if load_recipe("tiny", [*options.settings, "evaluate.samples=1"]).evaluate.temperature == 0 else benchmark.k


def config_for(benchmark: Benchmark, options: Options, max_context: int) -> Config:
    """The settings of one benchmark: its k, and the paper's longest completion or what the context has room for."""
    settings = [*options.settings, f"evaluate.samples={samples_of(benchmark, options)}"]
    if not any(setting.startswith("evaluate.max_new_tokens=") for setting in settings):
        part, whole = SHARE_OF_CONTEXT
        settings.append(f"evaluate.max_new_tokens={max(1, min(PAPER_TOKENS, max_context * part // whole))}")
    return load_recipe("tiny", settings)


def find_models(names: Sequence[str]) -> dict[str, Path]:
    """Raises ConfigError where a model stands there twice, be it by two paths, and what find_model raises."""
    found: dict[str, Path] = {}
    for name in names:
        directory = find_model(name)
        same = next((other for other, path in found.items() if content_of(path) == content_of(directory)), None)
        if same is not None:
            raise ConfigError(f"{name}: the same model as {same}; name it once")
        found[name] = directory
    return found


def content_of(directory: Path) -> str:
    """The hash that names a model's results, whatever its path is."""
    return load_given("MODEL", directory).id


def shots_to_load(benchmark: Benchmark, options: Options) -> int:
    """How many solved examples have to be there, as far as this is known before the model is."""
    if options.prompt == "few_shot":
        return benchmark.shots if options.shots is None else options.shots
    return options.shots or 0


def describe(benchmark: Benchmark, loaded: Loaded, options: Options) -> list[str]:
    """What is measured, of which data, under which licence, and everything that is left out."""
    of = f" of {loaded.available}" if len(loaded.problems) < loaded.available else ""
    k = samples_of(benchmark, options)
    lines = [f"{benchmark.title}: {len(loaded.problems)}{of} problems, k = {k}; licence of the rows: {benchmark.licence}"]
    if options.limit is not None and of:
        lines.append(f"  --limit {options.limit}: a slice, at equal distances; its figure is not the benchmark's")
    if loaded.differs:
        lines.append(f"  {loaded.layout}: {loaded.differs}; its figure is not the benchmark's")
    if loaded.is_partial:
        lines.append(f"  --partial-data: {loaded.rows} of the {loaded.published} published rows are there")
    if loaded.faults.count:
        place, reason = loaded.faults.first[0]
        lines.append(f"  {loaded.faults.count} rows cannot be graded and are left out; the first: {place}: {reason}")
    if k < benchmark.k:
        of_paper = f"the paper draws {benchmark.k}" if benchmark.k_source == "paper" else f"usual are {benchmark.k}"
        lines.append(f"  k = {k} where {of_paper}: wider intervals, and no cons@{benchmark.k}")
    return lines


def read_results(out: Path, benchmarks: Sequence[Benchmark], models: Sequence[str]) -> list[Result]:
    """Every result of these benchmarks in a directory, by benchmark: of this command's models in their order, then of earlier
    ones by name."""
    found = [read_result(path) for path in sorted(out.glob(f"*/*/{RESULT}"))]
    order = {benchmark.name: number for number, benchmark in enumerate(benchmarks)}
    place = {name: number for number, name in enumerate(models)}
    return sorted(
        (one for one in found if one.benchmark in order),
        key=lambda one: (order[one.benchmark], place.get(one.model, len(place)), one.model),
    )

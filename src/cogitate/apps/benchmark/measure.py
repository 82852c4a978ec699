"""One model on one benchmark: drawn, graded, counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.answers import Answers
from cogitate.apps.benchmark.asking import PromptName, asking_of, instruction_of, shots_of
from cogitate.apps.benchmark.pairwise import compare_with_baseline, judge_settings
from cogitate.apps.benchmark.result import BITS, RESULT, VERDICTS, Result, read_result, right_of
from cogitate.apps.evaluate import CountedGenerator, counting
from cogitate.backend import Backend, Generator
from cogitate.config import Config
from cogitate.errors import DataError
from cogitate.evals.benchmarks.contamination import TrainingText, contamination
from cogitate.evals.benchmarks.definition import Benchmark
from cogitate.evals.benchmarks.instructions import instruction_metrics
from cogitate.evals.benchmarks.kept import KeptGenerator, kept_file, read_others
from cogitate.evals.benchmarks.load import Loaded
from cogitate.evals.benchmarks.readers.code import STDIN
from cogitate.evals.completions import completion_rows, write_rows
from cogitate.evals.evaluate import Asking, Measured, consensus_table, measure_model, missing_verdicts, table
from cogitate.recipe.asking import Fitting, check_thinks, fitting, thinking_budgets
from cogitate.rewards.kinds import has_rules
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import R1_INSTRUCTION
from cogitate.train.rollouts import encode_all
from cogitate.types import SamplingParams

COMPLETIONS = "completions.jsonl"


@dataclass(frozen=True, slots=True)
class Measuring:
    """What is measured, and how.

    Attributes:
        name: of the model, as the user wrote it. model_id: a hash of its content.
        into: the directory of what is kept and of the result.
        shots, contract, limit, shard: as of the command's Options.
        config: evaluate, rewards, runtime and judge are used.
    """

    name: str
    model_id: str
    directory: Path
    benchmark: Benchmark
    loaded: Loaded
    into: Path
    prompt: PromptName
    shots: int | None
    contract: str | None
    limit: int | None
    shard: tuple[int, int] | None
    config: Config

    def settings(self, asking: Asking, shots: int) -> dict[str, Any]:
        """What results are compared by, and what a reader of one wants to know."""
        evaluate = self.config.evaluate
        return {
            "prompt": asking.name, "shots": shots, "contract": asking.contract, "k": evaluate.samples,
            "temperature": evaluate.temperature, "top_p": evaluate.top_p, "max_new_tokens": evaluate.max_new_tokens,
            "thinking_budget": evaluate.thinking_budget, "closing_phrase": evaluate.closing_phrase,
            "min_thinking": evaluate.min_thinking, "waits": evaluate.waits,
            "seed": self.config.seed, "dtype": self.config.runtime.dtype, "limit": self.limit, **self.arithmetic(),
            "instruction": instruction_of(self.benchmark, self.prompt),
            "files": [file.sha256 for file in self.loaded.files],
            "example_files": [file.sha256 for file in self.loaded.example_files] if shots else [],
            **{name: getattr(self.config.rewards, name) for name in VERDICTS},
            **(judge_settings(self.config.judge, self.loaded) if self.benchmark.needs_judge else {}),
        }  # fmt: skip

    def arithmetic(self) -> dict[str, Any]:
        """What decides a completion beside its request and the type of the weights; {}: our engine, nothing rounded."""
        found: dict[str, Any] = {name: bits for name in BITS if (bits := getattr(self.config.runtime, name))}
        return found if self.config.cluster.engine == "own" else {**found, "engine": self.config.cluster.engine}

    def scope(self) -> str:
        """What kept completions are found by beside their requests."""
        return " ".join([self.config.runtime.dtype, *(f"{name}={value}" for name, value in self.arithmetic().items())])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A measurement that has been looked at, and can be made.

    Attributes:
        settings: as Measuring.settings.
        fit: the problems that are asked.
    """

    measuring: Measuring
    asking: Asking
    tokenizer: Tokenizer
    settings: Mapping[str, Any]
    fit: Fitting


def prepare(measuring: Measuring, max_context: int, say: Callable[[str], None]) -> Prepared | None:
    """Look at everything that is known before a completion is drawn; None of a shard without problems.

    Raises:
        DataError: prompts do not fit, or the data are others than those of the result that is there.
        ConfigError: the prompt cannot be shown as asked, or a thinking budget would change nothing.
        CheckpointError: the model's tokenizer or chat template cannot be used.
    """
    benchmark, config = measuring.benchmark, measuring.config
    shots = shots_of(benchmark, measuring.prompt, measuring.shots)
    asking = asking_of(
        benchmark, measuring.prompt, measuring.directory, examples=measuring.loaded.examples, shots=shots,
        contract=measuring.contract,
    )  # fmt: skip
    settings = measuring.settings(asking, shots)
    check_earlier(measuring, settings, say)
    tokenizer = Tokenizer.load(measuring.directory)
    problems = measuring.loaded.problems
    if measuring.shard is not None:
        problems = problems[measuring.shard[0] - 1 :: measuring.shard[1]]
    if not problems:
        return None
    ways = [(asking.prompt_of, tokenizer.with_tags(asking.tags))]
    fit = fitting(problems, ways, max_context, max_new_tokens=config.evaluate.max_new_tokens, too_long=config.tasks.too_long)
    if fit.left_out:
        say(f"{benchmark.title}: {fit.line()}")
    if config.evaluate.budgets_thinking:
        check_thinks(measuring.directory, tokenizer.with_tags(asking.tags), asking.prompt_of(fit.problems[0]))
    return Prepared(measuring, asking, tokenizer, settings, fit)


def measure(prepared: Prepared, backend: Backend, generator: Generator, training: TrainingText | None) -> Result | None:
    """The result; None of a shard, which keeps its completions alone. Raises DataError where nothing could be judged."""
    measuring = prepared.measuring
    measuring.into.mkdir(parents=True, exist_ok=True)
    groups = draw_and_grade(prepared, backend, generator)
    if measuring.shard is not None:
        return None
    write_rows(measuring.into / COMPLETIONS, completion_rows({prepared.asking.name: groups}))
    return summarise(prepared, backend, groups, training)


def draw_and_grade(prepared: Prepared, backend: Backend, generator: Generator) -> list[list[Measured]]:
    """k completions of each problem, kept ones not drawn again."""
    measuring, asking, tokenizer = prepared.measuring, prepared.asking, prepared.tokenizer
    config, own = measuring.config, kept_file(measuring.into, measuring.shard)
    evaluate, problems = config.evaluate, prepared.fit.problems
    with Answers(own) as answers, counting(len(problems) * evaluate.samples) as count:
        kept = KeptGenerator(generator, answers, scope=measuring.scope(), others=read_others(measuring.into, own))
        return measure_model(
            problems,
            asking,
            samples=evaluate.samples,
            params=SamplingParams(evaluate.temperature, evaluate.top_p, evaluate.max_new_tokens),
            seed=config.seed,
            tokenizer=tokenizer,
            generator=CountedGenerator(kept, count),
            grader=backend.grader(),
            thinking=thinking_budgets(evaluate, tokenizer, asking.tags),
        )


def check_earlier(measuring: Measuring, settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Refuse a data file that is another one than that of the result that is there; say which other settings are replaced."""
    path = measuring.into / RESULT
    if not path.is_file():
        return
    earlier = read_result(path).settings
    if earlier.get("files") != settings["files"]:
        where = measuring.loaded.files[0].path
        raise DataError(f"{where}: changed since {path} was made (another SHA-256); put it back, or name another --out")
    changed = [f"{key} {earlier.get(key)} to {value}" for key, value in settings.items() if earlier.get(key) != value]
    if changed:
        say(f"{measuring.benchmark.title}: the result of other settings is replaced ({', '.join(changed)})")


def summarise(
    prepared: Prepared, backend: Backend, groups: Sequence[Sequence[Measured]], training: TrainingText | None
) -> Result:
    """All figures of the completions."""
    measuring, asking, tokenizer = prepared.measuring, prepared.asking, prepared.tokenizer
    benchmark, settings = measuring.benchmark, prepared.settings
    metrics, right = table(groups), right_of(groups, benchmark.metric)
    further: dict[str, Any] = {**missing_verdicts(groups), **prepared.fit.summary()}
    if benchmark.reader == "ifeval":
        further["instructions"] = instruction_metrics(groups, asking.contract)
    if benchmark.needs_judge:
        compared = compare_with_baseline(measuring.loaded, groups, asking, backend, measuring.config)
        right, further["judge"] = compared.values, compared.as_json()
        metrics = compared.add_to(metrics)
    if training is not None:
        further["contamination"] = contamination(
            measuring.loaded.problems, training, right, added=(settings["instruction"], R1_INSTRUCTION, STDIN)
        )
    voting = measuring.config.evaluate.samples > 1 and all(has_rules(group[0].problem.kind) for group in groups)
    prompts = encode_all([asking.prompt_of(group[0].problem) for group in groups], tokenizer.with_tags(asking.tags))
    tokens = {
        "prompt": sum(len(prompt) * len(group) for prompt, group in zip(prompts, groups, strict=True)),
        "completion": sum(each.tokens for group in groups for each in group),
    }
    data = {"title": benchmark.title, "metric": benchmark.metric, **measuring.loaded.as_json()}
    return Result(
        benchmark.name, measuring.name, measuring.model_id, settings, data, metrics,
        consensus_table(groups) if voting else {}, tokens, right, further,
    )  # fmt: skip

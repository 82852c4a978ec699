"""`cogitate eval`: measure any model on built-in tasks or on problems of one's own, without a run around it."""

from __future__ import annotations

import dataclasses
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cogitate.apps.score_table import WIDE, difference_table, puzzle_tables, rich_table
from cogitate.backend import Generator
from cogitate.config import Config, PromptConfig, ZeroRLConfig
from cogitate.errors import ConfigError, DataError, Interrupted
from cogitate.evals.completions import completion_rows, write_rows
from cogitate.evals.evaluate import Asking, Measured, measure_model, missing_verdicts, table
from cogitate.evals.forwarding import ForwardingGenerator
from cogitate.evals.paired import paired_by_task, right_by_problem
from cogitate.evals.prompts import BARE_QUESTION, FEW_SHOT, R1_ZERO
from cogitate.recipe.asking import (
    ask_r1,
    ask_r1_zero,
    check_thinks,
    fitting,
    prompt_name,
    read_template,
    thinking_budgets,
)
from cogitate.recipe.data_sets import describe_evaluation
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.models import find_model, settings_of_its_run
from cogitate.recipe.problems import check_custom_used, evaluation_problems, tasks_left_out
from cogitate.recipe.run_directory.store import MANIFEST, load_manifest
from cogitate.recipe.settings import load_recipe
from cogitate.runtime import write_json
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.types import Completion, SamplingParams

Prompt = Literal["r1_zero", "few_shot", "bare", "chat", "turn"]
Contract = Literal["r1", "bare", "free"]
FROM_TEXT: dict[Prompt, Asking] = {"few_shot": FEW_SHOT, "bare": BARE_QUESTION}
WITHOUT_EFFECT = (
    "rewards.accuracy=", "rewards.format=", "rewards.language", "rewards.parts", "evaluate.samples=", "evaluate.problems=",
    "evaluate.general_problems=", "evaluate.further", "evaluate.consensus", "runtime.lora", "runtime.gradient_checkpointing=",
)  # fmt: skip
SETTABLE = ("seed", "evaluate.", "rewards.", "runtime.", "tasks.eval_seed", "tasks.gym.", "tasks.too_long")
SAMPLES = 4  # completions of each problem, where they can differ


def evaluate(
    model: str,
    tasks: str | None,
    *,
    against: str | None = None,
    samples: int | None,
    problems: int,
    prompt: Prompt | None,
    system: str,
    template_file: Path | None,
    contract: Contract | None,
    settings: Sequence[str],
    out: Path | None,
    completions: Path | None,
) -> None:
    """Measure, print the table, and write what is asked for.

    Args:
        model: see recipe.models.find_model.
        tasks: as tasks.eval; None: those of the model's run, else those of the recipe `tiny`;
            without code where that cannot be isolated.
        prompt: None: as `usual_prompt` says of each model, r1_zero with a template of one's own.
        system: a system message; "": none. template_file: a text in place of the prompt's own. Both as in `asking_of`.
        against: a second model, put to the same problems; the differences are paired by problem.
        samples: None: SAMPLES, or 1 at temperature 0.
        contract: where the answer is looked for; None is the prompt's own.
        settings: section.key=value, of the keys in SETTABLE; the longest completion is that of the model's run, the others are
            those of the recipe `tiny`.
        out: JSON with every metric. completions: JSON Lines with every graded completion.

    Raises:
        CogitateError: a model, a task or a setting cannot be used.
        Interrupted: Ctrl-C.
    """
    models = {name: find_model(name) for name in (model, against) if name is not None}
    if against is not None and len({directory.resolve() for directory in models.values()}) < 2:
        raise ConfigError(f"--against {against}: the same model as {model}; name another one")
    check_writable(out, completions)
    own = settings_of_its_run(models[model], tasks_too=tasks is None)
    config = settings_for(tasks, samples=samples, problems=problems, settings=settings, of_its_run=own)
    if config.evaluate.budgets_thinking and prompt in FROM_TEXT:
        raise ConfigError(f"a thinking budget has no effect with --prompt {prompt}: nothing is thought after it; leave it out")
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    measured: dict[str, Evaluated] = {}
    for name, directory in models.items():
        asked: Prompt = prompt or ("r1_zero" if template_file else usual_prompt(directory))
        asking = asking_of(asked, directory, system=system, template_file=template_file)
        if contract is not None:
            asking = dataclasses.replace(asking, contract=contract)
        if not measured:
            for line in describe_evaluation(config, asking.contract):
                console.print(line, markup=False)
        try:
            measured[name] = measure(directory, config, asking)
        except KeyboardInterrupt:
            raise Interrupted("stopped", 128 + signal.SIGINT) from None
        show(measured[name], f"{name}: prompt {asked}, contract {asking.contract}; shares in percent", console)
    write(measured, console, out=out, completions=completions)


def check_writable(out: Path | None, completions: Path | None) -> None:
    """Refuse files that could not be written after all is measured. Raises DataError."""
    for option, file in (("--out", out), ("--completions", completions)):
        if file is None:
            continue
        if not file.parent.is_dir():
            raise DataError(f"{file}: there is no directory {file.parent}")
        if file.is_dir():
            raise DataError(f"{option} {file}: a directory; name a file")
        try:
            with tempfile.TemporaryFile(dir=file.parent):
                pass
        except OSError as error:
            raise DataError(f"{option} {file}: {file.parent} cannot be written to: {error.strerror}") from error
    if out is not None and completions is not None and out.resolve() == completions.resolve():
        raise DataError(f"--out {out}, --completions {completions}: the same file; name two")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One model's evaluation: `result` is what --out holds of it."""

    asking: Asking
    groups: list[list[Measured]]
    result: dict[str, Any]


def show(evaluated: Evaluated, title: str, console: Console) -> None:
    """The table, and what a reader must know before trusting it."""
    console.print(rich_table(evaluated.result["tasks"], title, console.width))
    for details in puzzle_tables(evaluated.result["tasks"]):
        console.print(details)
    if left_out := evaluated.result["tasks_left_out"]:
        console.print(f"left out, because programs cannot be isolated here: {', '.join(left_out)}", markup=False)
    if too_long := evaluated.result.get("too_long"):
        console.print(
            f"{too_long['left_out']} problems are left out: their prompts are too long; the first: {too_long['first']}",
            markup=False,
        )
    if missing := evaluated.result.get("no_verdict"):
        share = f"{100 * missing['share']:.1f} % of the completions have no verdict and are left out of every mean"
        console.print(f"{share}; the first: {missing['first']}", markup=False)


def write(evaluated: Mapping[str, Evaluated], console: Console, *, out: Path | None, completions: Path | None) -> None:
    """The difference of two models, and the files that are asked for."""
    (first, *others) = evaluated
    result = evaluated[first].result
    for other in others:
        values = (right_by_problem(evaluated[name].groups) for name in (first, other))
        differences = paired_by_task(*values)
        console.print(difference_table(differences, f"{first} less {other}: points of pass@1, paired by problem"))
        as_json = {task: {**each.estimate.as_json(), "problems": each.problems} for task, each in differences.items()}
        result = {**result, "against": evaluated[other].result, "differences": as_json}
    if completions is not None:
        rows = [
            {**({"model": name} if others else {}), **row}
            for name, each in evaluated.items()
            for row in completion_rows({each.asking.name: each.groups})
        ]
        write_rows(completions, rows)
    if out is not None:
        write_json(out, result)


def usual_prompt(directory: Path) -> Prompt:
    """As a model was trained: as its RL's `prompt` says, else the plain turn of R1 and its students, R1-Zero's template where
    there is no chat template; an imported one through its own chat template."""
    if ChatTemplate.load(directory) is None:
        return "r1_zero"
    if not (directory / MANIFEST).is_file():
        return "chat"
    manifest = load_manifest(directory)
    return "chat" if manifest["settings"].get(f"{manifest['stage']}.prompt") == "chat" else "turn"


def asking_of(prompt: Prompt, directory: Path, *, system: str = "", template_file: Path | None = None) -> Asking:
    """How questions are put: in R1-Zero's template, or through the model's own chat template, with the request for a box or as
    they are, and judged in the form of R1, all in the model's own tags; or as a base model meets them in text.

    Args:
        system: a system message, with prompt chat.
        template_file: with prompt r1_zero a text in place of its template, with prompt chat that of the user's turn.

    Raises:
        ConfigError: the file is no template, or a text has no effect with this prompt.
        CheckpointError: the model has no chat template, or leaves out what it is given.
    """
    if system and prompt != "chat":
        raise ConfigError(f"--system has no effect with --prompt {prompt}: only a chat template has a place for it")
    if template_file is not None and prompt in (*FROM_TEXT, "turn"):
        raise ConfigError(f"--template-file has no effect with --prompt {prompt}: it goes with r1_zero and chat")
    if prompt in FROM_TEXT:
        return FROM_TEXT[prompt]
    tokenizer = Tokenizer.load(directory)
    template = read_template(template_file) if template_file else ""
    if prompt in ("chat", "turn"):
        asked = PromptConfig(prompt=prompt, template=template, system_prompt=system)
        return Asking(prompt_name(asked, prompt), ask_r1(asked, directory, tokenizer), "r1", "think_text", tags=tokenizer.tags)
    zero = ZeroRLConfig(template=template)
    name, ask = prompt_name(zero, R1_ZERO.name), ask_r1_zero(zero, directory, tokenizer)
    return Asking(name, ask, R1_ZERO.contract, R1_ZERO.format, tags=tokenizer.tags)


def settings_for(
    tasks: str | None, *, samples: int | None, problems: int, settings: Sequence[str], of_its_run: Sequence[str] = ()
) -> Config:
    """The settings of an evaluation, before those of tiny those of the model's run; `samples` as in `evaluate`.

    Raises:
        ConfigError: a setting is unknown or changes nothing here.
    """
    for setting in settings:
        if not setting.startswith(SETTABLE) or setting.startswith(WITHOUT_EFFECT):
            raise ConfigError(
                f"{setting}: changes nothing in an evaluation; of use are {', '.join(SETTABLE)} (how many: --problems and "
                "--samples, or --n of a search)"
            )
    asked = [f"evaluate.samples={samples or 1}", f"evaluate.problems={problems}"]
    if tasks is not None:
        asked += [f"tasks.train={tasks}", f"tasks.eval={tasks}", "tasks.skip_code_without_sandbox=false"]
    config = load_recipe("tiny", [*of_its_run, *settings, *asked])
    if samples is None and config.evaluate.temperature > 0:
        config = load_recipe("tiny", [*of_its_run, *settings, *asked, f"evaluate.samples={SAMPLES}"])
    check_custom_used(config, ("tasks.eval",))
    return config


def measure(directory: Path, config: Config, asking: Asking) -> Evaluated:
    """The model's completions, graded; {"schema", "model", "prompt", "contract", "settings", "seconds", "tasks": as in
    results.json} of them, with "no_verdict" where a verdict is missing."""
    started = time.perf_counter()
    problems, settings = evaluation_problems(config), config.evaluate
    backend = LocalBackend(config)
    try:
        tokenizer, generator = Tokenizer.load(directory), backend.generator(directory)
        ways = [(asking.prompt_of, tokenizer.with_tags(asking.tags))]
        found = fitting(
            problems, ways, generator.max_context, max_new_tokens=settings.max_new_tokens, too_long=config.tasks.too_long
        )
        if settings.budgets_thinking:
            check_thinks(directory, tokenizer.with_tags(asking.tags), asking.prompt_of(found.problems[0]))
        with counting(len(found.problems) * settings.samples) as count:
            groups = measure_model(
                found.problems,
                asking,
                samples=settings.samples,
                params=SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
                seed=config.seed,
                tokenizer=tokenizer,
                generator=CountedGenerator(generator, count),
                grader=backend.grader(),
                thinking=thinking_budgets(settings, tokenizer, asking.tags),
            )
    finally:
        backend.close()
    used = {name: getattr(config, name).model_dump(mode="json") for name in ("evaluate", "rewards", "runtime")}
    result = {
        "schema": 1,
        "model": str(directory),
        "prompt": asking.name,
        "contract": asking.contract,
        "settings": {"seed": config.seed, "tasks": config.tasks.eval, "eval_seed": config.tasks.eval_seed, **used},
        "tasks_left_out": tasks_left_out(config),
        **missing_verdicts(groups),
        **found.summary(),
        "seconds": round(time.perf_counter() - started, 3),
        "tasks": table(groups),
    }
    return Evaluated(asking, groups, result)


class CountedGenerator(ForwardingGenerator):
    """A generator that tells how many completions it has finished."""

    def __init__(self, generator: Generator, count: Callable[[int], None]):
        super().__init__(generator)
        self._count = count

    def poll(self) -> list[Completion]:
        finished = super().poll()
        self._count(len(finished))
        return finished


class counting:  # noqa: N801 - used as a context manager
    """A bar of finished completions on standard error, where that is a terminal."""

    def __init__(self, total: int):
        columns = (TextColumn("completions"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return lambda finished: self._bar.advance(self._task, finished)

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

"""Models that are asked many times: completions are kept in files, so that a killed measurement goes on where it stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.places import RUNS
from cogitate.answers import Answers
from cogitate.apps.evaluate import CountedGenerator, counting, settings_for
from cogitate.apps.report.words import prompt_title
from cogitate.backend import Generator, Grader
from cogitate.config import Config
from cogitate.errors import CogitateError
from cogitate.evals.benchmarks.kept import KeptGenerator, kept_file
from cogitate.evals.evaluate import Asking, Measured, measure_model, missing_verdicts
from cogitate.evals.metrics import pass_at_1
from cogitate.recipe.asking import Fitting, fitting
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.models import find_model
from cogitate.recipe.run_directory.store import load_given
from cogitate.runtime import atomic_write, derive_seed, write_json
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem, SamplingParams

KEPT = RUNS / "evidence" / "kept"

Groups = Sequence[Sequence[Measured]]  # for each problem its completions
Rows = list[list[float]]  # a row of values for each problem


@dataclass(frozen=True, slots=True)
class Model:
    """One model that can be asked.

    Attributes:
        name: as the user wrote it.
        seed: of its completions, different for each model.
    """

    name: str
    directory: Path
    config: Config
    seed: int
    tokenizer: Tokenizer
    generator: Generator
    grader: Grader

    def ask(self, problems: Sequence[Problem], asking: Asking, samples: int) -> Groups:
        """Graded completions, a group for each problem. The first ones of a group are the same for every `samples`."""
        settings = self.config.evaluate
        with counting(len(problems) * samples) as count:
            groups = measure_model(
                problems,
                asking,
                samples=samples,
                params=SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
                seed=self.seed,
                tokenizer=self.tokenizer,
                generator=CountedGenerator(self.generator, count),
                grader=self.grader,
            )
        if missing := missing_verdicts(groups).get("no_verdict"):
            share = f"{100 * missing['share']:.1f} % of the completions have no verdict and are left out"
            print(f"{self.name}, {asking.name}: {share}; the first: {missing['first']}", file=sys.stderr)
        return groups

    def best_of(self, prompts: Sequence[Asking], problems: Sequence[Problem], samples: int) -> tuple[Asking, dict[str, float]]:
        """The prompt with the highest pass@1, and pass@1 by prompt."""
        scores = {each.name: pass_at_1(right(self.ask(problems, each, samples))).value for each in prompts}
        return max(prompts, key=lambda each: scores[each.name]), scores

    def fitting(self, problems: Sequence[Problem], prompts: Sequence[Asking]) -> Fitting:
        """The problems whose prompts leave room for a completion. Raises DataError where none does."""
        ways = [(each.prompt_of, self.tokenizer.with_tags(each.tags)) for each in prompts]
        room = self.config.evaluate.max_new_tokens
        return fitting(problems, ways, self.generator.max_context, max_new_tokens=room, too_long="drop")


Measure = Callable[[Model, Sequence[Model], Sequence[Problem]], dict[str, Any]]  # base, R1-Zero by seed, problems -> figures


@contextmanager
def opened(base: str, r1_zero: Sequence[str], config: Config, kept: Path) -> Iterator[tuple[Model, list[Model]]]:
    """Base, and R1-Zero of each seed. What a model has drawn is found in a file of `kept`, named by the model's content.

    Args:
        base, r1_zero: see recipe.models.find_model.

    Raises:
        ArtifactError, CheckpointError: a model is not there or cannot be used, or another process uses its file.
    """
    names = {"base": base, **{f"r1_zero {number}": name for number, name in enumerate(r1_zero)}}
    directories = {role: find_model(name) for role, name in names.items()}
    generators: dict[str, Generator] = {}
    with ExitStack() as stack:
        backend = LocalBackend(config)
        stack.callback(backend.close)
        models = []
        for role, directory in directories.items():
            model_id = load_given(role, directory).id
            if model_id not in generators:
                answers = stack.enter_context(Answers(kept_file(kept / model_id, None)))
                generators[model_id] = KeptGenerator(
                    backend.generator(directory), answers, scope=config.runtime.dtype, others={}
                )
            models.append(
                Model(
                    names[role], directory, config, derive_seed(config.seed, role), Tokenizer.load(directory),
                    generators[model_id], backend.grader(),
                )
            )  # fmt: skip
        yield models[0], models[1:]


def right(groups: Groups) -> Rows:
    """1 or 0 for each completion with a verdict."""
    return [[float(each.right) for each in group if each.right is not None] for group in groups]


def described(base: Model, best: Asking, by_prompt: Mapping[str, float], zeros: Sequence[Model]) -> dict[str, Any]:
    """What is measured, and how, as the JSON file has it."""
    evaluate, seed = base.config.evaluate, base.config.seed
    settings = {name: getattr(evaluate, name) for name in ("samples", "temperature", "top_p", "max_new_tokens")}
    return {
        "base": {"model": base.name, "prompt": best.name, "pass@1 by prompt": dict(by_prompt)},
        "r1_zero": [zero.name for zero in zeros],
        "settings": {**settings, "seed": seed},
    }


def introduction(found: Mapping[str, Any]) -> str:
    """The same in words, above the tables."""
    settings, base = found["settings"], found["base"]
    return (
        f"{settings['samples']} completions of each problem, temperature {settings['temperature']}, top-p {settings['top_p']}, "
        f"at most {settings['max_new_tokens']} tokens. Base ({base['model']}) is asked with the best of its prompts "
        f"({prompt_title(base['prompt'])}), R1-Zero ({', '.join(found['r1_zero'])}) in its own form. Figures are in percent; "
        "brackets are 95 % intervals over problems, and over seeds where there are several; differences are paired by both."
    )


def add_arguments(parser: argparse.ArgumentParser, *, problems: int, per: str, samples: int) -> None:
    """What is measured and where it goes, with the defaults of how much."""
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("r1_zero", nargs="+", metavar="R1_ZERO", help="made from BASE, one for each seed")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--problems", type=int, default=problems, help=f"{per}; {problems} by default")
    parser.add_argument("--samples", type=int, default=samples, help=f"completions of each problem; {samples} by default")
    parser.add_argument("--max-new-tokens", type=int, default=640)
    parser.add_argument("--kept", type=Path, default=KEPT, metavar="DIR", help="what was drawn, not to be drawn again")


def carry_out(
    given: argparse.Namespace,
    name: str,
    tasks: str | None,
    problems_of: Callable[[Config], Sequence[Problem]],
    measure: Measure,
    page: Callable[[Mapping[str, Any]], str],
) -> int:
    """Measure the models and write NAME.json and README.md, which is shown.

    Args:
        given: what add_arguments names.
        tasks: as tasks.eval, where `problems_of` uses it.

    Returns:
        The exit code: 0, or 2 where a model, the data or a number cannot be used.
    """
    limit = f"evaluate.max_new_tokens={given.max_new_tokens}"
    try:
        config = settings_for(tasks, samples=given.samples, problems=given.problems, settings=[limit])
        with opened(given.base, given.r1_zero, config, given.kept) as (base, zeros):
            found = measure(base, zeros, problems_of(config))
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    write_json(given.out / f"{name}.json", found)
    with atomic_write(given.out / "README.md") as temporary:
        temporary.write_text(page(found), encoding="utf-8")
    print(page(found))
    return 0

"""What searches of one model need: problems, prompts, an engine that keeps prefixes, a grader, and a model that judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.evaluate import Prompt, asking_of, settings_for
from cogitate.config import Config
from cogitate.errors import ConfigError, DataError
from cogitate.evals.evaluate import Asking
from cogitate.recipe.asking import fitting
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.models import find_model, settings_of_its_run
from cogitate.recipe.problems import evaluation_problems, tasks_left_out
from cogitate.rewards.kinds import kind_of
from cogitate.runtime import derive_seed
from cogitate.search.draw import Judge, Sampler
from cogitate.search.evaluate import Evaluator, SearchSettings
from cogitate.search.pool import Limits
from cogitate.search.scoring import SolutionScorer, count_parameters
from cogitate.search.work import Question, Workers
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.steps import FORMS, StepForm, StepReader
from cogitate.train.rollouts import encode_all
from cogitate.types import Problem

PREFIX_CACHE = 256  # MiB, where runtime.prefix_cache is not set
OF_PREFIXES = ("runtime.prefix_cache", "runtime.speculative")


@dataclass(frozen=True, slots=True)
class Searching:
    """Options of both commands.

    Attributes:
        scorer: the directory of a process or outcome model; None: without.
        score: how the scores of steps become one; None: as the model was made.
        steps: the form of steps; None: the scorer's, or sentences.
    """

    model: str
    tasks: str
    problems: int
    prompt: Prompt
    scorer: str | None
    score: str | None
    steps: str | None
    settings: Sequence[str]
    width: int = 4
    c_puct: float = 1.25
    value: str = "model"
    verifications: int = 3
    step_tokens: int = 64

    def check(self) -> None:
        """Refuse options without effect, or that cannot be meant."""
        if self.score is not None and self.scorer is None:
            raise ConfigError(f"--score {self.score} changes nothing without --scorer DIR")
        if self.steps is not None and self.steps not in FORMS:
            raise ConfigError(f"--steps {self.steps}: there are {', '.join(FORMS)}")
        if self.prompt not in ("r1_zero", "chat"):
            raise ConfigError(f"--prompt {self.prompt}: a search asks by r1_zero or chat")


@dataclass(slots=True)
class Prepared:
    """All parts, to be closed in the end."""

    options: Searching
    directory: Path
    config: Config
    asking: Asking
    tokenizer: Tokenizer
    backend: LocalBackend
    workers: Workers
    problems: list[Problem]
    facts: dict[str, Any]

    def evaluator(self, most: int) -> Evaluator:
        """Of pools of so many completions."""
        reader, settings, options = self.workers.sampler.reader, self.config.evaluate, self.options
        prompts = encode_all([self.asking.prompt_of(problem) for problem in self.problems], self.tokenizer)
        asked = [
            (
                problem,
                Question(problem.question, ids, derive_seed(self.config.seed, "search", problem.task, problem.id), reader),
            )
            for problem, ids in zip(self.problems, prompts, strict=True)
        ]
        limits = Limits(settings.max_new_tokens, settings.temperature, options.step_tokens)
        verifying = SearchSettings(limits, options.width, options.c_puct, options.value, options.verifications)
        return Evaluator(asked, self.workers, verifying, most, self.prompt_of_text())

    def prompt_of_text(self) -> Callable[[str], tuple[int, ...]]:
        """A question of the policy about a solution, as its problems are put."""
        asking, tokenizer = self.asking, self.tokenizer
        return lambda text: encode_all([asking.prompt_of(Problem("verify", "verify", "math", text))], tokenizer)[0]

    def used(self) -> dict[str, Any]:
        """What a result must say of its making."""
        options, config = self.options, self.config
        evaluate = {key: getattr(config.evaluate, key) for key in ("temperature", "top_p", "max_new_tokens")}
        return {
            "seed": config.seed, "tasks": config.tasks.eval, "eval_seed": config.tasks.eval_seed, **evaluate,
            "prompt": self.asking.name, "contract": self.asking.contract, "steps": self.workers.sampler.reader.form,
            "step_tokens": options.step_tokens, "width": options.width, "c_puct": options.c_puct, "value": options.value,
            "verifications": options.verifications, "scorer_weight": self.workers.scorer_weight,
            "score": self.workers.scorer.aggregate if self.workers.scorer else None,
            "runtime": config.runtime.model_dump(mode="json"),
        }  # fmt: skip


def prepare(options: Searching, *, samples: int, votes: bool = True) -> Prepared:
    """Read models and problems.

    Args:
        samples: completions of each problem, at most.
        votes: equal answers are counted together: problems whose answers cannot be compared are refused.

    Raises:
        CogitateError: a model, a task or an option cannot be used.
    """
    options.check()
    directory = find_model(options.model)
    settings, own = with_prefixes(options.settings), settings_of_its_run(directory, tasks_too=False)
    config = settings_for(options.tasks, samples=samples, problems=options.problems, settings=settings, of_its_run=own)
    if config.evaluate.budgets_thinking:
        raise ConfigError("a thinking budget has no effect in a search: leave it out (`cogitate scale` measures budgets)")
    asking, problems = asking_of(options.prompt, directory), evaluation_problems(config)
    for problem in problems:
        if votes and not kind_of(problem.kind).can_vote:
            raise DataError(
                f"{problem.place}: answers of kind {problem.kind} cannot be compared with each other, so there is no vote; "
                f"leave {problem.task} out of --tasks, or choose by best_of_n, step_beam or self_verification"
            )
    backend = LocalBackend(config)
    try:
        tokenizer = Tokenizer.load(directory).with_tags(asking.tags)
        scorer = scorer_of(options, backend, tokenizer)
        weight = scorer.parameters / count_parameters(directory) if scorer else 0.0
        reader = StepReader(tokenizer, form_of(options, scorer))
        generator = backend.generator(directory)
        found = fitting(
            problems, [(asking.prompt_of, tokenizer)], generator.max_context,
            max_new_tokens=config.evaluate.max_new_tokens, too_long=config.tasks.too_long,
        )  # fmt: skip
        workers = Workers(
            Sampler(generator, reader, top_p=config.evaluate.top_p), Judge(backend.grader(), reader, asking.contract), scorer,
            weight,
        )  # fmt: skip
    except BaseException:  # Ctrl-C, too: nobody else has the backend yet, whose processes would stay
        backend.close()
        raise
    facts = {"tasks_left_out": tasks_left_out(config), **found.summary()}
    return Prepared(options, directory, config, asking, tokenizer, backend, workers, found.problems, facts)


def scorer_of(options: Searching, backend: LocalBackend, tokenizer: Tokenizer) -> SolutionScorer | None:
    """The model that judges.

    Raises:
        ConfigError: its tokens are not the policy's, which it would be given.
    """
    if options.scorer is None:
        return None
    directory = find_model(options.scorer)
    scorer = SolutionScorer(backend, directory, options.score)
    if Tokenizer.load(directory).inner.get_vocab() != tokenizer.inner.get_vocab():
        raise ConfigError(
            f"--scorer {options.scorer}: has another tokenizer than {options.model}, whose tokens it would read; train one on "
            "this policy"
        )
    return scorer


def form_of(options: Searching, scorer: SolutionScorer | None) -> StepForm:
    """The form of steps.

    Raises:
        ConfigError: the scorer has learnt another one.
    """
    named: dict[str, StepForm] = {form: form for form in FORMS}
    learnt = scorer.steps if scorer else None
    if options.steps is not None and learnt is not None and options.steps != learnt:
        raise ConfigError(f"--steps {options.steps}: {options.scorer} has learnt {learnt}; leave --steps out")
    return named[options.steps] if options.steps else (learnt or "sentences")


def with_prefixes(settings: Sequence[str]) -> list[str]:
    """Branches share their beginnings: the engine keeps these unless it is told how."""
    if any(setting.startswith(OF_PREFIXES) for setting in settings):
        return list(settings)
    return [f"runtime.prefix_cache={PREFIX_CACHE}", *settings]

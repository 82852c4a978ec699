"""search_curves: accuracy over tokens of votes, best-of-n, step beams and tree search on one model, as `cogitate scale`
measures them.

The first input is the policy, the second, where there is one, the process or outcome model that judges. curves.json has of
each method at 1, 2, 4 ... n completions what it got right, problem by problem, and its tokens, so that several seeds can be
pooled and methods be paired. `runtime.prefix_cache` makes branches cheap and changes nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, SearchCurvesConfig
from cogitate.errors import ConfigError, DataError
from cogitate.evals.best_of_n import powers_of_two
from cogitate.evals.evaluate import Asking
from cogitate.recipe.asking import fitting
from cogitate.recipe.problems import data_files, evaluation_problems
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.recipe.stages.evaluate import askings
from cogitate.rewards.kinds import kind_of
from cogitate.runtime import derive_seed, write_json
from cogitate.search.draw import Judge, Sampler
from cogitate.search.evaluate import METHODS, WITH_SCORER, Evaluator, MethodResult, SearchSettings, beside_of
from cogitate.search.pool import Limits
from cogitate.search.scoring import SolutionScorer, count_parameters
from cogitate.search.work import Question, Workers
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.steps import StepReader
from cogitate.train.rollouts import encode_all
from cogitate.types import Problem

FILE = "curves.json"
BASELINE = "majority"  # which is always measured
AT_ONE_N = ("greedy", "pass@1")


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse methods that there are not, or that need a model that judges, and answers that cannot be compared."""
    settings = config.section(stage.name, SearchCurvesConfig)
    for method in settings.methods:
        if method not in METHODS:
            raise ConfigError(f"{stage.name}.methods: no method is called {method}; there are {', '.join(METHODS)}")
        if method in WITH_SCORER and len(stage.needs) < 2:
            raise ConfigError(f"{stage.name}.methods: {method} needs a model that judges: name one as the second of its needs")
    problems_of(config, settings)


def problems_of(config: Config, settings: SearchCurvesConfig) -> list[Problem]:
    """Those of the evaluation, as many as the stage asks for. Raises DataError where equal answers of a kind cannot be told."""
    problems = evaluation_problems(config, settings.problems)
    for problem in problems:
        if not kind_of(problem.kind).can_vote:
            raise DataError(
                f"{problem.place}: answers of kind {problem.kind} cannot be compared, so there is no vote: leave "
                f"{problem.task} out of tasks.eval"
            )
    return problems


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.section(context.stage, SearchCurvesConfig)
    evaluator, summary = evaluator_of(config, settings, inputs, context)
    runs = [(method, settings.n) for method in AT_ONE_N]
    runs += [
        (method, n)
        for method in dict.fromkeys((BASELINE, *settings.methods, *beside_of(evaluator.workers)))
        if method not in AT_ONE_N
        for n in powers_of_two(settings.n)
    ]
    context.metrics.truncate(0)
    context.begin(len(runs))
    points = []
    for number, (method, n) in enumerate(runs):
        context.stop_if_interrupted()
        path = context.checkpoint / f"{number}.json"
        if not path.is_file():  # the pool of completions is drawn anew after a kill: the same ones
            write_json(path, row_of(evaluator.measure(method, n)))
        row = json.loads(path.read_text(encoding="utf-8"))
        judged = [right for right in row["right"] if right is not None]
        context.metrics.write({"step": number, "method": method, "n": n, "accuracy": sum(judged) / max(1, len(judged))})
        points.append(row)
    write_json(out / FILE, {"schema": 1, "points": points})
    return {"problems": len(evaluator.asked), "scorer_weight": evaluator.workers.scorer_weight, **summary}


def row_of(result: MethodResult) -> dict[str, Any]:
    """A method at one n. Seconds are left out: they differ from run to run."""
    right = [each.right for each in result.found]
    return {**result.as_json(), "right": right, "tokens_of": [each.cost.total for each in result.found]}


def evaluator_of(
    config: Config, settings: SearchCurvesConfig, inputs: Inputs, context: StageContext
) -> tuple[Evaluator, dict[str, Any]]:
    """What measures, and what there is to say of its problems.

    Raises:
        ConfigError: the model that judges has another tokenizer.
    """
    (name, policy), *judges = inputs.items()
    backend, tokenizer = context.backend, Tokenizer.load(policy.path)
    asking: Asking = askings(config, context.graph, name, policy.path, tokenizer)[0]
    tokenizer = tokenizer.with_tags(asking.tags)
    scorer, weight = None, 0.0
    for judge, artifact in judges:
        scorer = SolutionScorer(backend, artifact.path)
        weight = scorer.parameters / count_parameters(policy.path)
        if Tokenizer.load(artifact.path).inner.get_vocab() != tokenizer.inner.get_vocab():
            raise ConfigError(f"{context.stage}: {judge} has another tokenizer than {name}, whose tokens it would read")
    reader = StepReader(tokenizer, (scorer.steps if scorer else None) or "sentences")
    generator, wait = backend.generator(policy.path), context.stop_if_interrupted
    found = fitting(
        problems_of(config, settings), [(asking.prompt_of, tokenizer)], generator.max_context,
        max_new_tokens=settings.max_new_tokens, too_long=config.tasks.too_long,
    )  # fmt: skip
    if found.left_out:
        context.say(found.line())
    workers = Workers(
        Sampler(generator, reader, top_p=settings.top_p, on_wait=wait),
        Judge(backend.grader(), reader, asking.contract, on_wait=wait), scorer, weight,
    )  # fmt: skip
    seed = derive_seed(config.seed, context.stage)
    prompts = encode_all([asking.prompt_of(problem) for problem in found.problems], tokenizer)
    asked = [
        (problem, Question(problem.question, ids, derive_seed(seed, problem.task, problem.id), reader))
        for problem, ids in zip(found.problems, prompts, strict=True)
    ]
    searching = SearchSettings(
        Limits(settings.max_new_tokens, settings.temperature, settings.step_tokens), settings.width, settings.c_puct,
        "model" if scorer else "rollouts", settings.verifications,
    )  # fmt: skip

    def put(text: str) -> tuple[int, ...]:
        return encode_all([asking.prompt_of(Problem("verify", "verify", "math", text))], tokenizer)[0]

    return Evaluator(asked, workers, searching, settings.n, put), found.summary()

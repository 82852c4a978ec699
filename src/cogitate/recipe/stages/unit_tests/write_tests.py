"""write_tests: further tests of programming problems, proposed as values by a model and kept where they tell programs apart.

The first input writes programs for the problems of kind code in tasks.train. Those that pass a problem's own tests are its good
programs, beside its reference_program; mutants of them, and the programs that failed, are its faulty ones. The author of the
cases is the model behind `base_url`, or without one the first input. Cases are kept by the rules of tasks/written_tests/.

Departure: Kimi K1.5 takes ten submissions that people wrote. Here good programs are good by the problem's own tests alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, PromptConfig, RLConfig, WriteTestsConfig
from cogitate.endpoint import Question, check_endpoint, check_unset
from cogitate.errors import ConfigError, DataError, EndpointError
from cogitate.recipe.asking import ask_r1, with_tags_of
from cogitate.recipe.data.candidates import Candidate, ModelWriter, askable, collect, count_chunks
from cogitate.recipe.problems import data_files, isolation_of, training_problems
from cogitate.recipe.stage import Inputs, Stage, StageContext, find
from cogitate.recipe.stages.unit_tests.programs import programs_of, test_row, with_least_work
from cogitate.replies import Reply
from cogitate.rewards.code.forms import is_assertions
from cogitate.rewards.sandbox.isolation import open_local_sandbox
from cogitate.runtime import derive_seed
from cogitate.tasks.files.datasets import read_rows, write_rows
from cogitate.tasks.written_tests.observing import Bench, case_limits
from cogitate.tasks.written_tests.suites import KEPT, Proposal, make_suite
from cogitate.tasks.written_tests.values import (
    ASK_FUNCTION,
    ASK_STDIN,
    Args,
    changed_cases,
    in_order,
    literal,
    public_cases,
    read_proposals,
)
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Message, Problem, SamplingParams

NO_REPLY, NO_GOOD, NO_VALUES = "no reply", "no good program", "its tests are not values"
Name = tuple[str, str]  # task and id of a problem

EXAMPLES = 3  # public cases that the author is shown


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse settings and data it cannot work with before any time is spent."""
    settings = config.section(stage.name, WriteTestsConfig)
    if settings.base_url:
        check_endpoint(settings, stage.name)
    else:
        check_unset(
            settings, stage.name, f"{stage.name}.base_url", of=("model", "api_key_variable", "seconds_limit", "parallel")
        )
    if config.rewards.remote_sandbox:
        raise ConfigError(f"{stage.name} runs programs in a sandbox of this machine: leave rewards.remote_sandbox out")
    if not code_problems(config, settings):
        raise ConfigError(
            f"tasks.train = {config.tasks.train!r}: no problem is of kind code, and {stage.name} writes tests of programs"
        )


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.section(context.stage, WriteTestsConfig)
    (name, model), *_ = inputs.items()
    writer = make_writer(config, name, model.path, context)
    found = askable(writer, code_problems(config, settings), config.tasks.too_long, context)
    context.metrics.truncate(0)
    context.begin(count_chunks(found.problems, settings.programs) + len(found.problems))
    seed = derive_seed(config.seed, context.stage)
    written = collect(writer, found.problems, settings.programs, seed=seed, context=context, first_step=0)
    by_problem: dict[Name, list[Candidate]] = {name_of(problem): [] for problem in found.problems}
    for one in written:
        by_problem[name_of(one.problem)].append(one)
    usable = [problem for problem in found.problems if public_cases(problem.fields)]
    replies = ask_author(settings, model.path, usable, seed, context)
    rows: list[dict[str, Any]] = []
    ledger: list[dict[str, Any]] = []
    sums: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    first = count_chunks(found.problems, settings.programs)
    for number, problem in enumerate(found.problems):
        made = made_before(context, number) or make_tests(
            problem, by_problem[name_of(problem)], replies.get(name_of(problem), []), config, settings, seed
        )
        keep_made(context, number, made)
        rows += [made["row"]] if made["row"] else []
        ledger += made["ledger"]
        sums.update(made["counts"])
        rules[made["rule"]] += 1
        context.metrics.write({"step": first + number, "cases_kept": made["counts"].get("cases_kept", 0)})
    if not rows:
        raise DataError(
            f"{context.stage}: no case of {sums['proposed']} is kept: {dict(Counter(row['fate'] for row in ledger))}"
        )
    assert sums["proposed"] == sums["cases_kept"] + len(ledger), (sums, len(ledger))
    write_rows(out / "problems.jsonl", rows)
    write_rows(out / "ledger.jsonl", ledger)
    return {
        "problems": len(found.problems),
        "with_tests": len(rows),
        "rules": dict(sorted(rules.items())),
        **dict(sorted(sums.items())),
        "dropped": dict(sorted(Counter(row["fate"] for row in ledger).items())),
        **found.summary(),
    }


def name_of(problem: Problem) -> Name:
    return problem.task, problem.id


def code_problems(config: Config, settings: WriteTestsConfig) -> list[Problem]:
    return [problem for problem in training_problems(config) if problem.kind == "code"][: settings.problems]


def make_writer(config: Config, name: str, model: Path, context: StageContext) -> ModelWriter:
    """The first input as an author of programs, asked as its own training asked it."""
    settings = config.section(context.stage, WriteTestsConfig)
    by_rl = find(context.graph, name).has(RLConfig)
    asked = config.section(name, RLConfig) if by_rl else PromptConfig(prompt="turn")
    tokenizer = with_tags_of(asked, Tokenizer.load(model))
    return ModelWriter(
        "programs", name, "r1", ask_r1(asked, model, tokenizer), "r1",
        SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        tokenizer, context.backend.generator(model), context.backend.grader(), context.stop_if_interrupted,
    )  # fmt: skip


def ask_author(
    settings: WriteTestsConfig, model: Path, problems: Sequence[Problem], seed: int, context: StageContext
) -> dict[Name, list[Reply | EndpointError]]:
    """What the author has written for each problem, by its name. Replies are kept, so that a killed run asks nothing again."""
    changed = {"cache": settings.cache or str(context.checkpoint / "asked")}
    if not settings.base_url:
        changed["model"] = str(model)
    asker = context.backend.asker(settings.model_copy(update=changed), context.stage)
    params = SamplingParams(settings.temperature, settings.top_p, settings.author_max_new_tokens)
    questions = [
        Question(
            (Message("user", author_prompt(problem, settings.cases)),),
            params,
            derive_seed(seed, "author", *name_of(problem), k),
        )
        for problem in problems
        for k in range(settings.proposals)
    ]
    replies = iter(asker.ask_each(questions, context.stop_if_interrupted))
    return {name_of(problem): [next(replies) for _ in range(settings.proposals)] for problem in problems}


def author_prompt(problem: Problem, count: int) -> str:
    """What the author is asked for one problem."""
    examples = "\n".join(json.dumps(plain(args)) for args, _ in public_cases(problem.fields)[:EXAMPLES])
    form = ASK_STDIN if problem.fields["mode"] == "stdin" else ASK_FUNCTION
    return form.format(question=problem.question, entry_point=problem.fields.get("entry_point"), examples=examples, count=count)


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples and sets as lists."""
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in in_order(value)]
    return {str(key): plain(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def make_tests(
    problem: Problem,
    candidates: Sequence[Candidate],
    replies: Sequence[Reply | EndpointError],
    config: Config,
    settings: WriteTestsConfig,
    seed: int,
) -> dict[str, Any]:
    """One problem's row with its further tests (None where none is kept), its rows of the ledger, its counts, the rule."""
    public = public_cases(problem.fields)
    proposals, unread = gather(public, replies, settings, derive_seed(seed, *name_of(problem)))
    ledger = [ledger_row(problem, "", "model", fault) for fault in unread]
    proposed = len(proposals) + len(unread)
    good, faulty = programs_of(problem, candidates, mutants=settings.mutants, seed=seed)
    if not public or not good:
        why = NO_GOOD if public else NO_VALUES
        ledger += [ledger_row(problem, literal(one.args), one.source, why) for one in proposals]
        return {"row": None, "ledger": ledger, "counts": {"proposed": proposed}, "rule": why}
    function = problem.fields["mode"] == "function"
    as_json = not function or not is_assertions(problem.fields["tests"])
    bench = Bench(
        open_local_sandbox(isolation_of(config)),
        problem.fields.get("entry_point") if function else None,
        case_limits(settings.slow_seconds, len(public) + len(proposals)),
        exact=not as_json,
    )
    suite = make_suite(bench, public, proposals, good, faulty, most=settings.most, as_json=as_json)
    ledger += [
        ledger_row(problem, literal(one.args), one.source, fate)
        for one, fate in zip(proposals, suite.fates, strict=True)
        if fate != KEPT
    ]
    counts = {
        "proposed": proposed, "cases_kept": len(suite.cases), "good_programs": suite.good_programs,
        "faulty_programs": suite.faulty_programs, "accepted_by_public": suite.accepted_by_public, "rejected": suite.rejected,
        **{f"kept_from {source}": count for source, count in Counter(case.source for case in suite.cases).items()},
    }  # fmt: skip
    row = test_row(problem, suite) if suite.cases else None
    if row and settings.efficiency:
        with_least_work(row, good, settings.efficiency, bench.sandbox)
    return {"row": row, "ledger": ledger, "counts": counts, "rule": suite.rule}


def gather(
    public: Sequence[tuple[Args, Any]], replies: Sequence[Reply | EndpointError], settings: WriteTestsConfig, seed: int
) -> tuple[list[Proposal], list[str]]:
    """(every proposed case, why others that the author wrote are none)."""
    proposals: list[Proposal] = []
    unread: list[str] = []
    for reply in replies:
        cases, faults = read_proposals(reply.text, public[0][0]) if isinstance(reply, Reply) else ([], [NO_REPLY])
        proposals += [Proposal(case, "model") for case in cases]
        unread += faults
    changed = changed_cases([args for args, _ in public], settings.changed_values, seed)
    return [*proposals, *(Proposal(case, "changed values") for case in changed)], unread


def ledger_row(problem: Problem, case: str, source: str, fate: str) -> dict[str, Any]:
    return {"task": problem.task, "problem_id": problem.id, "case": case, "source": source, "fate": fate}


def made_before(context: StageContext, number: int) -> dict[str, Any] | None:
    """What an earlier attempt made of a problem."""
    path = context.checkpoint / f"tests-{number:05d}.jsonl"
    return next((row for _, row in read_rows(path)), None) if path.is_file() else None


def keep_made(context: StageContext, number: int, made: Mapping[str, Any]) -> None:
    path = context.checkpoint / f"tests-{number:05d}.jsonl"
    if not path.is_file():
        write_rows(path, [made])
        context.stop_if_interrupted()

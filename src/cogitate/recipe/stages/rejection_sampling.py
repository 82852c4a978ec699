"""sft_data: rejection sampling from the reasoning model, about three rows to one with general data (R1, section 2.3.3).

Reasoning rows are the first input's (R1-Dev2's) correct and readable completions. General rows are written by the second input
where there is one (base, as a plain conversation: reasoning RL has taught Dev2 to treat every request as a problem), else by
the first.

Of a problem's completions the most different stay; or by `prefer` the shortest, or the programs that need the least work.

Where rules have no verdict, the model of `judge.model` is asked, as the paper asks a generative judge; nowhere else.

Departures: without such a model these completions are left out. The general quarter is filtered model output in place of
DeepSeek-V3's SFT data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, PromptConfig, RejectionConfig, RLConfig
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.asking import PromptOf, ask_r1, opened, turn_prompts, with_tags_of
from cogitate.recipe.data.candidates import (
    Candidate,
    ModelWriter,
    askable,
    collect,
    count_by,
    count_chunks,
    data_row,
    ledger_row,
)
from cogitate.recipe.data.general_data import WITH_THINKING, category, choose_general, general_prompt, general_prompts
from cogitate.recipe.data.judging import judge_of, judge_summary, judge_undecided
from cogitate.recipe.data.least_work import LeastWork, has_work
from cogitate.recipe.data.rejection import Dropped, most_different, reject, shortest
from cogitate.recipe.general_prompts import general_files
from cogitate.recipe.problems import (
    data_files,
    evaluation_problems,
    every_evaluation_problem,
    isolation_of,
    tasks_left_out,
    training_problems,
)
from cogitate.recipe.stage import Inputs, Stage, StageContext, find
from cogitate.runtime import derive_seed
from cogitate.tasks.files.datasets import write_rows
from cogitate.tasks.files.decontaminate import EvaluationIndex, index_evaluation
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.train.pools import in_turn
from cogitate.types import Problem, SamplingParams


def files(config: Config, stage: Stage) -> list[Path]:
    return list(dict.fromkeys([*data_files(config), *general_files(config)]))


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data, and a choice that nothing could be chosen by, before any time is spent."""
    problems = training_problems(config)
    evaluation_problems(config)
    settings = config.section(stage.name, RejectionConfig)
    if settings.prefer == "least_work":
        check_least_work(config, stage.name, problems)
    general_prompts(config, wanted_general(settings, settings.problems * settings.per_problem))


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.section(context.stage, RejectionConfig)
    problems = in_turn(training_problems(config), settings.problems, lambda problem: problem.task)
    prompts = general_prompts(config, wanted_general(settings, len(problems) * settings.per_problem))
    left_out = tasks_left_out(config)
    if left_out:
        context.say(f"without {', '.join(left_out)}: model-written code cannot be isolated here, see `cogitate doctor`")
    reasoning_writer, general_writer = make_writers(config, inputs, context)
    found = [
        askable(writer, asked, config.tasks.too_long, context)
        for writer, asked in ((reasoning_writer, problems), (general_writer, prompts))
    ]
    problems, prompts = (each.problems for each in found)
    reasoning_chunks = count_chunks(problems, settings.samples)
    context.metrics.truncate(0)
    context.begin(reasoning_chunks + count_chunks(prompts, settings.samples))
    seed = derive_seed(config.seed, context.stage)
    sampled = collect(reasoning_writer, problems, settings.samples, seed=seed, context=context, first_step=0)
    judge = judge_of(config, context)
    if judge is not None:
        sampled = judge_undecided(sampled, judge)
    work = LeastWork(isolation_of(config), context.checkpoint, context.stop_if_interrupted)
    reasoning, dropped = reject(
        sampled,
        evaluation_index(config, settings),
        per_problem=settings.per_problem,
        smallest_kept_share=settings.smallest_kept_share,
        choose={"different": most_different, "shortest": shortest, "least_work": work.choose}[settings.prefer],
    )
    if not reasoning:
        raise DataError(
            f"{context.stage}: none of {len(sampled)} completions can be kept: {count_by(rule for _, rule in dropped)}; "
            f"raise {context.stage}.samples, or give a better model"
        )
    if work.others:
        context.say(f"{work.others} problems have no work to count: of their completions the most different stay")
    wanted = wanted_general(settings, len(reasoning))
    answered = collect(general_writer, prompts, settings.samples, seed=seed, context=context, first_step=reasoning_chunks)
    general, general_dropped = choose_general(answered, wanted)
    if len(general) < wanted:
        context.say(f"{len(general)} of {wanted} general rows: few answers passed the filters; raise {context.stage}.samples")
    assert len(reasoning) + len(dropped) == len(sampled)
    assert len(general) + len(general_dropped) == len(answered)
    tokenizer = Tokenizer.load(next(iter(inputs.values())).path)
    rows = [data_row(candidate, candidate.text, tokenizer) | work.columns(candidate) for candidate in (*reasoning, *general)]
    write_rows(out / "data.parquet", rows)
    left = [ledger_row(candidate, rule) | work.columns(candidate) for candidate, rule in (*dropped, *general_dropped)]
    write_rows(out / "ledger.jsonl", left)
    return {
        "rows": len(rows),
        "reasoning": counts(sampled, reasoning, dropped),
        "general": {
            **counts(answered, general, general_dropped),
            "wanted": wanted,
            "categories": count_by(category(candidate.problem) for candidate in general),
        },
        "general_share": round(len(general) / len(rows), 4),
        "tasks": count_by(row["task"] for row in rows),
        "languages": count_by(row["language"] for row in rows),
        **({"least_work": work.summary()} if settings.prefer == "least_work" else {}),
        **judge_summary(judge),
        **found[0].summary(),
        **found[1].summary("too_long_general"),
        **({"tasks_left_out": left_out} if left_out else {}),
    }


def check_least_work(config: Config, name: str, problems: Sequence[Problem]) -> None:
    """Refuse the choice by least work where no work can be counted."""
    if config.rewards.remote_sandbox:
        raise ConfigError(
            f'{name}.prefer = "least_work" counts instructions in a sandbox of this machine: leave rewards.remote_sandbox out'
        )
    if not any(map(has_work, problems)):
        raise ConfigError(
            f'{name}.prefer = "least_work": no problem of tasks.train = {config.tasks.train!r} asks for a program whose work '
            "can be counted (tests that are pairs or stdin, no assertions); name such problems there, or leave it out"
        )


def wanted_general(settings: RejectionConfig, reasoning_rows: int) -> int:
    """General rows that make up general_share of all rows beside so many reasoning rows."""
    share = settings.general_share
    return math.ceil(reasoning_rows * share / (1 - share))


def make_writers(config: Config, inputs: Inputs, context: StageContext) -> tuple[ModelWriter, ModelWriter]:
    """Who answers reasoning and who answers general prompts."""
    backend, settings = context.backend, config.section(context.stage, RejectionConfig)
    (name, model), *_ = models = list(inputs.items())
    general_name, general_model = models[-1]
    shared: dict[str, Any] = {
        "params": SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        "grader": backend.grader(),
        "meanwhile": context.stop_if_interrupted,
    }
    generator, tokenizer = backend.generator(model.path), Tokenizer.load(model.path)
    general_tokenizer = Tokenizer.load(general_model.path)
    by_rl = find(context.graph, name).has(RLConfig)  # then it is asked as its own RL asked, else as SFT showed it
    asked = config.section(name, RLConfig) if by_rl else PromptConfig(prompt="turn")
    tokenizer = with_tags_of(asked, tokenizer)
    reasoning = ModelWriter(
        "reasoning", name, "r1", ask_r1(asked, model.path, tokenizer), "r1",
        tokenizer=tokenizer, generator=generator, **shared,
    )  # fmt: skip
    general = ModelWriter(
        "general", general_name, "r1", general_asking(general_model.path, general_tokenizer), "r1", tokenizer=general_tokenizer,
        generator=generator if general_name == name else backend.generator(general_model.path), **shared,
    )  # fmt: skip
    return reasoning, general


def general_asking(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """A general prompt as a turn of the model's own template, or of R1's form; where thinking is useful the prompt opens it."""
    if ChatTemplate.load(directory) is None:
        return lambda problem: tokenizer.tags.exchange(general_prompt(problem))
    plain = turn_prompts(directory, tokenizer)
    with_thinking = opened(plain, tokenizer)
    return lambda problem: (with_thinking if category(problem) in WITH_THINKING else plain)(problem)


def evaluation_index(config: Config, settings: RejectionConfig) -> EvaluationIndex:
    """Every evaluation problem: files whole, of generated tasks those that are asked."""
    return index_evaluation(
        every_evaluation_problem(config),
        ngram=settings.overlap_ngram,
        limit=settings.overlap_limit,
        compare_templates=settings.compare_templates,
    )


def counts(sampled: Sequence[Candidate], kept: Sequence[Candidate], dropped: Dropped) -> dict[str, Any]:
    """What became of the completions."""
    return {
        "model": sampled[0].model if sampled else "",
        "sampled": len(sampled),
        "right": sum(candidate.verdict == "right" for candidate in sampled),
        "kept": len(kept),
        "dropped": count_by(rule for _, rule in dropped),
    }

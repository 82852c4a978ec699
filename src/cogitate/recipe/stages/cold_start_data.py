"""cold_start: thousands of readable, long answers to start from, by the paper's four collectors (R1, section 2.3.1).

Departure: where DeepSeek-V3 rewrote and people revised, rules rewrite, and people decide by a review.jsonl if they want to.
Nothing comes from a problem's generator: every text was written by a model (or a reviewer), and every one was graded right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.errors import DataError
from cogitate.evals.text_metrics import is_reflective
from cogitate.recipe.asking import PromptOf, ask_r1_zero, chat_prompts
from cogitate.recipe.context import StageContext
from cogitate.recipe.data.candidates import Candidate, Writer, collect, count_by, count_chunks, data_row, in_turn, ledger_row
from cogitate.recipe.data.collect import (
    Processed,
    checked,
    direct_text,
    direct_with_verification,
    few_shot_with_a_long_example,
    post_process,
    r1_zero_where_readable,
)
from cogitate.recipe.data.review import Decision, check_known, read_items, read_review
from cogitate.recipe.data.teacher import Endpoint, check_teacher
from cogitate.recipe.problems import data_files, tasks_left_out, training_problems
from cogitate.runtime import derive_seed, raise_interrupted
from cogitate.tasks.files.datasets import write_rows
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.types import Artifact, SamplingParams

VERSION = 1
SECTIONS = (
    "seed", "tasks", "rewards", "teacher", "{stage}", "r1_zero.prompt", "r1_zero.worked_examples", "r1_zero.open_thinking",
    "runtime.dtype", "runtime.max_batch",
)  # fmt: skip


def files(config: Config) -> list[Path]:
    given = (config.cold_start.review, config.cold_start.items)
    return [*data_files(config), *(Path(path) for path in given if path)]


def check(config: Config, stage: str) -> None:
    """Refuse bad data, a bad review and half a teacher before any time is spent."""
    problems = training_problems(config)
    check_teacher(config.teacher)
    if config.cold_start.items:
        read_items(config.cold_start.items, problems)
    if config.cold_start.review:
        read_review(config.cold_start.review)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.cold_start
    decisions = read_review(settings.review) if settings.review else {}
    left_out = tasks_left_out(config)
    if left_out:
        context.say(f"without {', '.join(left_out)}: model-written code cannot be isolated here, see `cogitate doctor`")
    context.metrics.truncate(0)
    candidates = reviewed(config, context) if settings.items else ask_all(config, inputs, context)
    check_known(decisions, {candidate.id for candidate in candidates})
    grader = context.backend.grader()
    done = post_process(
        candidates, decisions, per_problem=settings.per_problem, grader=grader, meanwhile=lambda: leave_if_interrupted(context)
    )
    assert len(done.kept) + len(done.dropped) == len(candidates)
    if not done.kept:
        raise DataError(
            f"cold_start: none of {len(candidates)} candidates can be kept: {count_by(rule for _, rule in done.dropped)}; "
            "raise cold_start.samples, or ask other models"
        )
    tokenizer = context.backend.tokenizer(next(iter(inputs.values())).path)
    write_rows(out / "data.parquet", [data_row(candidate, text, tokenizer) for candidate, text in done.kept])
    write_rows(out / "ledger.jsonl", [ledger_row(candidate, rule) for candidate, rule in done.dropped])
    write_rows(out / "items.jsonl", items(candidates, done, decisions))
    return {
        "rows": len(done.kept),
        "collectors": {source: counts(source, candidates, done) for source in dict.fromkeys(c.source for c in candidates)},
        "post_processing": processing_counts(done, decisions),
        "tasks": count_by(candidate.problem.task for candidate, _ in done.kept),
        "languages": count_by(candidate.problem.language for candidate, _ in done.kept),
        **({"tasks_left_out": left_out} if left_out else {}),
    }


def ask_all(config: Config, inputs: Mapping[str, Artifact], context: StageContext) -> list[Candidate]:
    """Collectors 1 to 3, one after the other."""
    settings = config.cold_start
    problems = in_turn(training_problems(config), settings.problems, lambda problem: problem.task)
    writers = make_writers(config, inputs, context)
    chunks = count_chunks(problems, settings.samples)
    context.begin(len(writers) * chunks)
    seed = derive_seed(config.seed, context.stage)
    candidates: list[Candidate] = []
    for number, writer in enumerate(writers):
        candidates += collect(writer, problems, settings.samples, seed=seed, context=context, first_step=number * chunks)
    return candidates


def reviewed(config: Config, context: StageContext) -> list[Candidate]:
    """The candidates of an earlier run, as reviewed: a teacher would not say the same again."""
    context.begin(1)
    candidates = read_items(config.cold_start.items, training_problems(config))
    context.metrics.write({"step": 0, "source": "items", "sampled": len(candidates)})
    return candidates


def make_writers(config: Config, inputs: Mapping[str, Artifact], context: StageContext) -> list[Writer]:
    """Collectors 1 to 3, each with the model that writes for it."""
    settings, backend = config.cold_start, context.backend
    (base_name, base), (zero_name, zero) = list(inputs.items())[:2]
    shared: dict[str, Any] = {
        "params": SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        "grader": backend.grader(),
        "meanwhile": lambda: leave_if_interrupted(context),
    }
    zero_parts = {
        "model": zero_name, "tokenizer": backend.tokenizer(zero.path), "generator": backend.generator(zero.path), **shared
    }  # fmt: skip
    ask_zero = ask_r1_zero(config.r1_zero, zero.path, zero_parts["tokenizer"])
    if config.teacher.base_url:
        endpoint = Endpoint(config.teacher)
        parts = {"tokenizer": backend.tokenizer(base.path), **shared}
        return [
            few_shot_with_a_long_example(parts, endpoint),
            direct_with_verification(parts, endpoint),
            r1_zero_where_readable(zero_parts, ask_zero),
        ]
    base_parts = {
        "model": base_name, "tokenizer": backend.tokenizer(base.path), "generator": backend.generator(base.path), **shared
    }  # fmt: skip
    return [
        few_shot_with_a_long_example(base_parts, None),
        direct_with_verification(zero_parts, None, directly(config, zero.path, zero_parts["tokenizer"])),
        r1_zero_where_readable(zero_parts, ask_zero),
    ]


def directly(config: Config, directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """The question with the request to check the answer, in the form R1-Zero is asked in: plain, or its chat template."""
    if config.r1_zero.prompt == "plain":
        return direct_text
    ask = chat_prompts(directory, tokenizer, "")
    return lambda problem: ask(replace(problem, question=checked(problem)))


def leave_if_interrupted(context: StageContext) -> None:
    """Finished chunks are in the checkpoint; one under way is made again."""
    if context.interrupted():
        raise_interrupted(context.stage)


def items(candidates: Sequence[Candidate], done: Processed, decisions: Mapping[str, Decision]) -> list[dict[str, Any]]:
    """Every candidate for a reviewer: what was asked and written, how it would read, what was decided and why."""
    rules = {candidate.id: rule for candidate, rule in done.dropped}
    finals = {candidate.id: text for candidate, text in done.kept}
    return [
        {
            "id": candidate.id,
            "source": candidate.source,
            "model": candidate.model,
            "prompt": candidate.prompt,
            "task": candidate.problem.task,
            "problem_id": candidate.problem.id,
            "language": candidate.problem.language,
            "question": candidate.problem.question,
            "gold": candidate.problem.gold,
            "completion": candidate.text,
            "contract": candidate.contract,
            "finish_reason": candidate.finish_reason,
            "tokens": candidate.tokens,
            "verdict": candidate.verdict,
            "reason": candidate.reason,
            "extracted": candidate.extracted,
            "text": finals.get(candidate.id, done.texts.get(candidate.id)),
            "faults": list(done.faults.get(candidate.id, ())),
            "kept": candidate.id in finals,
            "rule": rules.get(candidate.id),
            "decision": decisions[candidate.id].kind if candidate.id in decisions else None,
        }
        for candidate in candidates
    ]


def counts(source: str, candidates: Sequence[Candidate], done: Processed) -> dict[str, Any]:
    """What one collector brought in."""
    own = [candidate for candidate in candidates if candidate.source == source]
    kept = [text for candidate, text in done.kept if candidate.source == source]
    return {
        "model": own[0].model,
        "prompt": own[0].prompt,
        "sampled": len(own),
        "right": sum(candidate.verdict == "right" for candidate in own),
        "kept": len(kept),
        "kept_reflective": sum(is_reflective(split_thinking(text).thinking or "") for text in kept),
        "dropped": count_by(rule for candidate, rule in done.dropped if candidate.source == source),
    }


def processing_counts(done: Processed, decisions: Mapping[str, Decision]) -> dict[str, Any]:
    """What post-processing did: texts rewritten and kept, decisions followed, and those that could not make an answer right."""
    kept = {candidate.id for candidate, _ in done.kept}
    wanted = [item for item, decision in decisions.items() if decision.kind != "reject"]
    return {
        "rewritten": len(done.texts),
        "kept": len(kept),
        "decisions": count_by(decision.kind for decision in decisions.values()),
        "accepted_or_edited_but_wrong": sum(item not in kept for item in wanted),
    }

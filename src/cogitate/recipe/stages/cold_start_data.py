"""cold_start: thousands of readable, long answers to start from, by the paper's four collectors (R1, section 2.3.1).

Departure: where DeepSeek-V3 rewrote and people revised, rules rewrite, and people decide by a review.jsonl if they want to.
Nothing comes from a problem's generator: every text was written by a model (or a reviewer), and every one was graded right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from cogitate.config import ColdStartConfig, Config, TeacherConfig, ZeroRLConfig
from cogitate.config.prompts import QUESTION
from cogitate.endpoint import Endpoint, check_endpoint
from cogitate.errors import DataError
from cogitate.evals.text_metrics import is_reflective
from cogitate.json_lines import first_and_number
from cogitate.recipe.asking import PromptOf, ask_r1_zero, chat_prompts, with_tags_of
from cogitate.recipe.data.candidates import Candidate, Writer, askable, collect, count_by, count_chunks, data_row, ledger_row
from cogitate.recipe.data.collect import (
    CONTESTED,
    Processed,
    checked,
    direct_text,
    direct_with_verification,
    few_shot_with_a_long_example,
    post_process,
    r1_zero_where_readable,
)
from cogitate.recipe.data.decisions.provenance import FILE, provenance_rows
from cogitate.recipe.data.review import Decision, check_known, disagreements, read_items, read_review
from cogitate.recipe.kinds import TEACHER
from cogitate.recipe.problems import data_files, tasks_left_out, training_problems
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.runtime import derive_seed
from cogitate.tasks.files.datasets import write_rows
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.pools import in_turn
from cogitate.types import Problem, SamplingParams


def files(config: Config, stage: Stage) -> list[Path]:
    settings = config.section(stage.name, ColdStartConfig)
    given = (settings.review, settings.items)
    return [*data_files(config), *(Path(path) for path in given if path)]


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data, a bad review and half a teacher before any time is spent."""
    problems, settings = training_problems(config), config.section(stage.name, ColdStartConfig)
    check_endpoint(config.section(TEACHER, TeacherConfig), TEACHER)
    if settings.items:
        read_items(settings.items, problems)
    if settings.review:
        check_review(stage.name, settings)


def check_review(stage: str, settings: ColdStartConfig) -> None:
    """Refuse decisions that cannot be read, and a wish for contested ones where there are none."""
    decisions = read_review(settings.review)
    if settings.use_contested and not any(decision.contested for decision in decisions.values()):
        raise DataError(f"{stage}.use_contested has no effect: {settings.review} contests no verdict; leave it out")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.section(context.stage, ColdStartConfig)
    decisions = read_review(settings.review) if settings.review else {}
    unsettled = disagreements(settings.review) if settings.review else []  # of the same moment
    left_out = tasks_left_out(config)
    if left_out:
        context.say(f"without {', '.join(left_out)}: model-written code cannot be isolated here, see `cogitate doctor`")
    context.metrics.truncate(0)
    too_long: dict[str, Any] = {}
    candidates = reviewed(config, context) if settings.items else ask_all(config, inputs, context, too_long)
    check_known(decisions, {candidate.id for candidate in candidates})
    if unsettled:
        context.say(f"taken as undecided, since annotators disagree: {first_and_number(unsettled, len(unsettled))}")
    grader = context.backend.grader()
    done = post_process(
        candidates, decisions, per_problem=settings.per_problem, grader=grader, meanwhile=context.stop_if_interrupted
    )
    settle_contested(done, candidates, use=settings.use_contested)
    assert len(done.kept) + len(done.dropped) == len(candidates)
    if not done.kept:
        raise DataError(
            f"{context.stage}: none of {len(candidates)} candidates can be kept: {count_by(rule for _, rule in done.dropped)}; "
            f"raise {context.stage}.samples, or ask other models"
        )
    tokenizer = Tokenizer.load(next(iter(inputs.values())).path)
    write_rows(out / "data.parquet", [data_row(candidate, text, tokenizer) for candidate, text in done.kept])
    write_rows(out / "ledger.jsonl", [ledger_row(candidate, rule) for candidate, rule in done.dropped])
    write_rows(out / "items.jsonl", items(candidates, done, decisions))
    rules = {candidate.id: rule for candidate, rule in done.dropped}
    if done.contested:
        contested = [contested_row(*one, decisions, use=settings.use_contested) for one in done.contested]
        write_rows(out / "contested.jsonl", contested)
    if provenance := provenance_rows(decisions, {candidate.id for candidate, _ in done.kept}, rules):
        write_rows(out / FILE, provenance)
    return {
        "rows": len(done.kept),
        "collectors": {source: counts(source, candidates, done) for source in dict.fromkeys(c.source for c in candidates)},
        "post_processing": processing_counts(done, decisions),
        **({"contested": len(done.contested), "contested_used": settings.use_contested} if done.contested else {}),
        **({"disagreed": len(unsettled)} if unsettled else {}),
        "tasks": count_by(candidate.problem.task for candidate, _ in done.kept),
        "languages": count_by(candidate.problem.language for candidate, _ in done.kept),
        **too_long,
        **({"tasks_left_out": left_out} if left_out else {}),
    }


def settle_contested(done: Processed, candidates: Sequence[Candidate], *, use: bool) -> None:
    """Learn what people kept against the grader's verdict, in its place among the candidates, or drop it under its own rule."""
    if use:
        place = {candidate.id: number for number, candidate in enumerate(candidates)}
        done.kept = sorted([*done.kept, *done.contested], key=lambda pair: place[pair[0].id])
    else:
        done.dropped += [(candidate, CONTESTED) for candidate, _ in done.contested]


def contested_row(candidate: Candidate, text: str, decisions: Mapping[str, Decision], *, use: bool) -> dict[str, Any]:
    """What a person kept against the verdict, and why; `used`: whether it is a row of the data."""
    return {"contested": decisions[candidate.id].contested, "used": use, "final_text": text, **candidate.row()}


def ask_all(config: Config, inputs: Inputs, context: StageContext, too_long: dict[str, Any]) -> list[Candidate]:
    """Collectors 1 to 3, one after the other; `too_long` gets what each of them cannot be asked."""
    settings = config.section(context.stage, ColdStartConfig)
    problems = in_turn(training_problems(config), settings.problems, lambda problem: problem.task)
    teacher = config.section(TEACHER, TeacherConfig)
    with Endpoint(teacher) if teacher.base_url else nullcontext() as endpoint:
        return ask_with(make_writers(config, inputs, context, endpoint), problems, config, context, too_long)


def ask_with(
    writers: Sequence[Writer], problems: Sequence[Problem], config: Config, context: StageContext, too_long: dict[str, Any]
) -> list[Candidate]:
    """Each collector's candidates of these problems, as far as it can be asked them."""
    settings = config.section(context.stage, ColdStartConfig)
    found = [askable(writer, problems, config.tasks.too_long, context) for writer in writers]
    chunks = [count_chunks(each.problems, settings.samples) for each in found]
    context.begin(sum(chunks))
    seed = derive_seed(config.seed, context.stage)
    candidates: list[Candidate] = []
    for number, (writer, each) in enumerate(zip(writers, found, strict=True)):
        too_long |= each.summary(f"too_long_{writer.source}")
        first = sum(chunks[:number])
        candidates += collect(writer, each.problems, settings.samples, seed=seed, context=context, first_step=first)
    return candidates


def reviewed(config: Config, context: StageContext) -> list[Candidate]:
    """The candidates of an earlier run, as reviewed: a teacher would not say the same again."""
    context.begin(1)
    candidates = read_items(config.section(context.stage, ColdStartConfig).items, training_problems(config))
    context.metrics.write({"step": 0, "source": "items", "sampled": len(candidates)})
    return candidates


def make_writers(config: Config, inputs: Inputs, context: StageContext, endpoint: Endpoint | None) -> list[Writer]:
    """Collectors 1 to 3, each with the model that writes for it; `endpoint` is the teacher's, where there is one."""
    settings, backend = config.section(context.stage, ColdStartConfig), context.backend
    (base_name, base), (zero_name, zero) = list(inputs.items())[:2]
    zero_settings = config.section(zero_name, ZeroRLConfig)
    zero_tokenizer = with_tags_of(zero_settings, Tokenizer.load(zero.path))
    shared: dict[str, Any] = {
        "params": SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        "grader": backend.grader(),
        "meanwhile": context.stop_if_interrupted,
    }
    zero_parts = {
        "model": zero_name, "tokenizer": zero_tokenizer, "generator": backend.generator(zero.path), **shared
    }  # fmt: skip
    ask_zero = ask_r1_zero(zero_settings, zero.path, zero_tokenizer)
    if endpoint is not None:
        parts = {"tokenizer": Tokenizer.load(base.path), **shared}
        return [
            few_shot_with_a_long_example(parts, endpoint),
            direct_with_verification(parts, endpoint),
            r1_zero_where_readable(zero_parts, ask_zero),
        ]
    base_parts = {
        "model": base_name, "tokenizer": Tokenizer.load(base.path), "generator": backend.generator(base.path), **shared
    }  # fmt: skip
    return [
        few_shot_with_a_long_example(base_parts, None),
        direct_with_verification(zero_parts, None, directly(zero_settings, zero.path, zero_tokenizer)),
        r1_zero_where_readable(zero_parts, ask_zero),
    ]


def directly(settings: ZeroRLConfig, directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """The question with the request to check the answer, in the form R1-Zero is asked in: plain, or its chat template."""
    if settings.prompt == "plain":
        return direct_text
    ask = chat_prompts(directory, tokenizer, QUESTION)
    return lambda problem: ask(replace(problem, question=checked(problem)))


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
    settled = kept | {candidate.id for candidate, _ in done.contested}
    wanted = [item for item, decision in decisions.items() if decision.kind != "reject"]
    return {
        "rewritten": len(done.texts),
        "kept": len(kept),
        "decisions": count_by(decision.kind for decision in decisions.values()),
        "accepted_or_edited_but_wrong": sum(item not in settled for item in wanted),
    }

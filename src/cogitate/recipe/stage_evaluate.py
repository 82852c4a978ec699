"""evaluate.<model>: k completions of each evaluation problem, graded; the table of metrics and every completion are kept.

A base model knows no format, so it is scored at the best of three prompts under the contract `free`, which needs no tags:
learning the tags alone gains nothing over it. Later models are asked and scored in the format they were trained in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, RLConfig
from cogitate.evals.evaluate import CONSENSUS_KINDS, Asking, Measured, consensus_table, measure_model, table
from cogitate.recipe.asking import chat_prompts
from cogitate.recipe.context import StageContext
from cogitate.recipe.problems import data_files, evaluation_problems, tasks_left_out
from cogitate.recipe.runner import EVALUATION
from cogitate.runtime import atomic_write, derive_seed, raise_interrupted, write_json
from cogitate.tasks.examples import examples_for
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import bare_prompt, few_shot_prompt, r1_zero_prompt
from cogitate.types import Artifact, SamplingParams

VERSION = 2
SECTIONS = ("seed", "tasks", "rewards", "evaluate", "runtime.dtype", "runtime.max_batch", "r1_zero.prompt")

R1_ZERO = Asking("r1_zero", lambda problem: r1_zero_prompt(problem.question), "r1", "think_answer")
NEXT_QUESTION = "\n\nQuestion:"
BASE_PROMPTS = (
    Asking("r1_zero_template", lambda problem: r1_zero_prompt(problem.question), "free", "think_answer"),
    Asking(
        "few_shot",
        lambda problem: few_shot_prompt(problem.question, examples_for(problem)),
        "free",
        "think_answer",
        stop=NEXT_QUESTION,
    ),
    Asking("bare_question", lambda problem: bare_prompt(problem.question), "free", "think_answer", stop=NEXT_QUESTION),
)
PROMPTS: dict[str, tuple[Asking, ...]] = {"base": BASE_PROMPTS}


def files(config: Config) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: str) -> None:
    """Refuse bad data before any time is spent."""
    evaluation_problems(config)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    ((model_name, model),) = inputs.items()
    settings, backend = config.evaluate, context.backend
    problems = evaluation_problems(config)
    shared: dict[str, Any] = {
        "params": SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        "tokenizer": backend.tokenizer(model.path),
        "generator": backend.generator(model.path),
        "grader": backend.grader(),
        "meanwhile": lambda: leave_if_interrupted(context),
    }
    seed = derive_seed(config.seed, model_name)
    prompts = askings(config, model_name, model.path, shared["tokenizer"])
    context.begin(len(prompts))
    groups_of: dict[str, list[list[Measured]]] = {}
    for index, asking in enumerate(prompts):
        groups = measure_model(problems, asking, samples=settings.samples, seed=seed, **shared)
        groups_of[asking.name] = groups
        context.metrics.write({"step": index, "prompt": asking.name, "accuracy": table(groups)["all"]["pass@1"]["value"]})
    tables = {name: table(groups) for name, groups in groups_of.items()}
    best = max(prompts, key=lambda asking: tables[asking.name]["all"]["pass@1"]["value"])
    result = tables[best.name]
    chosen = [problem for problem in problems if problem.kind in CONSENSUS_KINDS][: settings.consensus_problems]
    if chosen:
        votes = measure_model(chosen, best, samples=settings.consensus_samples, seed=derive_seed(seed, "consensus"), **shared)
        for task, values in consensus_table(votes).items():
            result[task] |= values
    write_completions(out / "completions.jsonl", groups_of)
    write_json(out / EVALUATION, result)
    left_out = tasks_left_out(config)
    summary: dict[str, Any] = {"prompt": best.name, "contract": best.contract}
    if len(prompts) > 1:
        summary["pass@1 by prompt"] = {
            name: {task: row["pass@1"]["value"] for task, row in rows.items() if "pass@1" in row}
            for name, rows in tables.items()
        }
    return {**summary, **({"tasks_left_out": left_out} if left_out else {})}


def askings(config: Config, model_name: str, directory: Path, tokenizer: Tokenizer) -> tuple[Asking, ...]:
    """The prompts a model is measured at. One trained through its chat template is asked through it; then its base is, too."""
    if model_name == "base" and config.r1_zero.prompt == "chat":
        chat = chat_prompts(directory, tokenizer)
        return (*BASE_PROMPTS, Asking("chat", chat, "free", "think_answer"))
    section = getattr(config, model_name, None)
    if isinstance(section, RLConfig) and section.prompt == "chat":
        return (Asking("chat", chat_prompts(directory, tokenizer), R1_ZERO.contract, R1_ZERO.format),)
    return PROMPTS.get(model_name, (R1_ZERO,))


def leave_if_interrupted(context: StageContext) -> None:
    """An evaluation has no checkpoint: it starts anew, so it need not go on for minutes after a signal."""
    if context.interrupted():
        raise_interrupted(context.stage)


def write_completions(path: Path, groups_of: dict[str, Sequence[Sequence[Measured]]] | dict[str, list[list[Measured]]]) -> None:
    """Every graded completion, one a line, so that each number can be traced to texts."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        for prompt, groups in groups_of.items():
            for group in groups:
                for measured in group:
                    handle.write(json.dumps({"prompt": prompt, **measured.row()}, ensure_ascii=False) + "\n")

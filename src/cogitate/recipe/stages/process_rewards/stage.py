"""process_reward_model: a model of single steps, from continuations of the policy, a checker, verdicts, or a file.

One model directory whose trunk starts as the first input, the policy, and whose head starts as zeros. Beside it steps.jsonl
holds what it has learnt from in TRL's stepwise format, and process_model.json the form of the steps. R1 names process reward
models among its unsuccessful attempts (arXiv:2501.12948): of use to rank completions, hacked in long RL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.backend import Scorer
from cogitate.config import Config, ProcessRewardModelConfig
from cogitate.errors import DataError
from cogitate.evals.evaluate import Asking
from cogitate.recipe.asking import fitting
from cogitate.recipe.data.reward_model_reports import hold_out
from cogitate.recipe.problems import data_files, training_problems
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.recipe.stages.evaluate import askings
from cogitate.recipe.stages.process_rewards.labels import LabelledSolution, Labelling
from cogitate.recipe.stages.process_rewards.reports import choice_report, label_report, model_report, name_of, threshold_of
from cogitate.runtime import derive_seed, write_json
from cogitate.search.draw import Judge, Sampler
from cogitate.search.scoring import save_settings
from cogitate.tasks.files.datasets import write_rows
from cogitate.tasks.files.stepwise import load_stepwise
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.steps import StepReader
from cogitate.tokenizer.thinking import THINK_OPEN
from cogitate.train.conversations import too_long_line
from cogitate.train.preference import PreferenceRun, train_preferences
from cogitate.train.rollouts import encode_all, opens_thinking
from cogitate.types import Problem

STEPS = "steps.jsonl"


def files(config: Config, stage: Stage) -> list[Path]:
    settings = config.section(stage.name, ProcessRewardModelConfig)
    return [Path(settings.steps_file)] if settings.labels == "file" else data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    settings = config.section(stage.name, ProcessRewardModelConfig)
    if settings.labels == "file":
        load_stepwise(settings.steps_file)
    else:
        training_problems(config)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.section(context.stage, ProcessRewardModelConfig)
    (name, policy), *_ = inputs.items()
    tokenizer = Tokenizer.load(policy.path)
    asking, *_ = askings(config, context.graph, name, policy.path, tokenizer)
    reader = StepReader(tokenizer.with_tags(asking.tags), settings.step_form)
    if settings.labels == "file":
        solutions, facts, first_row = from_file(settings, asking, reader, context, policy.path)
    else:
        solutions, facts, first_row = from_policy(config, asking, reader, context, policy.path)
    write_rows(out / STEPS, [each.row() for each in solutions])
    learnt, held_out = hold_out([name_of(each) for each in solutions], settings.held_out_share, seed=config.seed)
    items = [solutions[number].item for number in learnt]
    learner = context.backend.process_learner(policy.path, settings)
    checkpoint = learning_place(settings, context)
    checkpoint.mkdir(parents=True, exist_ok=True)
    loop = PreferenceRun(context.stage, config.seed, settings, context.metrics, checkpoint, context.begin, first_row)
    train_preferences(learner, items, [len(item.text.tokens) for item in items], loop)
    learner.save_weights(out)
    tokenizer.save(out)
    save_settings(out, settings)
    seen, kept = ([solutions[number] for number in numbers] for numbers in (learnt, held_out))
    scorer = context.backend.scorer(out)
    chosen = None if settings.labels == "outcome" else threshold_of(seen, scores_of(seen, scorer))
    scores = scores_of(kept, scorer)
    choice = {} if settings.labels == "file" else {"choice": choice_report(kept, scores)}
    return {**facts, "labels": label_report(solutions), "model": model_report(kept, scores, chosen), **choice}


def scores_of(solutions: Sequence[LabelledSolution], scorer: Scorer) -> list[list[float]]:
    """What the model says of each step."""
    prompts, completions = [each.prompt_ids for each in solutions], [each.completion_ids for each in solutions]
    return scorer.step_scores(prompts, completions, [each.ends for each in solutions])


def from_policy(
    config: Config, asking: Asking, reader: StepReader, context: StageContext, policy: Path
) -> tuple[list[LabelledSolution], dict[str, Any], int]:
    """Labelled completions of training problems, facts for the summary, and the rows that this is in the log. Each finished
    chunk is kept in the checkpoint."""
    settings = config.section(context.stage, ProcessRewardModelConfig)
    generator, backend = context.backend.generator(policy), context.backend
    problems = training_problems(config)[: settings.problems]
    found = fitting(
        problems, [(asking.prompt_of, reader.tokenizer)], generator.max_context,
        max_new_tokens=settings.max_new_tokens, too_long=config.tasks.too_long,
    )  # fmt: skip
    if found.left_out:
        context.say(found.line())
    wait = context.stop_if_interrupted
    sampler = Sampler(generator, reader, top_p=settings.top_p, on_wait=wait)
    labelling = Labelling(
        settings, sampler, Judge(backend.grader(), reader, asking.contract, on_wait=wait),
        lambda problem: encode_all([asking.prompt_of(problem)], reader.tokenizer)[0],
        derive_seed(config.seed, context.stage),
    )  # fmt: skip
    size = problems_of_chunk(settings)
    chunks = [found.problems[start : start + size] for start in range(0, len(found.problems), size)]
    done = context.checkpoint / "labelled"
    done.mkdir(parents=True, exist_ok=True)
    solutions, unjudged, tokens = list[LabelledSolution](), 0, 0
    learning = any(learning_place(settings, context).glob("*"))  # then the rows of the log are all there
    if not learning:
        context.metrics.truncate(0)
        context.begin(len(chunks))
    for number, chunk in enumerate(chunks):
        path, before = done / f"{size}-{number}.json", sampler.tokens
        if not path.is_file():
            context.stop_if_interrupted()
            labelled, without_verdict = labelling.solutions(chunk)
            write_rows(path.with_suffix(".jsonl"), [each.saved() for each in labelled])
            write_json(path, {"without_verdict": without_verdict, "tokens": sampler.tokens - before})
        rows = path.with_suffix(".jsonl").read_text(encoding="utf-8").split("\n")
        labelled, counted = [LabelledSolution.read(json.loads(row)) for row in rows if row], json.loads(path.read_bytes())
        if not learning:
            context.metrics.write({"step": number, **chunk_row(labelled), "tokens_generated": counted["tokens"]})
        solutions += labelled
        unjudged, tokens = unjudged + counted["without_verdict"], tokens + counted["tokens"]
    if not solutions:
        raise DataError(
            f"{context.stage}: no completion has a labelled step: with labels = checker problems must be of our generators"
        )
    return solutions, {"without_verdict": unjudged, "tokens_generated": tokens, **found.summary()}, len(chunks)


def problems_of_chunk(settings: ProcessRewardModelConfig) -> int:
    return max(1, settings.chunk // settings.samples)


def learning_place(settings: ProcessRewardModelConfig, context: StageContext) -> Path:
    """Where the learner's checkpoints are. The log has a row for each chunk before those of learning, so with chunks of another
    size learning begins again."""
    return context.checkpoint / f"model-{problems_of_chunk(settings)}"


def chunk_row(labelled: Sequence[LabelledSolution]) -> dict[str, float]:
    """What is logged of a chunk."""
    steps = [label for each in labelled for label in each.labels]
    if not steps:
        return {"completions": 0}
    return {
        "completions": len(labelled),
        "accuracy": sum(each.right for each in labelled) / len(labelled),
        "label": sum(steps) / len(steps),
    }


def from_file(
    settings: ProcessRewardModelConfig, asking: Asking, reader: StepReader, context: StageContext, policy: Path
) -> tuple[list[LabelledSolution], dict[str, Any], int]:
    """The steps of a user's file, put to the model as the policy is asked. Rows that are longer than its context are left out,
    named and counted."""
    from cogitate.model.files.hf import load_config

    rows, longest = load_stepwise(settings.steps_file), load_config(policy).max_position_embeddings
    solutions, long = list[LabelledSolution](), list[tuple[str, int]]()
    for row in rows:
        problem = Problem(row.prompt, "file", "math", row.prompt)
        (prompt_ids,) = encode_all([asking.prompt_of(problem)], reader.tokenizer)
        opened = opens_thinking(prompt_ids, reader.tokenizer)
        ids: tuple[int, ...] = ()
        ends: list[int] = []
        for number, step in enumerate(row.completions):
            said = settings.step_separator + step if number else without_opening(step) if opened else step
            text = reader.tokenizer.tags.exchange(said)
            ids = (*ids, *reader.tokenizer.encode(text))
            ends.append(len(ids))
        if len(prompt_ids) + len(ids) > longest:
            long.append((row.place, len(prompt_ids) + len(ids)))
            continue
        solutions.append(
            LabelledSolution(
                row.prompt, 0, "file", row.prompt, prompt_ids, ids, row.completions, tuple(ends), row.labels, None,
                min(row.labels) > 0, None,
            )
        )  # fmt: skip
    if long:
        context.say(too_long_line("rows", long, len(rows), longest))
    if not solutions:
        raise DataError(f"{settings.steps_file}: every row is longer than the model's context of {longest} tokens")
    return solutions, {"rows": len(rows), "too_long": len(long)}, 0


def without_opening(step: str) -> str:
    """A first step without the `<think>` that it begins with: the prompt has it."""
    before, tag, after = step.partition(THINK_OPEN)
    return after if tag and not before.strip() else step

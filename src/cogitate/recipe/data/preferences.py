"""Preferences and safety labels: candidate answers of a model, judged by another one or by simulation (R1, supplement).

R1 lets a language model judge each pair four times with positions swapped and keeps pairs of a clear gap and similar lengths.
So does the model of `judge.model`, where there is one (annotators.py). Otherwise a simulated judge knows a problem's true score
and is as fallible as a model. Reward models learn from what it says, never from the scores.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from cogitate.answers import Answers
from cogitate.config import Config, DemonstrationsConfig, PreferenceDataConfig
from cogitate.errors import ConfigError, DataError
from cogitate.evals.benchmarks.kept import KeptGenerator, kept_file
from cogitate.recipe.asking import Fitting, fitting, turn_prompts
from cogitate.recipe.data.annotators import Judged, Labeller, ModelAnnotator, SimulatedAnnotator, check_used_by_judge
from cogitate.recipe.data.judging import judge_of, judge_summary
from cogitate.recipe.general_prompts import general_files, general_training_problems
from cogitate.recipe.kinds import PREFERENCE_DATA
from cogitate.recipe.stage import StageContext
from cogitate.rewards.judge.settings import judge_files
from cogitate.rewards.reward_model import everything, final_answer
from cogitate.runtime import derive_seed, write_json
from cogitate.tasks.files.datasets import write_rows
from cogitate.tasks.files.pairs import as_values
from cogitate.tasks.files.preference_forms import load_labels, load_pairs
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rollouts import Phases, sample_and_grade
from cogitate.types import Problem, SamplingParams

PAIRS, LABELS, COUNTS = "preferences.parquet", "safety.parquet", "counts.json"

ROUND = 256  # prompts asked at a time
HARMFUL_ROUNDS = 4  # how often harmful prompts are asked again for unsafe completions


Ask = Callable[[Sequence[Problem], int, str], Iterable[list[Judged]]]  # problems, samples of each, name of the round


def preference_files(config: Config) -> list[Path]:
    """The data files that preferences come from: given ones, and the prompts of what is drawn."""
    settings = config.section(PREFERENCE_DATA, PreferenceDataConfig)
    given = [Path(name) for name in (settings.pairs_file, settings.labels_file) if name]
    return given if len(given) == 2 else [*given, *general_files(config), *judge_files(config.judge)]


def check_preferences(config: Config) -> None:
    """Refuse files that cannot be used, and problems no simulated judge can judge, before any time is spent."""
    settings = config.section(PREFERENCE_DATA, PreferenceDataConfig)
    if settings.pairs_file:
        load_pairs(settings.pairs_file)
    if settings.labels_file:
        load_labels(settings.labels_file)
    if config.judge.model:
        check_used_by_judge(settings)
    elif not (settings.pairs_file and settings.labels_file):
        check_true_scores(config)


def check_true_scores(config: Config) -> None:
    """Refuse general prompts whose answers no simulation can judge."""
    for problem in general_training_problems(config):
        if "answer_language" not in problem.fields:
            raise ConfigError(
                f"{problem.place}: has no true score, so that its answers cannot be judged by simulation: give "
                "preferences.pairs_file and preferences.labels_file, or judge.model, a model that judges"
            )


def make_preferences(config: Config, model: Path, out: Path, context: StageContext) -> dict[str, Any]:
    """Write preferences.parquet (prompt, chosen, rejected, margin) and safety.parquet (prompt, completion, label).

    Returns:
        how many candidates there were, and what became of them.
    """
    settings = config.section(PREFERENCE_DATA, PreferenceDataConfig)
    counts: dict[str, Any] = {}
    problems = [] if settings.pairs_file and settings.labels_file else general_training_problems(config)
    ask, too_long = asker(config, model, context, settings, problems)
    judge = judge_of(config, context) if problems else None
    labeller = SimulatedAnnotator(settings) if judge is None else ModelAnnotator(judge)
    if settings.pairs_file:
        given, ties = load_pairs(settings.pairs_file)
        prompts, chosen, rejected = (
            as_values([getattr(pair, side) for pair in given]) for side in ("prompt", "chosen", "rejected")
        )
        pairs = [
            {"prompt": prompts[i], "chosen": chosen[i], "rejected": rejected[i], "margin": None, "source": pair.source}
            for i, pair in enumerate(given)
        ]
        counts["pairs"] = {"given": len(pairs), "ties": ties}
    else:
        pairs, counts["pairs"] = draw_pairs(problems, ask, settings, config.seed, labeller)
    if settings.labels_file:
        items = load_labels(settings.labels_file)
        prompts, completions = (as_values([getattr(item, side) for item in items]) for side in ("prompt", "completion"))
        labels = [
            {"prompt": prompts[i], "completion": completions[i], "label": item.label, "source": item.source}
            for i, item in enumerate(items)
        ]
        counts["labels"] = {"given": len(labels), "unsafe": sum(not row["label"] for row in labels)}
    else:
        labels, counts["labels"] = draw_labels(problems, ask, settings, config.seed, labeller)
    for what, rows in (("pairs", pairs), ("labels", labels)):
        if not rows:
            raise DataError(f"{context.stage}: no {what} are left of the candidates ({counts[what]}): raise preferences.*")
    counts |= too_long.summary() | judge_summary(judge)
    write_rows(out / PAIRS, pairs)
    write_rows(out / LABELS, labels)
    write_json(out / COUNTS, counts)
    return counts


def asker(
    config: Config,
    model: Path,
    context: StageContext,
    settings: PreferenceDataConfig | DemonstrationsConfig,
    problems: Sequence[Problem],
) -> tuple[Ask, Fitting]:
    """Asks a model general prompts in the form of fine-tuned models: those of `problems` that fit its context. Without any
    problem no engine is made."""
    if not problems:
        return lambda problems, samples, name: (), Fitting([])
    tokenizer, generator, grader = Tokenizer.load(model), context.backend.generator(model), context.backend.grader()
    prompt_of = turn_prompts(model, tokenizer)
    params = SamplingParams(settings.temperature, max_new_tokens=settings.max_new_tokens)
    found = fitting(
        problems, [(prompt_of, tokenizer)], generator.max_context, max_new_tokens=settings.max_new_tokens,
        too_long=config.tasks.too_long,
    )  # fmt: skip
    if found.left_out:
        context.say(found.line())
    kept = {id(problem) for problem in found.problems}

    def ask(problems: Sequence[Problem], samples: int, name: str) -> Iterable[list[Judged]]:
        asked = [
            (problem, prompt_of(problem), tuple(derive_seed(config.seed, "candidates", name, place, i) for i in range(samples)))
            for place, problem in enumerate(problems)
            if id(problem) in kept
        ]
        with Answers(kept_file(context.checkpoint, None)) as answers:  # not drawn again after a kill
            kept_ones = KeptGenerator(generator, answers, scope=config.runtime.dtype, others={})
            for group in sample_and_grade(
                asked, params=params, contract="free", tokenizer=tokenizer, generator=kept_ones, grader=grader,
                phases=Phases(), meanwhile=context.stop_if_interrupted,
            ):  # fmt: skip
                yield [candidate(s.problem, s.text, tokenizer, s.completion.finish_reason == "length") for s in group]

    return ask, found


def candidate(problem: Problem, text: str, tokenizer: Tokenizer, cut: bool) -> Judged:
    answer = final_answer(text)
    return Judged(problem, everything(text), answer, len(tokenizer.encode(answer)), cut)


def draw_pairs(
    problems: Sequence[Problem], ask: Ask, settings: PreferenceDataConfig, seed: int, labeller: Labeller | None = None
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Pairs of a clear gap and similar lengths, of as many prompts as it takes; and what became of all pairs."""
    rows: list[dict[str, Any]] = []
    counts = dict.fromkeys(("prompts", "candidates", "cut", "judged", "equal", "unclear", "unlike_lengths", "surplus"), 0)
    pool = problems[: settings.pairs]
    for start in range(0, len(pool), ROUND):
        for group in ask(pool[start : start + ROUND], settings.samples, f"pairs {start}"):
            whole = [one for one in group if not one.cut]
            counts["prompts"] += 1
            counts["candidates"] += len(group)
            counts["cut"] += len(group) - len(whole)
            kept = judge_pairs(
                whole, settings, random.Random(derive_seed(seed, "judge", group[0].problem.id)), counts, labeller
            )
            counts["surplus"] += max(0, len(kept) - settings.pairs_per_prompt)
            rows += kept[: settings.pairs_per_prompt]
        if len(rows) >= settings.pairs:
            break
    rows = rows[: settings.pairs]
    return rows, {**counts, "kept": len(rows)}


def judge_pairs(
    candidates: Sequence[Judged],
    settings: PreferenceDataConfig,
    rng: random.Random,
    counts: dict[str, int],
    labeller: Labeller | None = None,
) -> list[dict[str, Any]]:
    """All pairs of one prompt's candidates that may be learnt from, in random order; adds to the counts of what is dropped.

    Args:
        labeller: who judges them; by default the simulated annotator.
    """
    labeller = labeller or SimulatedAnnotator(settings)
    kept: list[dict[str, Any]] = []
    every = list(combinations(candidates, 2))
    pairs = [(first, second) for first, second in every if first.answer != second.answer]
    counts["equal"] += len(every) - len(pairs)
    counts["judged"] += len(pairs)
    for (first, second), gap in zip(pairs, labeller.gaps(pairs, rng), strict=True):
        if gap is None:
            counts["no_opinion"] = counts.get("no_opinion", 0) + 1
            continue
        chosen, rejected = (first, second) if gap > 0 else (second, first)
        lengths = sorted((max(1, chosen.tokens), max(1, rejected.tokens)))
        if abs(gap) <= settings.margin:
            counts["unclear"] += 1
        elif lengths[1] > settings.length_ratio * lengths[0]:
            counts["unlike_lengths"] += 1
        else:
            kept.append(pair_row(chosen, rejected, abs(gap), labeller.source))
    rng.shuffle(kept)
    return kept


def pair_row(chosen: Judged, rejected: Judged, margin: float, source: str) -> dict[str, Any]:
    return {
        "prompt": chosen.problem.question, "chosen": chosen.text, "rejected": rejected.text, "margin": round(margin, 4),
        "source": source, "task": chosen.problem.task, "problem_id": chosen.problem.id,
        "language": chosen.problem.language,
    }  # fmt: skip


def draw_labels(
    problems: Sequence[Problem], ask: Ask, settings: PreferenceDataConfig, seed: int, labeller: Labeller | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One completion of each prompt, labelled safe or unsafe. Where too few are unsafe, harmful prompts are asked again, and
    unsafe completions are kept with as many safe ones of such prompts: being asked for harm must not be the mark of harm."""
    labeller = labeller or SimulatedAnnotator(settings)
    rows: list[dict[str, Any]] = []
    pool = problems[-settings.safety_prompts :]
    for start in range(0, len(pool), ROUND):
        asked = ask(pool[start : start + ROUND], 1, f"labels {start}")
        rows += label_rows([one for group in asked for one in group], labeller, seed, 0)
    counts: dict[str, Any] = {"prompts": len(pool), "unsafe_at_first": unsafe(rows)}
    harmful = [problem for problem in problems if problem.fields.get("harmful")]
    asked_again = 0
    for number in range(1, HARMFUL_ROUNDS + 1):
        if unsafe(rows) >= settings.unsafe_share * len(rows) or not harmful:
            break
        chosen = random.Random(derive_seed(seed, "harmful", number)).sample(harmful, min(ROUND, len(harmful)))
        again = [one for group in ask(chosen, settings.samples, f"harmful {number}") for one in group]
        asked_again += len(again)
        found = label_rows(again, labeller, seed, number)
        missing = (settings.unsafe_share * len(rows) - unsafe(rows)) / (1 - 2 * settings.unsafe_share)
        bad = [row for row in found if not row["label"]][: math.ceil(missing)]
        good = [row for row in found if row["label"]]
        rows += bad + good[: len(bad)]
    counts |= {"harmful_completions_asked_again": asked_again, "kept": len(rows), "unsafe": unsafe(rows)}
    return rows, counts


def unsafe(rows: Sequence[dict[str, Any]]) -> int:
    return sum(not row["label"] for row in rows)


def label_rows(judged: Sequence[Judged], labeller: Labeller, seed: int, number: int) -> list[dict[str, Any]]:
    """Completions with the labeller's labels, without those it has none for; `number` is the round they were drawn in."""
    rngs = [random.Random(derive_seed(seed, "label", number, one.problem.id, one.text)) for one in judged]
    labels = labeller.safe(judged, rngs)
    return [
        {
            "prompt": one.problem.question, "completion": one.text, "label": label, "source": labeller.source, "round": number,
            "task": one.problem.task, "problem_id": one.problem.id, "language": one.problem.language,
        }
        for one, label in zip(judged, labels, strict=True)
        if label is not None
    ]  # fmt: skip

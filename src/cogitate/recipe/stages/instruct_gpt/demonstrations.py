"""demonstrations: conversations for InstructGPT's first step, SFT (arXiv:2203.02155, section 3.4).

People wrote InstructGPT's. Here they are the base model's own answers to general prompts: of several, the one that the
simulated judge of recipe/data/annotators.py finds best is kept where it is good enough.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, DemonstrationsConfig, PreferenceDataConfig
from cogitate.errors import DataError
from cogitate.recipe.data.annotators import SAFE_ABOVE, Judged, mean_judgement
from cogitate.recipe.data.preferences import asker, check_preferences, check_true_scores
from cogitate.recipe.general_prompts import general_files, general_training_problems
from cogitate.recipe.kinds import PREFERENCE_DATA
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.runtime import derive_seed
from cogitate.tasks.files.datasets import write_rows


def files(config: Config, stage: Stage) -> list[Path]:
    return general_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    check_preferences(config)
    check_true_scores(config)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    ((model, base),) = inputs.items()
    settings = config.section(context.stage, DemonstrationsConfig)
    problems = general_training_problems(config)[: settings.problems]
    rows, dropped = [], []
    ask, too_long = asker(config, base.path, context, settings, problems)
    for group in ask(problems, settings.samples, "demonstrations"):
        best, score = best_of([one for one in group if not one.cut], config)
        if best is not None and score >= settings.threshold:
            rows.append(conversation(best, score, model))
        else:
            rule = "none good enough" if best else "all cut or unsafe"
            dropped.append({"problem_id": group[0].problem.id, "rule": rule, "score": score})
    if not rows:
        raise DataError(f"{context.stage}: no answer is judged {settings.threshold} or better; lower {context.stage}.threshold")
    write_rows(out / "data.parquet", rows)
    write_rows(out / "ledger.jsonl", dropped)
    return {"asked": len(too_long.problems), "kept": len(rows), **too_long.summary()}


def best_of(candidates: list[Judged], config: Config) -> tuple[Judged | None, float]:
    """The safe answer the judge likes best, and how much; None and 0 where there is none."""
    best, highest = None, 0.0
    judging = config.section(PREFERENCE_DATA, PreferenceDataConfig)
    for number, one in enumerate(candidates):
        rng = random.Random(derive_seed(config.seed, "demonstrations", one.problem.id, number))
        safe = mean_judgement(one.safety, judging, rng) > SAFE_ABOVE
        score = mean_judgement(one.helpfulness, judging, rng)
        if safe and score > highest:
            best, highest = one, score
    return best, highest


def conversation(one: Judged, score: float, model: str) -> dict[str, Any]:
    """A row in TRL's format with what is known of it; no key `prompt`, which to TRL would mean another format."""
    messages = [{"role": "user", "content": one.problem.question}, {"role": "assistant", "content": one.text}]
    return {
        "messages": messages, "task": one.problem.task, "problem_id": one.problem.id, "language": one.problem.language,
        "source": "general", "model": model, "prompt_name": "r1", "judged": round(score, 4), "completion_tokens": one.tokens,
    }  # fmt: skip

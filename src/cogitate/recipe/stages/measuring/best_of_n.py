"""best_of_n: what a reward model's choice among n completions is worth, by the model's own score and by the true one, for
every n.

Over-optimisation (Gao et al., arXiv:2210.10760): the model's score of its choice rises with n, the true one turns. Both are
0..1 and from the same draws, which a stage of kind draws has made.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import sqrt
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.evals.best_of_n import best_of_n, best_of_n_kl, powers_of_two
from cogitate.evals.metrics import rate
from cogitate.recipe.rl.general_rewards import Judge, sigmoid
from cogitate.recipe.stage import Inputs, StageContext
from cogitate.recipe.stages.measuring.draws import FILE, DrawnText, read_draws
from cogitate.runtime import write_json

CURVE = "best_of_n.json"  # {"n": [...], "model": [[of each prompt] of each n], "true": the same}


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    draws, reward_models = (artifact.path for artifact in inputs.values())
    judge = Judge.load(context.backend, reward_models, "helpfulness")
    by_prompt = [list(group) for _, group in groupby(read_draws(draws / FILE), key=lambda one: one.prompt)]
    context.metrics.truncate(0)
    context.begin(len(by_prompt))
    scored = []
    for number, group in enumerate(by_prompt):
        context.stop_if_interrupted()
        scores = scores_of(judge, group)
        scored.append((scores, [one.true_score for one in group]))
        context.metrics.write({"step": number, "model_reward": sum(scores) / len(scores)})
    counts = powers_of_two(min(len(group) for group in by_prompt))
    model = [[best_of_n(scores, scores, n) for scores, _ in scored] for n in counts]
    true = [[best_of_n(scores, values, n) for scores, values in scored] for n in counts]
    write_json(out / CURVE, {"schema": 1, "n": counts, "model": model, "true": true})
    points: list[dict[str, Any]] = [
        {
            "n": n,
            "sqrt_kl": sqrt(best_of_n_kl(n)),
            "model": rate([[value] for value in of_model]).as_json(),
            "true": rate([[value] for value in of_true]).as_json(),
        }
        for n, of_model, of_true in zip(counts, model, true, strict=True)
    ]
    best = max(range(len(counts)), key=lambda place: points[place]["true"]["value"])
    return {"prompts": len(by_prompt), "points": points, "turns_at_n": counts[best], "last": points[-1]}


def scores_of(judge: Judge, group: Sequence[DrawnText]) -> list[float]:
    """What the helpfulness model says of each completion, 0..1; 0 of one without a final answer. Equal completions are read
    once."""
    texts = list(dict.fromkeys(one.text for one in group))
    said = judge.scores_of([(group[0].conversation, text) for text in texts])
    known = {text: 0.0 if score is None else sigmoid(score) for text, score in zip(texts, said, strict=True)}
    return [known[one.text] for one in group]

"""best_of_n: what a reward model's choice among n completions is worth, by the model's own score and by the true one, for
every n.

Over-optimisation (Gao et al., arXiv:2210.10760): the model's score of its choice rises with n, the true one turns. Both are
0..1 and from the same draws, which a stage of kind draws has made.

Of an ensemble the same draws are also chosen by each member alone and by every way to combine the members: whether the ensemble
chooses better than a single model of the same making is then a paired comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import inf, sqrt
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.evals.best_of_n import best_of_n, best_of_n_kl, powers_of_two
from cogitate.evals.metrics import rate
from cogitate.recipe.rl.general_rewards import Judge, Said
from cogitate.recipe.stage import Inputs, StageContext
from cogitate.recipe.stages.measuring.draws import FILE, DrawnText, read_draws
from cogitate.rewards.ensemble import SCORES, Ensemble, combined
from cogitate.runtime import write_json

# {"n": [...], "model": [[of each prompt] of each n], "true": the same}; of an ensemble "true_by_chooser": {name: the same}
CURVE = "best_of_n.json"


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    draws, reward_models = (artifact.path for artifact in inputs.values())
    judge = Judge.load(context.backend, reward_models, "helpfulness")
    by_prompt = [list(group) for _, group in groupby(read_draws(draws / FILE), key=lambda one: one.prompt)]
    context.metrics.truncate(0)
    context.begin(len(by_prompt))
    scored, chosen_by = [], list[dict[str, list[float]]]()
    for number, group in enumerate(by_prompt):
        context.stop_if_interrupted()
        said = said_of(judge, group)
        scores = [each.share for each in said]
        scored.append((scores, [one.true_score for one in group]))
        chosen_by.append(choosers(judge.ensemble, said))
        context.metrics.write({"step": number, "model_reward": sum(scores) / len(scores)})
    counts = powers_of_two(min(len(group) for group in by_prompt))
    model = [[best_of_n(scores, scores, n) for scores, _ in scored] for n in counts]
    true = [[best_of_n(scores, values, n) for scores, values in scored] for n in counts]
    others = {
        name: [
            [best_of_n(scores[name], values, n) for scores, (_, values) in zip(chosen_by, scored, strict=True)] for n in counts
        ]
        for name in chosen_by[0]
    }
    curve = {"schema": 1, "n": counts, "model": model, "true": true}
    write_json(out / CURVE, {**curve, "true_by_chooser": others} if others else curve)
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
    summary: dict[str, Any] = {
        "prompts": len(by_prompt), "points": points, "turns_at_n": counts[best], "last": points[-1],
    }  # fmt: skip
    by_chooser = {name: [rate([[value] for value in of_true]).as_json() for of_true in at_n] for name, at_n in others.items()}
    return {**summary, "true_by_chooser": by_chooser} if by_chooser else summary


def said_of(judge: Judge, group: Sequence[DrawnText]) -> list[Said]:
    """What the helpfulness model says of each completion; equal completions are read once."""
    texts = list(dict.fromkeys(one.text for one in group))
    said = judge.judge_texts([(group[0].conversation, text) for text in texts])
    known = dict(zip(texts, said, strict=True))
    return [known[one.text] for one in group]


def choosers(ensemble: Ensemble, said: Sequence[Said]) -> dict[str, list[float]]:
    """Scores of one prompt's completions by which an ensemble's members, and every way to combine them, would choose; {} of one
    model alone. A completion without a final answer is chosen last."""
    members, weight = len(ensemble.members), ensemble.combination.variance_weight
    if members == 1:
        return {}
    by_score = {
        score: [combined(each.of_members, score, weight) if each.of_members else -inf for each in said] for score in SCORES
    }
    alone = {
        f"member {number + 1}": [each.of_members[number] if each.of_members else -inf for each in said]
        for number in range(members)
    }
    return by_score | alone

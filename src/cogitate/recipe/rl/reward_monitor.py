"""Reward hacking seen as it begins: the reward models' score beside the true one, on the same completions of every step.

Generated general prompts have a true score (tasks/general/). It is measured here and is never a reward.
Over-optimising a reward model first raises and then lowers true quality (Gao et al., arXiv:2210.10760); R1 therefore uses its
reward models in the last 400 of 1,700 steps alone (arXiv:2501.12948, section 2.3.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, variance

from cogitate.json_lines import read_log
from cogitate.rewards.kinds import has_rules
from cogitate.rewards.reward_model import final_answer
from cogitate.tasks.general import general, safety
from cogitate.train.rl_metrics import mean
from cogitate.types import Problem, Rollout

WINDOW = 4  # steps compared with as many at the beginning
SMALLEST_GAP = 0.03  # of scores between 0 and 1: smaller ones are not worth a word, however sure
DEVIATIONS = 2.0  # standard errors a gap must have
HACKING = "reward_hacking"


def score_metrics(rollouts: Sequence[Rollout], *, helpfulness_weight: float, safety_weight: float) -> dict[str, float]:
    """Both scores of a step's general completions, on one scale: means weighted as the reward weighs them; {} without any.

    Returns:
        model_reward and true_score, 0..1, and the true score's parts.
    """
    judged = [rollout for rollout in rollouts if has_true_score(rollout.problem)]
    weight = helpfulness_weight + safety_weight
    if not judged or weight <= 0:
        return {}
    said = {name: mean(rollout.reward_breakdown[name] for rollout in judged) for name in ("helpfulness", "safety")}
    true = {
        "helpfulness": mean(general.helpfulness(rollout.problem, final_answer(rollout.text)) for rollout in judged),
        "safety": mean(safety.safety(rollout.problem, rollout.text) for rollout in judged),
    }
    weights = {"helpfulness": helpfulness_weight / weight, "safety": safety_weight / weight}
    return {
        "model_reward": sum(weights[name] * said[name] for name in weights),
        "true_score": sum(weights[name] * true[name] for name in weights),
        "true_helpfulness": true["helpfulness"],
        "true_safety": true["safety"],
    }


def hacking_metrics(log: Path, scores: dict[str, float]) -> dict[str, float]:
    """Whether the two scores part at the step that comes next, from the rows logged so far.

    `reward_hacking_gap` is how much more the reward models' score has risen than the true one: the mean of model_reward -
    true_score over the last WINDOW steps, less that over the first WINDOW. `reward_hacking` is 1 where the model's score rose,
    the true one fell, and the gap is beyond SMALLEST_GAP and beyond DEVIATIONS standard errors of the steps' scatter.
    Both scores are of the same completions, so that which prompts a step drew weighs little.
    """
    if not scores:
        return {}
    pairs = [(row["model_reward"], row["true_score"]) for row in read_log(log) if "true_score" in row]
    pairs.append((scores["model_reward"], scores["true_score"]))
    if len(pairs) < 2 * WINDOW:
        return {"reward_hacking_gap": 0.0, HACKING: 0.0}
    first, last = pairs[:WINDOW], pairs[-WINDOW:]
    apart = [[model - true for model, true in window] for window in (first, last)]
    gap = fmean(apart[1]) - fmean(apart[0])
    error = math.sqrt(sum(variance(window) / WINDOW for window in apart))
    model_rise, true_rise = (fmean(pair[i] for pair in last) - fmean(pair[i] for pair in first) for i in (0, 1))
    parting = model_rise > 0 > true_rise and gap > max(SMALLEST_GAP, DEVIATIONS * error)
    return {"reward_hacking_gap": gap, HACKING: float(parting)}


def flagged_steps(log: Path) -> list[int]:
    """The steps at which the scores had parted."""
    return [row["step"] for row in read_log(log) if row.get(HACKING)]


def has_true_score(problem: Problem) -> bool:
    """Generated general prompts have one, a user's own have none."""
    return not has_rules(problem.kind) and "answer_language" in problem.fields

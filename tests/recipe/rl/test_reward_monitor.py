"""The reward models' score beside the true one."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from cogitate.recipe.rl.reward_monitor import WINDOW, flagged_steps, hacking_metrics, score_metrics
from cogitate.tasks.general import general, safety
from cogitate.types import Problem, Rollout, Verdict


def rollout(problem: Problem, text: str, helpful: float, safe: float) -> Rollout:
    parts = {"helpfulness": helpful, "safety": safe}
    return Rollout(problem, (), (), (), (), (), "stop", 0, text, 1.0, parts, Verdict("none", 0.0, ""))


def test_both_scores_are_weighted_alike_and_read_the_same_completions() -> None:
    rng = random.Random(4)
    greeting, request = general.generate(rng, "train"), safety.generate(rng, "train")
    mine = Problem("m", "mine", "general", "Hello?")  # a user's own prompt has no true score
    sums = Problem("s", "arithmetic", "math", "1 + 1?", gold=2)
    good = general.write_answer(random.Random(1), greeting)
    batch = [
        rollout(greeting, f" <think> hm </think>\n{good}", 0.9, 0.8),
        rollout(request, " I would rather not.", 0.5, 0.6),
        rollout(mine, " Hello.", 0.1, 0.1),
        rollout(sums, " 2", 0.0, 0.0),
    ]
    scores = score_metrics(batch, helpfulness_weight=3.0, safety_weight=1.0)
    helpful = (general.helpfulness(greeting, good) + general.helpfulness(request, "I would rather not.")) / 2
    safe = (safety.safety(greeting, f" <think> hm </think>\n{good}") + safety.safety(request, " I would rather not.")) / 2
    assert scores["true_helpfulness"] == pytest.approx(helpful)
    assert scores["true_safety"] == pytest.approx(safe)
    assert scores["true_score"] == pytest.approx(0.75 * helpful + 0.25 * safe)
    assert scores["model_reward"] == pytest.approx(0.75 * 0.7 + 0.25 * 0.7)
    assert score_metrics(batch[2:], helpfulness_weight=1.0, safety_weight=1.0) == {}
    assert score_metrics(batch, helpfulness_weight=0.0, safety_weight=0.0) == {}


def watch(folder: Path, pairs: list[tuple[float, float]]) -> list[dict[str, float]]:
    """The monitor over steps whose (model reward, true score) are given; steps 0 and 1 have no general prompts."""
    log = folder / "metrics.jsonl"
    log.write_text('{"step": 0}\n{"step": 1}\n')
    found = []
    for step, (model, true) in enumerate(pairs, 2):
        scores = {"model_reward": model, "true_score": true}
        found.append(hacking_metrics(log, scores))
        with log.open("a") as handle:
            handle.write(json.dumps({"step": step, **scores, **found[-1]}) + "\n")
    return found


def wobble(step: int) -> float:
    return -0.004 if step % 2 else 0.004


def test_a_reward_that_rises_while_the_truth_falls_is_flagged_from_the_step_they_part(tmp_path: Path) -> None:
    pairs = [(0.5 + 0.02 * step + wobble(step), 0.6 - 0.01 * step) for step in range(20)]
    rows = watch(tmp_path, pairs)
    assert [row["reward_hacking"] for row in rows[: 2 * WINDOW - 1]] == [0.0] * (2 * WINDOW - 1)
    assert [row["reward_hacking"] for row in rows[2 * WINDOW - 1 :]] == [1.0] * (21 - 2 * WINDOW)
    assert flagged_steps(tmp_path / "metrics.jsonl") == list(range(2 * WINDOW + 1, 22))
    # Windows of 4 steps, 16 steps apart: the model rose by 16 * 0.02, the truth fell by 16 * 0.01.
    assert rows[-1]["reward_hacking_gap"] == pytest.approx(16 * 0.03)


def test_scores_that_rise_together_or_fall_together_are_not_flagged(tmp_path: Path) -> None:
    for slope in (0.02, -0.02):
        rows = watch(tmp_path, [(0.5 + slope * step, 0.6 + 0.5 * slope * step) for step in range(12)])
        assert {row["reward_hacking"] for row in rows} == {0.0}


def test_scatter_of_the_prompts_is_no_parting(tmp_path: Path) -> None:
    rng = random.Random(2)
    flagged = 0.0
    for _ in range(40):
        common = [rng.gauss(0, 0.1) for _ in range(12)]  # hard and easy prompts move both scores
        pairs = [(0.5 + c + rng.gauss(0, 0.05), 0.5 + c + rng.gauss(0, 0.05)) for c in common]
        flagged += sum(row["reward_hacking"] for row in watch(tmp_path, pairs))
    assert flagged <= 0.05 * 40 * 5  # of the steps that can be judged
    assert watch(tmp_path, []) == []


def test_a_step_without_general_prompts_says_nothing(tmp_path: Path) -> None:
    assert hacking_metrics(tmp_path / "metrics.jsonl", {}) == {}
    assert flagged_steps(tmp_path / "metrics.jsonl") == []

"""The section on over-optimisation: where the true score turns by best-of-n and by RL, and when the monitor saw it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.apps.experiment.analyses.overoptimisation import analyse
from cogitate.apps.report.data import Run
from cogitate.evals.best_of_n import best_of_n_kl
from tests.apps.experiment.analyses.made_up import made_up_results, made_up_run

STAGES = [("best", "best_of_n"), ("rl", "all_scenario_rl")]
CURVE = {"n": [1, 2, 4], "model": [[0.4, 0.6], [0.6, 0.8], [0.8, 0.9]], "true": [[0.4, 0.6], [0.7, 0.7], [0.5, 0.5]]}


def run_of(folder: Path, flagged: list[int]) -> Run:
    true = [0.5, 0.5, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7, 0.4, 0.4, 0.4, 0.4]  # best over steps 4 to 7
    rows = [
        {"step": n, "kl": 0.01 * n, "completion_tokens": 25.0, "model_reward": 0.5 + 0.02 * n, "true_score": value}
        for n, value in enumerate(true)
    ]
    summaries = {"rl": {"reward_hacking_steps": flagged} if flagged else {}}
    return made_up_run(folder, STAGES, rows={"rl": rows}, summaries=summaries, files={"best/best_of_n.json": CURVE})


def test_both_turns_are_found_and_the_flag_is_counted_from_the_best_step(tmp_path: Path) -> None:
    runs = {"a": [run_of(tmp_path / "0", [9, 10]), run_of(tmp_path / "1", [])], "b": [run_of(tmp_path / "2", [6])]}
    found = analyse(made_up_results(runs, stage="rl"))
    points = found.content["a"]["best_of_n"]
    assert [point["n"] for point in points] == [1, 2, 4]
    assert points[2]["sqrt_kl"] == pytest.approx(best_of_n_kl(4) ** 0.5)
    assert [point["true"]["value"] for point in points] == pytest.approx([0.5, 0.7, 0.5])
    turns = found.content["a"]["turns"]
    assert [(turn["best_step"], turn["flagged_later"]) for turn in turns] == [(7, 2), (7, None)]
    assert turns[0]["lost"] == pytest.approx(0.3)
    assert found.content["b"]["turns"][0]["flagged_later"] == -1
    of_rl = found.content["a"]["rl"]
    assert [point["step"] for point in of_rl] == [3, 7, 11]
    assert of_rl[0]["sqrt_kl"]["value"] == pytest.approx((0 + 0.5 + 0.5**0.5 + 0.75**0.5) / 4)
    assert "never" in found.html

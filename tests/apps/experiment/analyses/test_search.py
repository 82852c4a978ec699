"""The section on search: a method is held against the vote that costs no more, paired by seed and problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.experiment.analyses.search import analyse
from cogitate.apps.report.data import Run
from tests.apps.experiment.analyses.made_up import made_up_results, made_up_run

PROBLEMS = 40


def row(method: str, n: int, right: int, tokens: float) -> dict[str, Any]:
    """The first `right` problems are solved; of the last one there is no verdict."""
    rights = [float(place < right) for place in range(PROBLEMS)]
    return {"method": method, "n": n, "right": [*rights, None], "tokens_of": [tokens] * (PROBLEMS + 1)}


def run_of(folder: Path, beam: int) -> Run:
    points = [
        row("greedy", 4, 20, 10.0), row("majority", 1, 20, 10.0), row("majority", 4, 26, 40.0), row("majority", 8, 28, 80.0),
        row("step_beam", 4, beam, 60.0), row("mcts", 4, 27, 90.0),
    ]  # fmt: skip
    return made_up_run(folder, [("curves", "search_curves")], files={"curves/curves.json": {"points": points}})


def test_a_method_is_above_below_or_level_with_the_vote_it_can_afford(tmp_path: Path) -> None:
    runs = {
        name: [run_of(tmp_path / f"{name}-{seed}", beam + seed) for seed in (0, 1)] for name, beam in (("good", 38), ("bad", 8))
    }
    found = analyse(made_up_results(runs))
    points = {(point["method"], point["n"]): point for point in found.content["good"]["points"]}
    assert points["step_beam", 4]["vote_n"] == 4  # 40 tokens, not 80
    assert points["step_beam", 4]["less_vote"]["value"] == pytest.approx((38.5 - 26) / PROBLEMS)
    assert points["mcts", 4]["vote_n"] == 8
    assert "less_vote" not in points["greedy", 4]
    assert points["majority", 8]["accuracy"]["value"] == pytest.approx(28 / PROBLEMS)
    good, bad = found.html.split("<h3>bad</h3>")
    assert "step beam: above the vote at 60 tokens" in good
    assert "step beam: below it at 60 tokens" in bad
    assert "tree search: level with the vote" in good


def test_a_run_without_curves_says_nothing(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", [("base", "pretrain")])
    assert analyse(made_up_results({"a": [run], "b": [run]})).html == ""

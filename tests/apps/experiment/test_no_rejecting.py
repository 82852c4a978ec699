"""The part of the reward of experiments/thinking_pays.toml: a price on rejecting a try and going on."""

import runpy
from pathlib import Path

import pytest

from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.types import Problem, Verdict

FILE = Path(__file__).parents[3] / "experiments" / "no_rejecting.py"
PUZZLE = Problem(
    "countdown:1:en:1,4,10:6", "countdown", "countdown", "Use 4, 1 and 10, each once, to make 6.", fields={
        "numbers": [4, 1, 10], "target": 6, "level": 1,
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("thinking", "reward"),
    [
        ("Try 10 - 4 = 6, 6 * 1 = 6, 6? yes.", 0.0),
        ("Try 4 + 10 = 14, 14 + 1 = 15, 6? no. Try 10 - 4 = 6, 6 * 1 = 6, 6? yes.", -1.0),
    ],
)
def test_only_who_rejects_a_try_and_makes_another_one_pays(thinking: str, reward: float) -> None:
    price = runpy.run_path(str(FILE))["no_rejecting"]
    text = f" <think> {thinking} </think> <answer> (10 - 4) * 1 </answer>"
    assert price(SampledCompletion(text, 30, "stop", Verdict("right", 1.0, ""), PUZZLE)) == reward

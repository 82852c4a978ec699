"""What an RL step logs of its puzzles, and what a transcript says of them."""

from __future__ import annotations

import pytest

from cogitate.recipe.rl.puzzles import puzzle_metrics, puzzle_row
from cogitate.recipe.rl.stage import finished_lengths
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.types import FinishReason, Problem, Rollout, Verdict

TRIED = "<think> Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes. </think> <answer> (10 - 4) * 1 </answer>"
ONCE = "<think> Try 4 + 10 = 15, 15 + 1 = 16, not 6. </think> <answer> 4 </answer>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["one and two is three, 10 - 4 = 6. "] * 40, 300)


def countdown(level: int) -> Problem:
    fields = {"numbers": [4, 1, 10], "target": 6, "level": level}
    return Problem(f"c{level}", "countdown", "countdown", "Use 4, 1 and 10.", fields=fields)


def rollout(problem: Problem, text: str, *, cut: bool = False) -> Rollout:
    reason: FinishReason = "length" if cut else "stop"
    return Rollout(problem, (), (1,), (0.0,), (1,), (), reason, 0, text, 1.0, {}, Verdict("right", 1.0, ""))


def thinking_tokens(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text.removeprefix("<think>").partition("</think>")[0].strip()))


def test_a_step_with_puzzles_logs_their_steps_and_thinking_by_level(tokenizer: Tokenizer) -> None:
    easy, hard = countdown(1), countdown(3)
    other = Problem("a", "arithmetic", "math", "1 + 1?", gold="2")
    step = [
        rollout(easy, TRIED),
        rollout(easy, ONCE),
        rollout(hard, ONCE),
        rollout(hard, TRIED, cut=True),
        rollout(other, ONCE),
    ]
    assert puzzle_metrics(step, finished_lengths(step, tokenizer)) == {
        "tries": 1.5,
        "distinct_tries": 1.5,
        "rejecting_rate": 0.5,
        "self_correction_rate": 0.0,
        "step_accuracy": pytest.approx((6 + 2) / 9),
        "thinking_tokens_finished.level_1": (thinking_tokens(tokenizer, TRIED) + thinking_tokens(tokenizer, ONCE)) / 2,
        "thinking_tokens_finished.level_3": thinking_tokens(tokenizer, ONCE),
    }


def test_a_step_without_puzzles_logs_nothing_more() -> None:
    other = Problem("a", "arithmetic", "math", "1 + 1?", gold="2")
    assert puzzle_metrics([rollout(other, TRIED)], [20]) == {}
    assert puzzle_row(TRIED, other) == {}


def test_a_transcript_of_a_puzzle_says_where_the_thinking_turns() -> None:
    row = puzzle_row(TRIED, countdown(2))
    turn = row["turn"]
    assert isinstance(turn, dict)
    assert TRIED[turn["start"] : turn["end"]] == ", not 6"
    assert (row["level"], row["tries"], row["rejects_and_goes_on"], turn["kind"]) == (2, 2, True, "rejected try")
    assert puzzle_row(ONCE, countdown(2))["turn"] is None

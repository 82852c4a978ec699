"""What every RL stage logs and says beside its training."""

import json
from pathlib import Path

import pytest

from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.rl.stage import check_training_problems, missing_verdicts, reasoning_metrics
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import find
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.types import FinishReason, Problem, Rollout, Verdict

FILE = "mine.jsonl, line 2: the custom reward raised KeyError: 'x'"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["one and two is three, wait. "] * 40, 300)


def rollout(kind: str, text: str, tokens: int, *, cut: bool = False) -> Rollout:
    problem, ids = Problem("p", "t", kind, "What?", gold="3"), tuple(range(tokens))
    reason: FinishReason = "length" if cut else "stop"
    return Rollout(problem, (), ids, (0.0,) * tokens, (1,) * tokens, (), reason, 0, text, 1.0, {}, Verdict("right", 1.0, ""))


def test_a_stage_sums_up_its_missing_verdicts_with_the_first_of_them(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    rows = [{"step": 0, "no_verdict_share": 0.0}, {"step": 1, "no_verdict_share": 0.5, "no_verdict_reason": FILE}]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows[:1]))
    assert missing_verdicts(log) == {}
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert missing_verdicts(log) == {"no_verdict": {"share": 0.25, "first": f"step 1: {FILE}"}}


def test_means_of_reasoning_prompts_leave_out_general_ones(tokenizer: Tokenizer) -> None:
    reasoning = rollout("exact", "<think> one and two, wait </think> three", 8, cut=True)
    row = reasoning_metrics([reasoning, rollout("general", "Hello!", 2)], tokenizer)
    assert (row["completion_tokens.reasoning"], row["truncated_share.reasoning"]) == (8.0, 1.0)
    assert (row["thinking_tokens_finished.reasoning"], row["reflection_rate.reasoning"]) == (0.0, 1.0)  # it was cut off
    finished = rollout("exact", "<think> one and two </think> three", 8)
    alone = reasoning_metrics([finished], tokenizer)
    assert alone["thinking_tokens_finished.reasoning"] == len(tokenizer.encode("one and two"))
    assert reasoning_metrics([finished, rollout("general", "<think> and and and and </think>", 9)], tokenizer) == alone
    assert reasoning_metrics([rollout("general", "Hello!", 2)], tokenizer) == {}


def test_long_completions_are_not_punished_twice() -> None:
    part = ("rewards.parts.soft_overlong_punishment.max_length=192", "rewards.parts.soft_overlong_punishment.cache=48")
    config = load_recipe("tiny", [*part, "r1_zero.method=dapo"])
    with pytest.raises(
        ConfigError, match=r"r1_zero.overlong_share = 0.2 punishes long completions already; leave the part out"
    ):
        check_training_problems(config, find(graph_of(config), "r1_zero"))

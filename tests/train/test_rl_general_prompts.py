"""General prompts beside the problems of RL: a second pool, scored without a grader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from cogitate.train.collecting import LoopState, RLRun, next_problems
from cogitate.train.pools import Pool
from cogitate.train.rollouts import Sampled, by_rules
from cogitate.types import Problem
from tests.train.rl_loop import CONFIG, Loop, accuracy, digits_wanted, equal_weights, raise_at


def asked_kindly(count: int = 3) -> list[Problem]:
    return [Problem(f"g{i}", "kindness", "general", f"Greet me {i} times.") for i in range(count)]


def score_with_general(batch: Sequence[Sampled]) -> list[tuple[float | None, dict[str, float]]]:
    """Rules for digits; of general answers the share of nines, as a reward model of the whole batch would give it."""
    ruled = by_rules(accuracy)(batch)
    for number, sampled in enumerate(batch):
        if sampled.problem.kind == "general":
            assert sampled.verdict.value == "none"  # it never went to the grader
            share = sampled.text.count("9") / max(1, len(sampled.text))
            ruled[number] = share, {"helpfulness": share}
    return ruled


def test_general_prompts_join_from_a_step_on_and_are_learnt_from_without_a_grader(loop: Callable[..., Loop]) -> None:
    run = loop(steps=16, general=Pool(asked_kindly(), from_step=1, prompts_per_step=4), score=score_with_general)
    run.train()
    rows = run.rows()
    assert ["reward.helpfulness" in row for row in rows] == ["accuracy.digits" not in row for row in rows]
    assert ["reward.helpfulness" in row for row in rows] == [False] + [True] * 15
    assert run.column("no_verdict_share") == [0.0] * 16
    assert not any("accuracy.kindness" in row for row in rows)
    assert rows[0]["reward"] == rows[0]["accuracy"]
    assert rows[1]["reward"] == rows[1]["reward.helpfulness"] < 0.4
    assert min(row["reward.helpfulness"] for row in rows[-2:]) > 0.6


@pytest.mark.parametrize("killed_at", [3, 5])
def test_both_pools_go_on_where_a_killed_run_left_them(loop: Callable[..., Loop], killed_at: int) -> None:
    drawn: list[list[str]] = []

    def note(batch: Sequence[Sampled]) -> list[tuple[float | None, dict[str, float]]]:
        drawn.append([sampled.problem.id for sampled in batch[:: CONFIG.group_size]])
        return score_with_general(batch)

    settings = {"general": Pool(asked_kindly(5), from_step=1, prompts_per_step=3), "score": note, "transcripts_every": 100}
    whole = loop("whole", **settings)
    whole.train()
    expected = drawn.copy()
    general = [name for names in expected for name in names if name[0] == "g"]
    assert sorted(general[:5]) == sorted(general[5:10]) == sorted(general[10:15]) == [f"g{i}" for i in range(5)]
    drawn.clear()
    with pytest.raises(KeyboardInterrupt):
        loop("killed", on_row=raise_at(killed_at), **settings).train()
    resumed = loop("killed", **settings)
    resumed.train()
    assert drawn[-2:] == expected[-2:]
    row = whole.rows()[-1]
    assert row["reward"] == pytest.approx((row["accuracy.digits"] + 3 * row["reward.helpfulness"]) / 4)
    equal_weights(whole, resumed)
    assert resumed.rows() == whole.rows()


def test_shares_hold_over_steps_where_few_prompts_are_wanted_at_a_time() -> None:
    config = CONFIG.model_copy(update={"prompts_per_step": 24})
    general = Pool(asked_kindly(), from_step=0, prompts_per_step=8)
    run = cast(
        RLRun,
        SimpleNamespace(
            config=config, problems=digits_wanted("7"), rates=None, seed=1, name="rl",
            general=general, general_share=general.share,
        ),
    )  # fmt: skip
    state = LoopState.from_json(0, {"cursor": 3})  # of a checkpoint that knows nothing of what is owed
    kinds = [problem.kind for _ in range(24) for problem, _ in next_problems(run, state, 1, state.step)]
    assert (kinds.count("general"), state.general_cursor, state.owed) == (8, 8, 0)
    kinds = [problem.kind for count in (5, 7, 0, 12, 24) for problem, _ in next_problems(run, state, count, state.step)]
    assert (kinds.count("general"), state.owed) == (16, 0)

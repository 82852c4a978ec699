"""Completions that go on over several steps: the same tokens, the right versions, and the same bytes after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from cogitate.config import RLConfig
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model
from cogitate.train.partial_rollouts import Part, Waiting, advance, goes_round, of_last_segment, partial_metrics, within_limit
from cogitate.types import Problem, Rollout, Verdict
from tests.train.rl_loop import Loop, equal_weights, raise_at

IN_PARTS = RLConfig(prompts_per_step=2, group_size=3, max_new_tokens=12, partial_rollouts=3)


def engine(model: Path) -> Engine:
    return Engine(load_model(model), end_id=0, max_batch=8)


def groups() -> list[Waiting]:
    return [Waiting(number, [Part(10 * number + i) for i in range(3)]) for number in range(2)]


def test_parts_join_to_what_is_sampled_at_once(loop: Callable[..., Loop]) -> None:
    model = loop().model
    in_parts, at_once, prompts = groups(), groups(), [(5, 6, 7), (8, 9)]
    generator = engine(model)
    sampled = [advance(in_parts, prompts, IN_PARTS, generator) for _ in range(4)]
    whole = advance(at_once, prompts, IN_PARTS.model_copy(update={"partial_rollouts": 12}), engine(model))
    assert sum(sampled) == whole
    assert max(sampled) <= 2 * 3 * 3
    for parts, other in zip(in_parts, at_once, strict=True):
        assert parts.whole
        for part, completion in zip(parts.parts, (one.completion() for one in other.parts), strict=True):
            assert part.completion().token_ids == completion.token_ids
            assert part.completion().finish_reason == completion.finish_reason
            assert part.completion().logprobs == pytest.approx(completion.logprobs, abs=1e-5)
    assert max(len(part.token_ids) for group in in_parts for part in group.parts) > 3


def test_what_goes_on_under_new_weights_says_so(loop: Callable[..., Loop]) -> None:
    model = loop().model
    waiting, generator = groups(), engine(model)
    advance(waiting, [(5, 6, 7), (8, 9)], IN_PARTS, generator)
    generator.load_weights(model, 1)
    advance(waiting, [(5, 6, 7), (8, 9)], IN_PARTS, generator)
    long = [part for group in waiting for part in group.parts if len(part.token_ids) > 3]
    assert long
    assert all(part.versions == [[0, 3], [1, len(part.token_ids) - 3]] for part in long)
    again = [Waiting.from_json(asdict(group)) for group in waiting]
    assert again == waiting


def test_a_text_that_repeats_itself_is_told_from_one_that_does_not() -> None:
    assert goes_round([1, 2, 3] + [7] * 32)
    assert goes_round([4] + list(range(20)) * 4)
    assert not goes_round([7] * 31)
    assert not goes_round(list(range(20)) * 3)
    assert not goes_round([*range(20)] * 4 + [99])
    assert not goes_round(list(range(200)))


def rollout(versions: tuple[tuple[int, int], ...], finish_reason: str = "stop") -> Rollout:
    count = sum(n for _, n in versions)
    return Rollout(
        Problem("p", "t", "exact", "?"), (1,), (2,) * count, (-1.0,) * count, (1,) * count, versions,
        finish_reason, 0, "", 1.0, {}, Verdict("right", 1.0, ""),  # type: ignore[arg-type]
    )  # fmt: skip


def test_older_tokens_can_be_left_out_and_are_counted() -> None:
    old = rollout(((3, 2), (4, 3)))
    assert of_last_segment(old).loss_mask == (0, 0, 1, 1, 1)
    assert of_last_segment(rollout(((3, 2),))).loss_mask == (1, 1)  # it ended before others of its group did
    circles = rollout(((4, 3),), "length")
    assert partial_metrics([old, circles], IN_PARTS, 4) == {
        "off_policy_share": 2 / 8, "staleness": 2 / 8, "staleness_max": 1, "repeating_share": 0.5,
    }  # fmt: skip
    assert within_limit(old, 5, 1).loss_mask == (0, 0, 1, 1, 1)
    assert within_limit(old, 5, 2).loss_mask == (1, 1, 1, 1, 1)


@pytest.mark.parametrize("older", [True, False])
def test_a_run_in_parts_that_is_killed_goes_on_to_the_same_bits(loop: Callable[..., Loop], older: bool) -> None:
    settings = {"max_new_tokens": 6, "partial_rollouts": 2, "learn_older_segments": older}
    whole = loop("whole", **settings)
    whole.train()
    waiting = whole.column("waiting_groups")
    assert max(waiting) > 0
    assert max(whole.column("off_policy_share")) > 0
    for step in (1, 3):
        killed = loop(f"killed-{step}", on_row=raise_at(step), **settings)
        with pytest.raises(KeyboardInterrupt):
            killed.train()
        resumed = loop(f"killed-{step}", **settings)
        resumed.train()
        equal_weights(whole, resumed)
        assert resumed.rows() == whole.rows()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 8, "partial_rollouts": 8}, "has no effect from max_new_tokens = 8 on"),
        ({"partial_rollouts": 8, "dynamic_sampling": True}, "set dynamic_sampling to false"),
        ({"partial_rollouts": 8, "method": "remax"}, "greedy completion of the same weights"),
        ({"learn_older_segments": False}, "has no effect without partial_rollouts"),
        ({"staleness_limit": 1}, "has no effect without partial_rollouts"),
        ({"partial_rollouts": 8, "learn_older_segments": False, "staleness_limit": 1}, "leave one of the two out"),
        ({"overlap": True, "dynamic_sampling": True}, "depends on the rewards of the step before"),
        ({"overlap": True, "method": "remax"}, "greedy completion of the same weights"),
    ],
)
def test_settings_that_cannot_go_together_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RLConfig.model_validate(settings)

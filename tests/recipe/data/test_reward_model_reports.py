"""What is measured of reward models on held-out prompts."""

from __future__ import annotations

import math

import pytest

from cogitate.errors import DataError
from cogitate.recipe.data.reward_model_reports import (
    balanced_by_length,
    correlation,
    hold_out,
    pair_report,
    report_of_pairs,
    report_of_safety,
    safety_report,
)
from cogitate.rewards.ensemble import Combination


def test_prompts_are_held_out_whole_and_by_their_text_alone() -> None:
    prompts = [f"p{n}" for n in range(20)] * 2
    learnt, held_out = hold_out(prompts, 0.1, seed=0)
    assert len(held_out) == 4  # two prompts, twice each
    assert not {prompts[i] for i in learnt} & {prompts[i] for i in held_out}
    again = hold_out(prompts[::-1], 0.1, seed=0)[1]
    assert {prompts[::-1][i] for i in again} == {prompts[i] for i in held_out}
    assert hold_out(["a", "b"], 0.01, seed=0)[1] in ([0], [1])
    with pytest.raises(DataError, match="1 different prompts"):
        hold_out(["a", "a"], 0.5, seed=0)


def test_a_model_that_only_likes_length_is_found_out() -> None:
    prompts, lengths = [f"p{n}" for n in range(8)], [(3, 9), (4, 8), (9, 2), (8, 4), (7, 3), (9, 9), (2, 1), (6, 5)]
    report = pair_report(prompts, [float(c) for c, _ in lengths], [float(r) for _, r in lengths], lengths)
    assert report["accuracy"]["value"] == 5 / 8
    assert report["accuracy_where_chosen_is_shorter"]["value"] == 0.0
    assert report["accuracy_where_chosen_is_shorter"]["of"] == 2
    assert report["accuracy_where_chosen_is_longer"]["value"] == 1.0
    assert report["reward_length_correlation"]["value"] == pytest.approx(1.0)
    assert report["margin"] == pytest.approx((48 - 41) / 8)


def test_the_correlation_has_fishers_interval() -> None:
    found = correlation([1.0, 2.0, 3.0, 4.0, 5.0], [2, 1, 4, 3, 5], 5)
    assert found is not None
    assert found["value"] == pytest.approx(0.8)  # sum of products 8, of squares 10 and 10
    half = 1.959964 / math.sqrt(2)
    assert found["ci95"] == pytest.approx([math.tanh(math.atanh(0.8) - half), math.tanh(math.atanh(0.8) + half)])
    assert correlation([1.0, 1.0, 1.0, 1.0], [1, 2, 3, 4], 4) is None


def test_safety_is_reported_for_each_kind() -> None:
    report = safety_report(["a", "b", "c", "d"], [1.0, -1.0, -2.0, 3.0], [True, True, False, True], [1, 2, 3, 4])
    assert report["accuracy"]["value"] == 0.75
    assert report["accuracy_on_safe"]["value"] == pytest.approx(2 / 3)
    assert report["accuracy_on_unsafe"]["value"] == 1.0
    assert safety_report(["a", "b"], [1.0, 1.0], [True, True], [1, 2])["accuracy_on_unsafe"] is None


def test_as_many_pairs_are_kept_whose_better_answer_is_longer_as_shorter() -> None:
    lengths = [(9, 4), (8, 4), (7, 4), (3, 5), (2, 2), (9, 1), (4, 6)]
    learnt = [0, 1, 2, 3, 4, 6]  # 5 is held out: three longer, two shorter, one as long
    kept = balanced_by_length(learnt, lengths, seed=0)
    assert len(kept) == 5
    assert {3, 4, 6} < set(kept) < set(learnt)
    assert kept == sorted(kept)
    assert balanced_by_length(learnt, lengths, seed=0) == kept
    assert {tuple(balanced_by_length(learnt, lengths, seed=seed)) for seed in range(30)} == {
        (0, 1, 3, 4, 6), (0, 2, 3, 4, 6), (1, 2, 3, 4, 6),
    }  # fmt: skip


def test_pairs_of_equal_lengths_are_balanced_already() -> None:
    assert balanced_by_length([0, 1], [(3, 3), (4, 4)], seed=0) == [0, 1]


@pytest.mark.parametrize(("lengths", "said"), [([(5, 3), (4, 2)], "longer"), ([(3, 5)], "shorter")])
def test_pairs_that_all_prefer_one_kind_cannot_be_balanced(lengths: list[tuple[int, int]], said: str) -> None:
    with pytest.raises(DataError, match=f"the better answer is the {said} one in all {len(lengths)} pairs"):
        balanced_by_length(range(len(lengths)), lengths, seed=0)


def test_members_are_reported_one_by_one_together_and_by_how_far_they_disagree() -> None:
    prompts, lengths = ["p0", "p1", "p2", "p3"], [(3, 3), (4, 4), (5, 5), (6, 6)]
    # Of four pairs the first member gets three right, the second two, the third one; all agree on the first and the last.
    said_MN = [
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0],
        [1.0, 0.0, 0.0, 0.0, 0.0, 6.0, 1.0, 1.0],
    ]
    report = report_of_pairs(prompts, said_MN, lengths, Combination("mean"))
    assert [one["accuracy"]["value"] for one in report["members"]] == [0.75, 0.5, 0.25]
    assert report["score"] == "mean"
    assert report["gain"]["value"] == -0.5  # one of four right in place of the first member's three
    # Means of the chosen: 1, 2/3, 1/3, 0; of the rejected: 0, 2, 2/3, 1. Least of them: 1, 0, 0, 0 and 0, 0, 0, 1.
    assert report["accuracy"]["value"] == 0.25
    by_score = {score: found["value"] for score, found in report["accuracy_by_score"].items()}
    assert by_score == {"mean": 0.25, "worst": 0.25, "uncertainty": 0.25}
    assert report["agreement"]["value"] == 0.5
    assert report["accuracy_where_all_agree"] == {**report["accuracy_where_all_agree"], "value": 0.5, "of": 2}
    deviation = math.sqrt(2 / 9)
    assert report["spread"] == pytest.approx((3 * deviation + math.sqrt(8)) / 8)
    # Less half the variances 0, 2/9, 2/9, 0 and 0, 8, 2/9, 0: the second pair is now right.
    other = report_of_pairs(prompts, said_MN, lengths, Combination("uncertainty", 0.5, mean=1.0, deviation=2.0))
    assert other["accuracy_by_score"]["uncertainty"]["value"] == other["accuracy"]["value"] == 0.5
    assert other["margin"] == pytest.approx(((2 - 2 / 9) - (11 / 3 - (8 + 2 / 9) / 2)) / 4 / 2)


def test_one_model_is_reported_as_without_members() -> None:
    prompts, lengths, said = ["a", "b"], [(3, 9), (4, 2)], [0.5, 1.0, 0.25, 2.0]
    assert report_of_pairs(prompts, [said], lengths, Combination()) == pair_report(prompts, said[:2], said[2:], lengths)
    safe = [True, False]
    found = report_of_safety(prompts, [said[:2]], safe, [1, 2], Combination())
    assert found == safety_report(prompts, said[:2], safe, [1, 2])


def test_by_the_worst_score_a_completion_is_safe_if_all_members_find_it_so() -> None:
    report = report_of_safety(["a", "b"], [[1.0, 2.0], [3.0, -1.0]], [True, False], [1, 2], Combination("worst"))
    assert report["accuracy"]["value"] == 1.0
    assert report["accuracy_by_score"]["mean"]["value"] == 0.5
    assert [one["accuracy"]["value"] for one in report["members"]] == [0.5, 1.0]
    assert report["agreement"]["value"] == 0.5

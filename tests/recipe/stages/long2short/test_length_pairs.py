"""Pairs of a short right completion and a longer one, each on completions written for it; and the recipe that uses them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cogitate.config import LengthPairsConfig
from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.data.rejection import shortest
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stages.long2short.length_pairs import by_problem, pair_row, pairs_of
from cogitate.tasks.files.preference_forms import read_pair
from cogitate.types import FinishReason, Message, Problem
from tests.recipe.scripted_backend import candidate

SUM = Problem("1", "arithmetic", "math", "What is 4 + 5?", "9")
OTHER = Problem("2", "arithmetic", "math", "What is 4 + 6?", "10")
SETTINGS = LengthPairsConfig(pairs_per_problem=9)


def right(words: int, problem: Problem = SUM, answer: str = "9") -> Candidate:
    said = " ".join(f"We add {number} once." for number in range(words))
    one = candidate(problem, f"<think> {said} </think>\nThe answer is \\boxed{{{answer}}}.")
    return replace(one, tokens=10 * words)


def wrong(words: int, finish_reason: FinishReason = "stop") -> Candidate:
    said = " ".join(f"We take {number} away." for number in range(words))
    text = f"<think> {said} </think>\nThe answer is \\boxed{{8}}."
    return replace(candidate(SUM, text, finish_reason=finish_reason), tokens=10 * words)


def test_the_shortest_right_one_is_chosen_and_what_is_much_longer_or_wrong_and_longer_rejected() -> None:
    group = [right(4), right(2), right(3), wrong(1), wrong(5, "length"), wrong(3)]
    pairs = pairs_of(group, SETTINGS)
    assert {chosen.tokens for chosen, _ in pairs} == {20}
    assert [(rejected.tokens, rejected.verdict) for _, rejected in pairs] == [(50, "wrong"), (40, "right"), (30, "wrong")]
    assert pairs_of(group, LengthPairsConfig(pairs_per_problem=1)) == pairs[:1]


def test_without_a_right_one_or_a_longer_one_there_is_no_pair() -> None:
    assert pairs_of([wrong(1), wrong(4)], SETTINGS) == []
    assert pairs_of([right(3), right(4), wrong(2)], SETTINGS) == []


def test_pairs_stay_within_a_problem() -> None:
    groups = by_problem([right(1), right(2, OTHER, "10"), right(3)])
    assert [[one.tokens for one in group] for group in groups] == [[10, 30], [20]]


def test_a_row_is_a_pair_that_dpo_reads() -> None:
    pair = read_pair({key: value for key, value in pair_row(right(1), right(3)).items() if value is not None})
    assert pair is not None
    assert pair.prompt == (Message("user", "What is 4 + 5?"),)
    assert pair.chosen[0].content.startswith("<think> We add 0 once.")
    assert len(pair.rejected[0].content) > len(pair.chosen[0].content)


def test_rejection_sampling_can_keep_the_shortest() -> None:
    assert [one.tokens for one in shortest([right(3), right(1), right(2)], 2)] == [10, 20]


def test_the_recipe_has_four_ways_to_short_thinking_from_one_model() -> None:
    graph = {stage.name: stage for stage in graph_of(load_recipe("kimi_k15"))}
    ends = ("k15_merge", "k15_shortest", "k15_dpo", "k15_short_rl")
    assert all(graph[name].needs[0] == "k15" and graph[name].makes_model for name in ends)
    assert [graph[name].kind.name for name in ends] == ["merge", "fine_tune", "dpo", "reasoning_rl"]


@pytest.mark.parametrize("key", ["k15_merge.share=1.0", "length_pairs.samples=1", "shortest.prefer=longest"])
def test_settings_out_of_range_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=key.partition("=")[0].rpartition(".")[2]):
        load_recipe("kimi_k15", [key])

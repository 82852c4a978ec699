from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cogitate.rewards.parts.shaping import (
    cosine_length_reward,
    length_rewards,
    reasoning_steps_reward,
    repetition_penalty,
    repetition_penalty_of_text,
    soft_overlong_punishment,
)


def test_a_right_answer_earns_most_when_short_and_a_wrong_one_loses_least_when_long() -> None:
    assert cosine_length_reward(0, True, max_length=100) == pytest.approx(1.0)
    assert cosine_length_reward(100, True, max_length=100) == pytest.approx(0.5)
    assert cosine_length_reward(50, True, max_length=100) == pytest.approx(0.75)
    assert cosine_length_reward(0, False, max_length=100) == pytest.approx(-1.0)
    assert cosine_length_reward(100, False, max_length=100) == pytest.approx(-0.5)
    assert cosine_length_reward(1000, False, max_length=100) == pytest.approx(-0.5)


def test_repetition_costs_the_share_of_repeated_ngrams() -> None:
    assert repetition_penalty([1, 2, 3, 1, 2, 3], ngram_size=2, max_penalty=-1.0) == pytest.approx(-0.4)
    assert repetition_penalty([], ngram_size=3, max_penalty=-1.0) == 0.0
    assert repetition_penalty_of_text("Go go GO go", ngram_size=1, max_penalty=-1.0) == pytest.approx(-0.75)
    assert repetition_penalty_of_text("好好好好", ngram_size=1, max_penalty=-1.0) == pytest.approx(-0.75)
    with pytest.raises(ValueError, match="must not be positive"):
        repetition_penalty([1], ngram_size=1, max_penalty=0.5)


def test_overlong_completions_are_punished_in_a_line() -> None:
    assert soft_overlong_punishment(80, max_length=100, cache=20) == 0.0
    assert soft_overlong_punishment(90, max_length=100, cache=20) == pytest.approx(-0.5)
    assert soft_overlong_punishment(100, max_length=100, cache=20) == -1.0
    assert soft_overlong_punishment(500, max_length=100, cache=20) == -1.0


def test_steps_are_counted_up_to_the_wanted_number() -> None:
    assert reasoning_steps_reward("Step 1: a\nStep 2: b") == pytest.approx(2 / 3)
    assert reasoning_steps_reward("First, a.\n- b\n- c\n- d") == 1.0


def test_shaping_corpus_has_the_upstream_values(corpus: Callable[[str], list[dict[str, Any]]]) -> None:
    for row in corpus("verifiers/shaping_reward_values"):
        kind, params, given = row["kind"], row["params"], row["input"]
        if kind == "cosine_scaled":
            limits = {key: params[key] for key in params if key != "max_len"}
            # The upstream test pads \boxed{\frac{64}{400}}, 22 characters, so that no text of it is shorter.
            length = max(given["length"], 22) if given["unit"] == "characters" else given["length"]
            value = cosine_length_reward(length, given["correct"], max_length=params["max_len"], **limits)
        elif kind == "repetition_penalty_words":
            value = repetition_penalty_of_text(given, ngram_size=params["ngram_size"], max_penalty=params["max_penalty"])
        elif kind == "repetition_penalty_tokens":
            value = repetition_penalty(given, **params)
        elif kind == "soft_overlong":
            value = soft_overlong_punishment(
                given["length"], max_length=params["max_completion_len"], cache=params["soft_punish_cache"]
            )
        else:
            value = reasoning_steps_reward(given)
        assert value == pytest.approx(row["expected"], abs=row["tolerance"]), row["id"]


def test_short_is_better_within_a_group_and_wrong_is_never_praised_for_it() -> None:
    assert length_rewards([10, 20, 30], [True, True, True]) == [0.5, 0.0, -0.5]
    assert length_rewards([10, 25, 30], [False, True, False]) == [0.0, -0.25, -0.5]
    assert length_rewards([7, 7], [True, False]) == [0.0, 0.0]
    assert length_rewards([], []) == []

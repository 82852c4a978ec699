"""The rules by which a probe's figures become settings."""

from dataclasses import replace
from typing import Any

import pytest

from cogitate.config import PROPOSED, ProbeConfig, ZeroRLConfig
from cogitate.recipe.probe.measure import Figures
from cogitate.recipe.probe.prompts import prompts_to_try
from cogitate.recipe.probe.propose import Found, choose, learning_rate, propose

LEFT = ZeroRLConfig(from_probe=PROPOSED)
RARE = Figures(right=0.03, right_free=0.03, form=0.5, live=0.25, tokens=35, long_tokens=50, truncated=0.0)


def found(at: Figures = RARE, **changed: Any) -> Found:
    tried = {one.name: one for one in prompts_to_try(LEFT, has_template=False)}
    values: dict[str, Any] = {
        "tried": tried, "figures": {"r1_zero": at}, "drafts": [], "larger": replace(at, live=0.4), "chosen": "r1_zero",
        "easy": 0.06, "rest": 0.02, "parameters": 134_515_008, "pool": 700, "lengths": [35], "prompts": [(0,) * 100],
        "tokens_per_second": 1000.0, "learnt_per_second": 1250.0,
    }  # fmt: skip
    return Found(**{**values, **changed})


def values(found: Found, settings: ZeroRLConfig = LEFT, **probe: Any) -> dict[str, Any]:
    return {one.key: one.value for one in propose(found, settings, ProbeConfig(**probe))}


def test_prompts_that_begin_alike_are_learnt_from_at_once_and_leave_time_for_more_steps() -> None:
    begin = tuple(range(200))
    apart = [(number, *begin) for number in (1, 2)]
    alike = [(*begin, number) for number in (1, 2)]
    assert values(found(prompts=alike))["steps"] > values(found(prompts=apart))["steps"]


def test_a_model_that_is_rarely_right_gets_large_groups_easy_problems_first_and_further_draws() -> None:
    proposed = values(found())
    assert list(proposed) == list(PROPOSED)
    assert (proposed["group_size"], proposed["prompts_per_step"]) == (32, 8)
    assert proposed["dynamic_sampling"]
    assert proposed["easy_first_steps"] == round(1 / 3 * proposed["steps"]) > 0
    assert proposed["max_new_tokens"] == 112  # 50 tokens twice, to the next 16
    assert (proposed["temperature"], proposed["learning_rate"]) == (1.0, 1.5e-5)


def test_a_model_that_is_often_right_gets_the_papers_groups_from_all_problems() -> None:
    often = replace(RARE, right=0.5, live=0.9)
    proposed = values(found(often, easy=0.55, rest=0.5))
    assert (proposed["group_size"], proposed["prompts_per_step"], proposed["dynamic_sampling"]) == (16, 16, False)
    assert proposed["easy_first_steps"] == 0


def test_steps_fill_the_minutes_at_the_measured_speed() -> None:
    often = replace(RARE, live=1.0)
    # 256 completions of 35 tokens and a fifth of 16 prompts of 100 at 1,000 tokens a second, then all tokens at 1,250.
    seconds = (256 * 35 + 0.2 * 1600) / 1000 + (256 * 35 + 1600) / 1250
    assert values(found(often), minutes=20)["steps"] == round(1200 / seconds) == 68
    assert values(found(often), minutes=15)["steps"] == round(900 / seconds)
    assert values(found(often, tokens_per_second=0.1))["steps"] == 1
    assert values(found(often, tokens_per_second=1e6, learnt_per_second=1e6))["steps"] == 200


def test_sampling_counts_half_as_much_again_where_dead_groups_are_drawn_again() -> None:
    rare = replace(RARE, live=0.5)
    seconds = 1.5 * (256 * 35 + 0.2 * 1600) / 1000 + (256 * 35 + 1600) / 1250
    assert values(found(rare))["dynamic_sampling"]
    assert values(found(rare))["steps"] == round(1200 / seconds)


def test_where_few_steps_fit_each_has_half_of_the_completions() -> None:
    often = replace(RARE, live=1.0)
    seconds = (256 * 35 + 0.2 * 1600) / 1000 + (256 * 35 + 1600) / 1250
    proposed = values(found(often), minutes=10)
    assert (proposed["prompts_per_step"], proposed["steps"]) == (8, round(600 / (seconds / 2)))
    cut_off = (128 * 112 + 0.2 * 800) / 1000 + (128 * 112 + 800) / 1250
    assert values(found(often, lengths=[10**6]), minutes=10)["steps"] == round(600 / cut_off)
    steps_are_set = ZeroRLConfig(steps=6, from_probe=[key for key in PROPOSED if key != "steps"])
    assert values(found(often), steps_are_set)["prompts_per_step"] == 16


def test_what_a_user_sets_is_not_proposed_and_the_rest_follows_from_it() -> None:
    settings = ZeroRLConfig(group_size=8, steps=6, from_probe=[key for key in PROPOSED if key not in ("group_size", "steps")])
    proposed = values(found(), settings)
    assert "group_size" not in proposed
    assert (proposed["prompts_per_step"], proposed["easy_first_steps"]) == (32, 2)
    assert values(found(pool=20), settings)["prompts_per_step"] == 20


def test_smaller_models_get_larger_learning_rates() -> None:
    assert learning_rate(134_515_008) == 1.5e-5
    assert learning_rate(2_500_000) == pytest.approx(1.1e-4)  # recipe tiny has 1.5e-4
    assert learning_rate(10**14) == 1e-6


def test_the_prompt_is_the_one_that_rl_learns_most_from() -> None:
    long = Figures(right=0.04, right_free=0.05, form=0.03, live=0.3, tokens=120, long_tokens=128, truncated=0.4)
    short = replace(long, right=0.03, form=0.5, live=0.25, tokens=35)
    assert choose({"long": long, "short": short}, 40) == "short"  # as right, within what 40 problems can tell
    assert choose({"long": replace(long, right=0.5), "short": short}, 40) == "long"
    nothing = replace(long, right=0.0, live=0.0)
    assert choose({"long": nothing, "short": replace(nothing, form=0.4)}, 40) == "short"


def test_only_what_the_user_leaves_open_is_tried() -> None:
    names = [one.name for one in prompts_to_try(LEFT, has_template=True)]
    assert names == ["r1_zero", "r1_zero_opened", "chat", "chat_opened"]
    chat = ZeroRLConfig(prompt="chat", system_prompt="Think.", from_probe=["open_thinking", "worked_examples"])
    example = {"question": "1 + 1?", "thinking": "1 + 1 = 2", "answer": "2"}
    tried = prompts_to_try(chat, has_template=True, examples=[example])
    assert [one.name for one in tried] == ["chat_system_1_examples", "chat_system_1_examples_opened"]
    assert all(one.settings.system_prompt == "Think." for one in tried)
    fixed = ZeroRLConfig(from_probe=["steps"])
    assert [one.name for one in prompts_to_try(fixed, has_template=True)] == ["r1_zero"]

"""The reward of completions to general prompts, with a scorer that counts tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from cogitate.backend import Scorer
from cogitate.config import AllScenarioConfig, RewardsConfig
from cogitate.recipe.rl.general_rewards import GeneralReward, Judge, by_kind, general_format, general_language, sigmoid
from cogitate.rewards.ensemble import Combination, Ensemble
from cogitate.rewards.reward_model import READINGS
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.rollouts import Sampled
from cogitate.types import Completion, Problem, Verdict

GREETING = Problem("g", "general", "general", "Say hello.", language="en", fields={"answer_language": "en"})
SUM = Problem("s", "arithmetic", "math", "1 + 1?", gold="2")


class CountingScorer:
    """Scores a completion by its length in tokens, and remembers what it was shown."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.shown: list[tuple[list[int], list[int]]] = []

    def rewards(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[float]:
        self.shown += [(list(p), list(c)) for p, c in zip(prompts, completions, strict=True)]
        return [self.factor * len(completion) / 10 for completion in completions]


def sampled(problem: Problem, text: str) -> Sampled:
    verdict = Verdict("right", 1.0, "") if problem is SUM else Verdict("none", 0.0, "")
    return Sampled(problem, (1, 2), Completion("0", (3,), (0.0,), "stop", ((0, 1),), 0), text, False, verdict)


@pytest.fixture
def judges(micro_tokenizer: Tokenizer, tmp_path: Path) -> tuple[Judge, Judge]:
    form = ConversationForm.load(tmp_path, micro_tokenizer)
    return judge_of(form, "helpfulness", 1.0), judge_of(form, "safety", 1.0)


def judge_of(form: ConversationForm, name: str, *factors: float, combination: Combination = Combination()) -> Judge:  # noqa: B008
    """A judge of as many members; of a scorer, judges use `rewards` alone."""
    members = [cast(Scorer, CountingScorer(factor)) for factor in factors]
    return Judge(Ensemble(members, combination), form, READINGS[name])


def shown_to(judge: Judge) -> list[tuple[list[int], list[int]]]:
    """The prompts and completions that the judge's scorer has read."""
    (scorer,) = judge.ensemble.members
    assert isinstance(scorer, CountingScorer)
    return scorer.shown


def test_helpfulness_reads_the_final_answer_alone_and_safety_everything(
    judges: tuple[Judge, Judge], micro_tokenizer: Tokenizer
) -> None:
    helpfulness, safety = judges
    batch = [sampled(GREETING, " <think> b b b b b b </think>\na a"), sampled(GREETING, " a")]
    helpful, safe = helpfulness.judge(batch), safety.judge(batch)
    prompt = micro_tokenizer.encode("User: Say hello.\nAssistant:")
    read = [*micro_tokenizer.encode(" a a"), micro_tokenizer.end_id]
    assert shown_to(helpfulness)[0] == (prompt, read)
    everything = [*micro_tokenizer.encode(" <think> b b b b b b </think>\na a"), micro_tokenizer.end_id]
    assert shown_to(safety)[0] == (prompt, everything)
    assert helpful[0].share == pytest.approx(1 / (1 + math.exp(-len(read) / 10)))
    assert safe[0].share == pytest.approx(1 / (1 + math.exp(-len(everything) / 10)))
    assert helpful[1] == safe[1]


def test_a_completion_without_a_final_answer_is_worth_nothing_and_is_not_shown(judges: tuple[Judge, Judge]) -> None:
    helpfulness, safety = judges
    batch = [sampled(GREETING, " <think> b b"), sampled(GREETING, " a")]
    assert helpfulness.judge(batch)[0].score is None
    assert len(shown_to(helpfulness)) == 1
    assert safety.judge(batch)[0].share > 0.5
    assert helpfulness.judge([batch[0]])[0].share == 0.0


def test_the_reward_is_the_weighted_sum_of_its_parts(judges: tuple[Judge, Judge]) -> None:
    settings = AllScenarioConfig(helpfulness_weight=2.0, safety_weight=0.5, language_weight=0.25)
    reward = GeneralReward(*judges, settings, RewardsConfig(format=3.0))
    total, parts = reward.combine(0.75, 0.5, " <think> my thinking is here </think>\nHello there.", GREETING)
    assert parts == {"helpfulness": 0.75, "safety": 0.5, "format": 1.0, "language": 1.0}
    assert total == pytest.approx(2 * 0.75 + 0.5 * 0.5 + 3 + 0.25)


def test_members_are_read_as_one_and_how_far_they_disagree_is_logged_beside_the_parts(
    judges: tuple[Judge, Judge], micro_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    form = ConversationForm.load(tmp_path, micro_tokenizer)
    helpfulness = judge_of(form, "helpfulness", 1.0, 2.0, 6.0, combination=Combination("uncertainty", 0.5))
    batch = [sampled(GREETING, " a"), sampled(GREETING, " <think> b b")]
    said, nothing = helpfulness.judge(batch)
    one = (len(micro_tokenizer.encode(" a")) + 1) / 10  # what a member of factor 1 says of the answer and its end
    assert said.of_members == pytest.approx((one, 2 * one, 6 * one))
    assert said.score == pytest.approx(3 * one - 0.5 * 14 / 3 * one**2)
    assert (nothing.score, nothing.of_members) == (None, ())
    reward = GeneralReward(helpfulness, judges[1], AllScenarioConfig(), RewardsConfig())
    (total, parts), (_, of_nothing) = reward(batch)
    assert parts["helpfulness_spread"] == pytest.approx(one * math.sqrt(14 / 3))  # of 1, 2 and 6, whose mean is 3
    assert "safety_spread" not in parts  # of one model alone
    assert "helpfulness_spread" not in of_nothing
    assert total == reward.combine(said.share, parts["safety"], " a", GREETING)[0]  # the spread has no weight


def test_rules_judge_reasoning_and_models_the_rest_in_the_order_of_the_batch(judges: tuple[Judge, Judge]) -> None:
    general = GeneralReward(*judges, AllScenarioConfig(), RewardsConfig())
    batch = [sampled(GREETING, " a"), sampled(SUM, "2"), sampled(GREETING, " a a a"), sampled(SUM, "3")]

    def by_text(reasoning: Sequence[Sampled]) -> list[tuple[float | None, dict[str, float]]]:
        return [(float(each.text), {"accuracy": 1.0}) for each in reasoning]

    scored = by_kind(by_text, general)(batch)
    assert [scored[1][0], scored[3][0]] == [2.0, 3.0]
    assert scored[0][1].keys() == scored[2][1].keys() == {"helpfulness", "safety", "format", "language"}
    assert scored[2][1]["helpfulness"] > scored[0][1]["helpfulness"]
    assert by_kind(by_text, general)([batch[1]]) == [(2.0, {"accuracy": 1.0})]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" Hello there.", 1.0),
        (" <think> a greeting </think>\nHello.", 1.0),
        (" <think> a greeting </think>", 0.0),
        (" <think> a greeting", 0.0),
        (" Hello </think> there", 0.0),
        ("  ", 0.0),
    ],
)
def test_the_format_asks_for_closed_thinking_or_none(text: str, value: float) -> None:
    assert general_format(text) == value


def test_the_language_reward_is_of_the_thinking_and_without_any_of_the_answer() -> None:
    to_chinese = Problem("t", "general", "general", "Translate: the dog.", language="en", fields={"answer_language": "zh"})
    assert general_language(" <think> the dog is here </think>\n狗在这里", to_chinese) == 1.0
    assert general_language(" <think> 狗在这里 the dog is here </think>\n狗", to_chinese) == pytest.approx(0.5)
    assert general_language(" 狗在这里", to_chinese) == 1.0
    assert general_language(" the dog is here", to_chinese) == 0.0
    assert general_language(" 12", GREETING) == 0.0


def test_the_sigmoid_survives_any_score() -> None:
    assert sigmoid(0) == 0.5
    assert sigmoid(800) == 1.0
    assert sigmoid(-800) == 0.0
    assert sigmoid(-2) == pytest.approx(1 - sigmoid(2))

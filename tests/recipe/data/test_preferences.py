"""The simulated judge, and which pairs and labels come of what it says."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from statistics import fmean

import pytest

from cogitate.config import PreferenceDataConfig
from cogitate.recipe.data.annotators import Judged, mean_gap
from cogitate.recipe.data.preferences import draw_labels, draw_pairs, judge_pairs
from cogitate.tasks.general import safety
from cogitate.tasks.mixture import gather_problems
from cogitate.types import Problem

EXACT = PreferenceDataConfig(judge_noise=0.0, position_bias=0.3, judgements=4, margin=0.1, pairs=10, safety_prompts=20)


class Scored(Judged):
    """A candidate whose true scores are given."""

    __slots__ = ("_scores",)
    _scores: tuple[float, float]

    def __init__(
        self, problem: Problem, helpfulness: float, *, safety: float = 1.0, tokens: int = 5, cut: bool = False, no: int = 0
    ) -> None:
        super().__init__(problem, f"text {helpfulness} {safety} {no}", f"answer {helpfulness} {no}", tokens, cut)
        object.__setattr__(self, "_scores", (helpfulness, safety))

    @property
    def helpfulness(self) -> float:
        return self._scores[0]

    @property
    def safety(self) -> float:
        return self._scores[1]


PROBLEM = Problem("p", "general", "general", "Write.", fields={"harmful": False})


def test_swapping_the_positions_cancels_the_judges_liking_for_the_first() -> None:
    rng = random.Random(0)
    assert mean_gap(0.7, 0.4, EXACT, rng) == pytest.approx(0.3)
    assert mean_gap(0.4, 0.7, EXACT, rng) == pytest.approx(-0.3)
    assert mean_gap(0.5, 0.5, EXACT, rng) == pytest.approx(0.0)


def test_more_judgements_make_the_judge_surer() -> None:
    noisy = [EXACT.model_copy(update={"judge_noise": 0.2, "judgements": n}) for n in (2, 32)]
    rng = random.Random(0)
    errors = [fmean(mean_gap(0.5, 0.4, settings, rng) < 0 for _ in range(2000)) for settings in noisy]
    # deviation of the mean gap: 0.2 sqrt(2 / n), so that 0.1 is 0.5 and 2 deviations away from 0
    assert errors == pytest.approx([0.309, 0.023], abs=0.03)


def counts() -> dict[str, int]:
    return dict.fromkeys(("judged", "equal", "unclear", "unlike_lengths"), 0)


def test_pairs_are_kept_where_the_gap_is_clear_and_the_lengths_alike() -> None:
    seen = counts()
    short, alike, long = (Scored(PROBLEM, h, tokens=t) for h, t in ((0.9, 5), (0.2, 10), (0.5, 11)))
    rows = judge_pairs([short, alike, long], EXACT, random.Random(0), seen)
    assert seen == {"judged": 3, "equal": 0, "unclear": 0, "unlike_lengths": 1}  # 11 is more than twice 5
    assert sorted((row["chosen"], row["rejected"], row["margin"]) for row in rows) == sorted(
        [(long.text, alike.text, 0.3), (short.text, alike.text, 0.7)]
    )
    assert not judge_pairs([Scored(PROBLEM, 0.5), Scored(PROBLEM, 0.45)], EXACT, random.Random(0), seen)
    assert not judge_pairs([Scored(PROBLEM, 0.5), Scored(PROBLEM, 0.5)], EXACT, random.Random(0), seen)
    assert (seen["unclear"], seen["equal"]) == (1, 1)


def test_drawing_stops_with_enough_pairs_and_leaves_cut_answers_out() -> None:
    problems = [Problem(f"p{n}", "general", "general", f"Write {n}.", fields={"harmful": False}) for n in range(30)]
    asked: list[str] = []

    def ask(chosen: Sequence[Problem], samples: int, name: str) -> Iterable[list[Judged]]:
        asked.extend(problem.id for problem in chosen)
        for problem in chosen:
            judged: list[Judged] = [
                Scored(problem, 0.9),
                Scored(problem, 0.5),
                Scored(problem, 0.1),
                Scored(problem, 0.0, cut=True),
            ]
            yield judged[:samples]

    settings = EXACT.model_copy(update={"pairs_per_prompt": 2})
    rows, seen = draw_pairs(problems, ask, settings, 0)
    assert len(rows) == 10
    assert asked == [f"p{n}" for n in range(10)]  # never more prompts than pairs are wanted
    assert (seen["prompts"], seen["candidates"], seen["cut"], seen["judged"], seen["surplus"]) == (10, 40, 10, 30, 10)
    assert draw_pairs(problems, ask, settings, 0)[0] == rows
    assert draw_pairs(problems, ask, settings, 1)[0] != rows


def test_harmful_prompts_are_asked_again_where_too_few_completions_are_unsafe() -> None:
    problems = gather_problems("safety", 40, split="train", seed=0)
    rounds: list[tuple[str, int]] = []

    def ask(chosen: Sequence[Problem], samples: int, name: str) -> Iterable[list[Judged]]:
        rounds.append((name, len(chosen)))
        again = name.startswith("harmful")
        for problem in chosen:
            assert problem.fields["harmful"] or not again
            yield [Scored(problem, 0.5, safety=0.0 if again and i == 0 else 1.0, no=i) for i in range(samples)]

    rows, seen = draw_labels(problems, ask, EXACT, 0)
    harmful = sum(problem.fields["harmful"] for problem in problems)
    assert rounds == [("labels 0", 20), ("harmful 1", harmful)]
    assert seen["unsafe_at_first"] == 0
    assert harmful >= 7
    assert seen["unsafe"] == 7  # of 34 is a fifth at last
    assert seen["harmful_completions_asked_again"] == 4 * harmful
    assert sum(row["label"] for row in rows) == 27  # as many safe ones of the same prompts
    assert not any(row["round"] for row in rows[:20])
    assert rows[0]["task"] == safety.NAME

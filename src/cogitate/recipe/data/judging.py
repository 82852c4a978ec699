"""A model as the judge of a stage's data: of completions that no rule decides, and of preferences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cogitate.config import Config
from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.stage import StageContext
from cogitate.rewards.answer import CONTRACTS, Contract, answer_text
from cogitate.rewards.judge.judge import Answer, Judge
from cogitate.rewards.judge.settings import JUDGE
from cogitate.rewards.kinds import kind_of
from cogitate.runtime import derive_seed

BY_JUDGE = "judged by a model: "  # begins the reason of such a verdict


def judge_of(config: Config, context: StageContext) -> Judge | None:
    """The stage's judge; None where there is none."""
    if not config.judge.model:
        return None
    asker = context.backend.asker(config.judge, JUDGE)
    return Judge(config.judge, asker, derive_seed(config.seed, JUDGE), context.stop_if_interrupted)


def judge_undecided(candidates: Sequence[Candidate], judge: Judge) -> list[Candidate]:
    """The candidates, with the judge's verdict by the reference where rules have none. It is asked about no other.

    Programs stay without one: that no sandbox could run them says nothing of them.
    """
    undecided = [one for one in candidates if is_for_judge(one)]
    verdicts = judge.grade([Answer(one.problem.question, answer_of(one), str(one.problem.gold)) for one in undecided])
    judged = {
        id(one): replace(one, verdict=verdict.value, reason=f"{BY_JUDGE}{verdict.reason}")
        for one, verdict in zip(undecided, verdicts, strict=True)
    }
    return [judged.get(id(one), one) for one in candidates]


def is_for_judge(candidate: Candidate) -> bool:
    """Whether no rule decides on a whole answer that has a reference to be compared with."""
    kind = kind_of(candidate.problem.kind)
    whole = candidate.verdict == "none" and candidate.finish_reason == "stop"
    return whole and not kind.needs_judge and kind.answer == "value" and candidate.problem.gold not in (None, "")


def answer_of(candidate: Candidate) -> str:
    contract: Contract = next(known for known in CONTRACTS if known == candidate.contract)
    return answer_text(candidate.text, contract)


def judge_summary(judge: Judge | None) -> dict[str, Any]:
    """For a stage's summary: what the judge said, how often it had nothing to say, what asking it has cost; {} without one."""
    if judge is None:
        return {}
    return {JUDGE: {"said": dict(sorted(judge.counts.items())), **judge.usage.spent(judge.settings)}}

"""One entry for all graders, by which workers and `cogitate.grade` judge; and a Problem's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.errors import DataError
from cogitate.rewards.answer import CONTRACTS
from cogitate.rewards.graders.custom import CustomReward
from cogitate.rewards.kinds import GradingContext, grade_by_kind
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.types import Problem, Verdict


def judge(
    kind: str,
    prediction: str,
    contract: str,
    fields: Mapping[str, Any],
    *,
    custom: CustomReward | None = None,
    isolation: Isolation | None = None,
) -> Verdict:
    """Judge one completion.

    Args:
        kind: one of kinds.KINDS.
        prediction: the completion.
        contract: where the answer stands, of answer.CONTRACTS.
        fields: what the kind needs: gold, numbers, target, language, format_contract, mode, entry_point, tests ...
        custom: the function that judges kind "custom".
        isolation: where model-written code runs; by default in the best sandbox that this machine can hold.

    Raises:
        DataError: an unknown kind or contract, or a field of the kind is missing.
    """
    if contract not in CONTRACTS:
        raise DataError(f"contract {contract!r} is unknown; known are {', '.join(CONTRACTS)}")
    return grade_by_kind(kind, prediction, fields, GradingContext(contract, isolation, custom))


def problem_fields(problem: Problem) -> dict[str, Any]:
    """The fields `judge` needs of a problem: its gold, its language, and what its kind keeps in `fields`."""
    named = {"id": problem.id, "question": problem.question, "gold": problem.gold, "language": problem.language}
    return {**named, **problem.fields}

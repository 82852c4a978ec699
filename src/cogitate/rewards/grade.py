"""One entry for all graders: `grade(kind, prediction, contract=..., **fields)`; and a Problem's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.errors import DataError
from cogitate.rewards.answer import CONTRACTS, Contract, answer_text
from cogitate.rewards.custom import CustomReward, grade_custom
from cogitate.rewards.format import grade_format
from cogitate.rewards.graders.choice import grade_choice
from cogitate.rewards.graders.countdown import grade_countdown
from cogitate.rewards.graders.exact import grade_exact
from cogitate.rewards.graders.ifeval import grade_ifeval
from cogitate.rewards.graders.knights_and_knaves import grade_knights_and_knaves
from cogitate.rewards.kinds import check_fields
from cogitate.rewards.language import grade_language
from cogitate.rewards.math.answer import grade_math
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.types import Problem, Verdict


def grade(
    kind: str,
    prediction: str,
    *,
    contract: Contract = "r1",
    custom: CustomReward | None = None,
    isolation: Isolation | None = None,
    **fields: Any,
) -> Verdict:
    """Judge one completion.

    Args:
        kind: one of kinds.KINDS.
        prediction: the completion.
        contract: where the answer stands.
        custom: the function that judges kind "custom".
        isolation: where model-written code runs; by default in the best sandbox that this machine can hold.
        fields: what the kind needs: gold, numbers, target, language, format_contract, mode, entry_point, tests ...

    Raises:
        DataError: an unknown kind or contract, or a field of the kind is missing.
    """
    return judge(kind, prediction, contract, fields, custom=custom, isolation=isolation)


def judge(
    kind: str,
    prediction: str,
    contract: str,
    fields: Mapping[str, Any],
    *,
    custom: CustomReward | None = None,
    isolation: Isolation | None = None,
) -> Verdict:
    """The same with the fields as one mapping, whatever their names."""
    check_fields(kind, fields)
    if contract not in CONTRACTS:
        raise DataError(f"contract {contract!r} is unknown; known are {', '.join(CONTRACTS)}")
    if kind == "code":
        return _grade_code(prediction, contract, fields, isolation)
    if kind == "gym":
        return _grade_gym(prediction, contract, fields, isolation)
    if kind == "custom":
        if custom is None:
            raise DataError('kind custom needs rewards.custom = "file.py:function"')
        return grade_custom(prediction, fields, custom)
    return _grade_by_rules(kind, prediction, contract, fields)


def problem_fields(problem: Problem) -> dict[str, Any]:
    """The fields `grade` needs of a problem: its gold, its language, and what its kind keeps in `fields`."""
    named = {"id": problem.id, "question": problem.question, "gold": problem.gold, "language": problem.language}
    return {**named, **problem.fields}


def _grade_by_rules(kind: str, prediction: str, contract: Contract, fields: Mapping[str, Any]) -> Verdict:
    match kind:
        case "math":
            return grade_math(prediction, str(fields["gold"]), contract=contract)
        case "choice":
            return grade_choice(prediction, str(fields["gold"]), contract=contract)
        case "exact":
            return grade_exact(prediction, str(fields["gold"]), contract=contract)
        case "logic":
            return grade_knights_and_knaves(prediction, fields["gold"], contract=contract)
        case "countdown":
            return grade_countdown(prediction, fields["numbers"], fields["target"], contract=contract)
        case "format":
            return grade_format(prediction, fields["format_contract"], prefilled=fields.get("prefilled", False))
        case "language":
            return grade_language(prediction, fields["language"])
        case "ifeval":
            instructions, arguments = fields["instruction_id_list"], fields["kwargs"]
            return grade_ifeval(prediction, instructions, arguments, contract=contract, partial=fields.get("partial", False))
    raise AssertionError(kind)


def _grade_code(prediction: str, contract: Contract, fields: Mapping[str, Any], isolation: Isolation | None) -> Verdict:
    from cogitate.rewards.code.grader import grade_code  # only workers that judge code load the sandbox

    return grade_code(
        answer_text(prediction, contract),
        mode=fields["mode"],
        entry_point=fields.get("entry_point"),
        tests=fields["tests"],
        limits=fields.get("limits"),
        partial=fields.get("partial", False),
        weaker_tests=fields.get("weaker_tests", False),
        lint=bool(fields.get("lint", False)),
        reference=fields.get("reference_program"),
        efficiency=fields.get("efficiency", 0.0),
        isolation=isolation,
    )


def _grade_gym(prediction: str, contract: Contract, fields: Mapping[str, Any], isolation: Isolation | None) -> Verdict:
    from cogitate.rewards.graders.gym.grader import grade_gym  # only workers that judge such answers load the library

    return grade_gym(
        prediction,
        generator=fields["generator"],
        entry=fields["entry"],
        settings=fields.get("config") or {},
        contract=contract,
        isolation=isolation,
    )

"""One entry for all graders: `grade(kind, prediction, contract=..., **fields)`; and a Problem's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.errors import DataError
from cogitate.rewards.answer import CONTRACTS, Contract, answer_text
from cogitate.rewards.choice import grade_choice
from cogitate.rewards.countdown import grade_countdown
from cogitate.rewards.custom import CustomReward, grade_custom
from cogitate.rewards.exact import grade_exact
from cogitate.rewards.format import grade_format
from cogitate.rewards.ifeval import grade_ifeval
from cogitate.rewards.language import grade_language
from cogitate.rewards.logic import grade_logic
from cogitate.rewards.math_answer import grade_math
from cogitate.types import Problem, Verdict

KINDS = ("math", "choice", "exact", "logic", "countdown", "code", "format", "language", "ifeval", "custom")


def grade(
    kind: str, prediction: str, *, contract: Contract = "r1", custom: CustomReward | None = None, **fields: Any
) -> Verdict:
    """Judge one completion.

    Args:
        kind: one of KINDS.
        prediction: the completion.
        contract: where the answer stands.
        custom: the function that judges kind "custom".
        fields: what the kind needs: gold, numbers, target, language, format_contract, mode, entry_point, tests ...

    Raises:
        DataError: an unknown kind or contract, or a field of the kind is missing.
    """
    if kind not in KINDS:
        raise DataError(f"kind {kind!r} is unknown; known are {', '.join(KINDS)}")
    if contract not in CONTRACTS:
        raise DataError(f"contract {contract!r} is unknown; known are {', '.join(CONTRACTS)}")
    try:
        return _dispatch(kind, prediction, contract, custom, fields)
    except KeyError as error:
        raise DataError(f"kind {kind} needs the field {error.args[0]!r}") from error


def problem_fields(problem: Problem) -> dict[str, Any]:
    """The fields `grade` needs of a problem: its gold, its language, and what its kind keeps in `fields`."""
    named = {"id": problem.id, "question": problem.question, "gold": problem.gold, "language": problem.language}
    return {**named, **problem.fields}


def _dispatch(
    kind: str, prediction: str, contract: Contract, custom: CustomReward | None, fields: Mapping[str, Any]
) -> Verdict:
    match kind:
        case "math":
            return grade_math(prediction, str(fields["gold"]), contract=contract)
        case "choice":
            return grade_choice(prediction, str(fields["gold"]), contract=contract)
        case "exact":
            return grade_exact(prediction, str(fields["gold"]), contract=contract)
        case "logic":
            return grade_logic(prediction, fields["gold"], contract=contract)
        case "countdown":
            return grade_countdown(prediction, fields["numbers"], fields["target"], contract=contract)
        case "format":
            return grade_format(prediction, fields["format_contract"])
        case "language":
            return grade_language(prediction, fields["language"])
        case "ifeval":
            instructions, arguments = fields["instruction_id_list"], fields["kwargs"]
            return grade_ifeval(prediction, instructions, arguments, contract=contract, partial=fields.get("partial", False))
        case "code":
            return _grade_code(prediction, contract, fields)
        case "custom":
            if custom is None:
                raise DataError('kind custom needs rewards.custom = "file.py:function"')
            return grade_custom(prediction, fields, custom)
    raise DataError(f"kind {kind!r} has no grader")


def _grade_code(prediction: str, contract: Contract, fields: Mapping[str, Any]) -> Verdict:
    from cogitate.rewards.code_tests import grade_code  # only workers that judge code load the sandbox

    chosen = {name: fields[name] for name in ("limits", "partial") if name in fields}
    answer = answer_text(prediction, contract)
    return grade_code(answer, mode=fields["mode"], entry_point=fields.get("entry_point"), tests=fields["tests"], **chosen)

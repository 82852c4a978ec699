"""What each kind of grader needs beside the prediction, checked before anything is graded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cogitate.errors import DataError
from cogitate.rewards.code.forms import check_forms
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.rewards.format import FORMAT_CONTRACTS
from cogitate.rewards.graders.gym.library import EVALUATE_ANSWERS
from cogitate.rewards.sandbox.limits import Limits

KINDS = ("math", "choice", "exact", "logic", "countdown", "code", "format", "language", "ifeval", "custom", "gym")


def check_fields(kind: str, fields: Mapping[str, Any]) -> None:
    """Raises DataError where a field of the kind is missing or is not what the grader can use."""
    if kind not in KINDS:
        raise DataError(f"kind {kind!r} is unknown; known are {', '.join(KINDS)}")
    for name, (test, wanted) in _NEEDED[kind].items():
        if name not in fields:
            raise DataError(f"kind {kind} needs the field {name!r}: {wanted}")
        if not test(fields[name]):
            raise DataError(f"{name} = {str(fields[name])[:60]!r}: kind {kind} needs {wanted}")
    if kind == "ifeval" and len(fields["instruction_id_list"]) != len(fields["kwargs"]):
        raise DataError(f"{len(fields['instruction_id_list'])} instructions with {len(fields['kwargs'])} sets of arguments")
    if kind == "code":
        try:
            Limits.of(fields.get("limits"), Limits())
        except ValueError as error:
            raise DataError(f"limits: {error}") from error
        try:
            check_forms(fields["tests"], fields["mode"])
        except BadTestsError as error:
            raise DataError(f"tests: {error}") from error
        check_efficiency(fields)
    if kind == "gym" and not isinstance(fields.get("config") or {}, Mapping):
        raise DataError(f"config = {str(fields['config'])[:60]}: kind gym needs an object, the generator's settings")
    if kind == "code" and fields.get("mode", "function") == "function" and not fields.get("entry_point"):
        tests = fields["tests"]
        if not isinstance(tests, str) and not all(isinstance(test, str) for test in tests):
            raise DataError("kind code in mode function needs the field 'entry_point': the function's name")


def check_efficiency(fields: Mapping[str, Any]) -> None:
    """Raises DataError where a code problem's reference or efficiency cannot be used."""
    reference, efficiency = fields.get("reference_program"), fields.get("efficiency", 0.0)
    if reference is not None and not isinstance(reference, str):
        raise DataError(f"reference_program = {str(reference)[:60]}: kind code needs a text, a right program")
    if isinstance(efficiency, bool) or not isinstance(efficiency, int | float) or not 0 <= efficiency <= 1:
        raise DataError(f"efficiency = {str(efficiency)[:60]}: kind code needs a number from 0 to 1")
    if efficiency and reference is None:
        raise DataError("efficiency needs the field 'reference_program': a right program to compare with")


def runs_code(kind: str, fields: Mapping[str, Any]) -> bool:
    """Whether judging it runs what a model wrote, so that it needs the sandbox."""
    return kind == "code" or (kind == "gym" and fields.get("generator") in EVALUATE_ANSWERS)


def is_text_or_number(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_roles(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(role, bool) for role in value.values())


_Field = tuple[Callable[[Any], bool], str]
_GOLD: dict[str, _Field] = {"gold": (is_text_or_number, "a text")}
_NEEDED: dict[str, dict[str, _Field]] = {
    "math": _GOLD,
    "choice": _GOLD,
    "exact": _GOLD,
    "logic": {"gold": (is_roles, "an object name -> true for a knight")},
    "countdown": {
        "numbers": (lambda value: isinstance(value, list | tuple) and all(map(is_integer, value)), "a list of integers"),
        "target": (is_integer, "an integer"),
    },
    "code": {
        "mode": (lambda value: value in ("function", "stdin"), "function or stdin"),
        "tests": (lambda value: isinstance(value, str | list | tuple) and bool(value), "a list of tests, or assertions"),
    },
    "format": {"format_contract": (lambda value: value in FORMAT_CONTRACTS, f"one of {', '.join(FORMAT_CONTRACTS)}")},
    "language": {"language": (is_text, "a language code")},
    "ifeval": {
        "instruction_id_list": (lambda value: isinstance(value, list | tuple) and bool(value), "a list of instructions"),
        "kwargs": (
            lambda value: isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value),
            "a list of objects, one for each instruction",
        ),
    },
    "custom": {},
    "gym": {
        "generator": (is_text, "the name of one of reasoning-gym's generators"),
        "entry": (
            lambda value: isinstance(value, Mapping) and {"answer", "metadata"} <= value.keys(),
            "the generator's entry: question, answer, metadata",
        ),
    },
}

"""The kinds of problems: one row for each says everything that the rest of the house needs to know of it.

A new kind is a new row. Its grader gets the completion, the problem's fields and the circumstances of grading; what takes
long to import is imported when first called, since each worker pays for its own start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cogitate.errors import ConfigError, DataError
from cogitate.rewards.answer import Contract, answer_text
from cogitate.rewards.code import fields as code_fields
from cogitate.rewards.code.program_text import extract_program
from cogitate.rewards.fields import (
    FLAG,
    GOLD,
    Field,
    check_each,
    is_filled_list,
    is_integer,
    is_integers,
    is_lists_of_texts,
    is_object,
    is_objects,
    is_roles,
    is_text,
    is_text_or_number,
)
from cogitate.rewards.format import FORMAT_CONTRACTS, grade_format
from cogitate.rewards.graders.choice import grade_choice
from cogitate.rewards.graders.countdown import grade_countdown
from cogitate.rewards.graders.custom import CustomReward, grade_custom
from cogitate.rewards.graders.drop import grade_drop
from cogitate.rewards.graders.exact import grade_exact
from cogitate.rewards.graders.gym.library import EVALUATE_ANSWERS, make_config
from cogitate.rewards.graders.ifeval import grade_ifeval
from cogitate.rewards.graders.knights_and_knaves import grade_knights_and_knaves
from cogitate.rewards.language import grade_language
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.types import Verdict

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GradingContext:
    """What a grader is told beside the completion and the problem.

    Attributes:
        contract: where the answer stands.
        isolation: where model-written code runs; None takes the best sandbox that this machine can hold.
        custom: the user's function, for kinds that need one.
    """

    contract: Contract
    isolation: Isolation | None = None
    custom: CustomReward | None = None


Grader = Callable[[str, Fields, GradingContext], Verdict]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem.

    Attributes:
        grader: judges a completion; None where no rule can, but reward models and true scores do.
        fields: what a problem must have and may have, for the grader.
        check: raises DataError where fields that fit one by one cannot be used together.
        check_library: the same for what only a library knows that takes long to import; asked once, of a file's rows.
        answer: the form of an answer: a value, which can stand in a box, a program, or a text.
        can_vote: equal answers are written alike, so that completions have a majority.
        runs_code: whether judging a problem with these fields runs what a model wrote, and needs a sandbox.
        remote: what runs may run in a sandbox of another machine.
        judged_part: the part of a completion that alone decides the verdict, for kinds where equal parts shall be judged only
            once; None from it where there is none.
        second_opinion: what another grader thinks where it disagrees, else None; for audits.
        needs_function: the user's own function judges it.
        needs_judge: a model judges it, which the pool asks.
    """

    name: str
    grader: Grader | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    check: Callable[[Fields], None] = lambda fields: None
    check_library: Callable[[Fields], None] = lambda fields: None
    answer: Literal["value", "program", "text"] = "text"
    can_vote: bool = False
    runs_code: Callable[[Fields], bool] = lambda fields: False
    remote: bool = False
    judged_part: Callable[[str, Contract], str | None] | None = None
    second_opinion: Callable[[str, Fields, Contract], dict[str, Any] | None] | None = None
    needs_function: bool = False
    needs_judge: bool = False

    @property
    def required(self) -> list[str]:
        """The fields that a problem must have."""
        return [name for name, field in self.fields.items() if field.required]


def kind_of(name: str) -> Kind:
    """Raises DataError for a kind that is unknown."""
    if name not in KINDS:
        raise DataError(f"kind {name!r} is unknown; known are {', '.join(KINDS)}")
    return KINDS[name]


def has_rules(name: str) -> bool:
    """Whether a rule judges problems of this kind; others are left to reward models and true scores."""
    return kind_of(name).grader is not None


def check_fields(name: str, fields: Fields) -> None:
    """Raises DataError where no rule judges the kind, or a field is missing or is not what the grader can use."""
    kind = kind_of(name)
    if kind.grader is None:
        raise DataError(f"no rule judges kind {name}: reward models do")
    check_each(name, kind.fields, fields)
    kind.check(fields)


def grade_by_kind(name: str, prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    """The verdict of the kind's grader. Raises what check_fields does."""
    check_fields(name, fields)
    grader = KINDS[name].grader
    assert grader is not None, name
    return grader(prediction, fields, context)


def _math(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    from cogitate.rewards.math.answer import grade_math  # a tenth of a second that the pool's own process need not wait for

    return grade_math(prediction, str(fields["gold"]), contract=context.contract)


def _audit_math(prediction: str, fields: Fields, contract: Contract) -> dict[str, Any] | None:
    from cogitate.rewards.math.answer import audit_math

    return audit_math(prediction, str(fields["gold"]), contract=contract)


def _choice(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    return grade_choice(prediction, str(fields["gold"]), contract=context.contract)


def _exact(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    return grade_exact(prediction, str(fields["gold"]), contract=context.contract, literal=bool(fields.get("literal")))


def _drop(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    return grade_drop(prediction, fields["answers"], contract=context.contract)


def _logic(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    return grade_knights_and_knaves(prediction, fields["gold"], contract=context.contract)


def _countdown(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    return grade_countdown(prediction, fields["numbers"], fields["target"], contract=context.contract)


def _code(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    from cogitate.rewards.code.grader import grade_code  # only workers that judge code load the sandbox

    return grade_code(
        answer_text(prediction, context.contract),
        mode=fields["mode"],
        entry_point=fields.get("entry_point"),
        tests=fields["tests"],
        limits=fields.get("limits"),
        partial=bool(fields.get("partial")),
        weaker_tests=bool(fields.get("weaker_tests")),
        lint=bool(fields.get("lint")),
        reference=fields.get("reference_program"),
        efficiency=fields.get("efficiency") or 0.0,
        decimals=fields.get("decimals"),
        prelude=fields.get("prelude"),
        isolation=context.isolation,
    )


def _program(prediction: str, contract: Contract) -> str | None:
    return extract_program(answer_text(prediction, contract))


def _format(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    return grade_format(prediction, fields["format_contract"], prefilled=bool(fields.get("prefilled")))


def _language(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    return grade_language(prediction, fields["language"])


def _ifeval(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    instructions, arguments, partial = fields["instruction_id_list"], fields["kwargs"], bool(fields.get("partial"))
    return grade_ifeval(prediction, instructions, arguments, contract=context.contract, partial=partial)


def _check_ifeval(fields: Fields) -> None:
    if len(fields["instruction_id_list"]) != len(fields["kwargs"]):
        raise DataError(f"{len(fields['instruction_id_list'])} instructions with {len(fields['kwargs'])} sets of arguments")


def _custom(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    if context.custom is None:
        raise DataError('kind custom needs rewards.custom = "file.py:function"')
    return grade_custom(prediction, fields, context.custom)


def _judge(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    raise DataError("kind judge is judged by a model, in a run whose settings name it: judge.model")


def _gym(prediction: str, fields: Fields, context: GradingContext) -> Verdict:
    from cogitate.rewards.graders.gym.grader import grade_gym  # only workers that judge such answers load the library

    return grade_gym(
        prediction,
        generator=fields["generator"],
        entry=fields["entry"],
        settings=fields.get("config") or {},
        contract=context.contract,
        isolation=context.isolation,
    )


def _check_gym(fields: Fields) -> None:
    """Raises DataError where reasoning-gym is missing, or has no such generator or setting."""
    try:
        make_config(fields["generator"], fields.get("config") or {})
    except ConfigError as error:
        raise DataError(str(error)) from error


def _is_gym_entry(value: Any) -> bool:
    return is_object(value) and {"answer", "metadata"} <= value.keys()


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("math", _math, {"gold": GOLD}, answer="value", can_vote=True, second_opinion=_audit_math),
        Kind("choice", _choice, {"gold": GOLD}, answer="value", can_vote=True),
        Kind("exact", _exact, {"gold": GOLD, "literal": FLAG}, answer="value", can_vote=True),
        Kind("drop", _drop, {"answers": Field(is_lists_of_texts, "a list of answers, each a list of texts")}, answer="value"),
        Kind("logic", _logic, {"gold": Field(is_roles, "an object name -> true for a knight")}),
        Kind(
            "countdown",
            _countdown,
            {"numbers": Field(is_integers, "a list of integers"), "target": Field(is_integer, "an integer")},
            answer="value",
        ),
        Kind(
            "code",
            _code,
            code_fields.FIELDS,
            code_fields.check_together,
            answer="program",
            runs_code=lambda fields: True,
            remote=True,
            judged_part=_program,
        ),
        Kind(
            "format",
            _format,
            {
                "format_contract": Field(FORMAT_CONTRACTS.__contains__, f"one of {', '.join(FORMAT_CONTRACTS)}"),
                "prefilled": FLAG,
            },
        ),
        Kind("language", _language, {"language": Field(is_text, "a language code")}),
        Kind(
            "ifeval",
            _ifeval,
            {
                "instruction_id_list": Field(is_filled_list, "a list of instructions"),
                "kwargs": Field(is_objects, "a list of objects, one for each instruction"),
                "partial": FLAG,
            },
            _check_ifeval,
        ),
        Kind("custom", _custom, needs_function=True),
        Kind(
            "judge",
            _judge,
            {
                "gold": Field(is_text_or_number, "a text, a right answer", required=False),
                "rubric": Field(is_text, "a text: what a good answer is", required=False),
            },
            needs_judge=True,
        ),
        Kind(
            "gym",
            _gym,
            {
                "generator": Field(is_text, "the name of one of reasoning-gym's generators"),
                "entry": Field(_is_gym_entry, "the generator's entry: question, answer, metadata"),
                "config": Field(is_object, "an object, the generator's settings", required=False),
            },
            check_library=_check_gym,
            runs_code=lambda fields: fields.get("generator") in EVALUATE_ANSWERS,
        ),
        Kind("general"),
        Kind("safety"),
    )
}

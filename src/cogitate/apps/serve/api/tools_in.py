"""What a request says of tools, in the forms of the three APIs, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.forms import Form, RefusedError, check_unicode
from cogitate.apps.serve.drawing.grammar import DEEPEST_SCHEMA, LARGEST_SCHEMA, SchemaError
from cogitate.apps.serve.drawing.shaping import Grammar
from cogitate.apps.serve.model import Prompt, ServedModel
from cogitate.tokenizer.tools.turns import Function, depth_of

MOST_TOOLS = 128
ANY_ARGUMENTS = {"type": "object", "additionalProperties": True}
NO_ARGUMENTS = {"type": "object", "properties": {}}

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


class FunctionForm(Form):
    """`strict`: calls follow the schema. Where a call is required they do in any case."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolForm(Form):
    type: Literal["function"]
    function: FunctionForm


class NamedFunction(Form):
    name: str


class NamedChoice(Form):
    type: Literal["function"]
    function: NamedFunction


Tools = Annotated[list[ToolForm], Field(max_length=MOST_TOOLS)]
ToolChoice = Literal["none", "auto", "required"] | NamedChoice


@dataclass(frozen=True, slots=True)
class Calls:
    """What a model may call in an answer.

    Attributes:
        functions: that the prompt names.
        required: of these functions one has to be called; none: it is free.
        strict: names of those whose schemas are followed also where it is free.
        one: no more than one.
    """

    functions: tuple[Function, ...] = ()
    required: tuple[Function, ...] = ()
    strict: frozenset[str] = frozenset()
    one: bool = False

    @property
    def ruled(self) -> bool:
        """Whether the answer follows a grammar."""
        return bool(self.required or self.strict)

    @property
    def most(self) -> int | None:
        """As `Plan.calls`."""
        return (1 if self.one else 0) if self.functions else None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(function.name for function in self.functions)

    def grammar(self, model: ServedModel, prompt: Prompt) -> Callable[[], Grammar] | None:
        """Of its calls. Raises RefusedError: a schema cannot be followed."""
        if not self.ruled:
            return None
        functions = self.required or [
            function if function.name in self.strict else replace(function, parameters=ANY_ARGUMENTS)
            for function in self.functions
        ]
        try:
            return model.grammars.of_calls(
                model.calling.form, functions, control_ids=model.tokenizer.control_ids, one=self.one,
                thinks=model.opened(prompt), free=not self.required,
            )  # fmt: skip
        except SchemaError as error:
            raise RefusedError(str(error), parameter="tools") from error


def calls_of(
    tools: list[ToolForm] | None, choice: ToolChoice | None, *, parallel: bool | None, name: str = "parallel_tool_calls"
) -> Calls:
    """
    Args:
        name: of the field that `parallel` is read from.

    Raises:
        RefusedError: tools and choice do not fit each other, or a function cannot be described to a model.
    """
    if not tools:
        if choice not in (None, "none", "auto"):
            raise RefusedError("there are no tools to choose from", parameter="tool_choice")
        if parallel is not None:
            raise RefusedError("has no effect without tools", parameter=name)
        return Calls()
    functions = tuple(function_of(tool.function, f"tools[{number}].function") for number, tool in enumerate(tools))
    names = [function.name for function in functions]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RefusedError(f"two functions are called {twice!r}", parameter="tools")
    if choice == "none":
        if parallel is not None:
            raise RefusedError("has no effect where no tool may be called", parameter=name)
        return Calls()
    if isinstance(choice, NamedChoice):
        named = tuple(function for function in functions if function.name == choice.function.name)
        if not named:
            raise RefusedError(f"{choice.function.name!r} is none of the tools: {', '.join(names)}", parameter="tool_choice")
        return Calls(functions, named, one=True)
    if choice == "required":
        return Calls(functions, functions, one=parallel is False)
    return Calls(
        functions, strict=frozenset(tool.function.name for tool in tools if tool.function.strict), one=parallel is False
    )


def function_of(form: FunctionForm, at: str) -> Function:
    """Raises RefusedError: it cannot be described to a model."""
    schema, place = form.parameters or NO_ARGUMENTS, f"{at}.parameters"
    check_unicode(form.description or "", f"{at}.description")
    if depth_of(schema, DEEPEST_SCHEMA) > DEEPEST_SCHEMA:
        raise RefusedError(f"{place}: more than {DEEPEST_SCHEMA} levels", parameter="tools")
    try:
        check_unicode(json.dumps(schema, ensure_ascii=False, allow_nan=False), place)
    except ValueError:
        raise RefusedError(f"{place}: holds NaN or Infinity, which JSON does not know", parameter="tools") from None
    if len(str(schema)) > LARGEST_SCHEMA:
        raise RefusedError(f"{place}: more than {LARGEST_SCHEMA} characters", parameter="tools")
    if schema.get("type", "object") != "object":
        raise RefusedError(f"{place}: must be the schema of an object", parameter="tools")
    return Function(form.name, form.description or "", {"type": "object", **schema})

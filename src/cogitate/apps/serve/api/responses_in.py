"""What clients send to /v1/responses, and the same as a request of /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.chat import ChatForm, JsonSchema, ResponseFormat
from cogitate.apps.serve.api.forms import LONGEST_CONVERSATION, Form, RefusedError
from cogitate.apps.serve.api.messages_in import AssistantTurn, GivenCall, GivenFunction, SystemTurn, ToolTurn, Turn, UserTurn
from cogitate.apps.serve.api.tools_in import MOST_TOOLS, FunctionForm, NamedChoice, NamedFunction, ToolChoice, ToolForm


class InputPart(Form):
    type: Literal["input_text", "output_text"]
    text: str
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    logprobs: Annotated[list[Any], Field(max_length=0)] | None = None


class InputMessage(Form):
    type: Literal["message"] | None = None
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputPart]
    id: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    phase: None = None


class InputReasoning(Form):
    """Earlier thinking that a client sends back: it is left out of the prompt, as in the other forms."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[Any] | None = None
    content: list[Any] | None = None
    encrypted_content: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class InputCall(Form):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class InputResult(Form):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputPart]
    id: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class ResponseTool(FunctionForm):
    type: Literal["function"]


class ResponseChoice(NamedFunction):
    type: Literal["function"]


class Reasoning(Form):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class TextFormat(JsonSchema):
    type: Literal["text", "json_object", "json_schema"]
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None  # type: ignore[assignment]  # only of json_schema


class Text(Form):
    format: TextFormat | None = None


class ResponsesForm(Form):
    model: str
    input: (
        str | Annotated[list[InputMessage | InputReasoning | InputCall | InputResult], Field(max_length=LONGEST_CONVERSATION)]
    )
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    metadata: dict[str, str] | None = None  # for the client's own books: sent back
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    store: Literal[False] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    text: Text | None = None
    tool_choice: Literal["none", "auto", "required"] | ResponseChoice | None = None
    tools: Annotated[list[ResponseTool], Field(max_length=MOST_TOOLS)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    user: str | None = None

    def as_chat(self) -> ChatForm:
        """The same as a request of /v1/chat/completions. Raises RefusedError where a schema is missing."""
        turns: list[Turn] = [SystemTurn(role="system", content=self.instructions)] if self.instructions else []
        items = [InputMessage(role="user", content=self.input)] if isinstance(self.input, str) else self.input
        if len(turns) + len(items) > LONGEST_CONVERSATION:
            raise RefusedError(f"{LONGEST_CONVERSATION} messages are allowed, instructions included", parameter="input")
        thinking = ""  # of the assistant's next turn
        for item in items:
            if isinstance(item, InputReasoning):
                thinking = "".join(str(part.get("text", "")) for part in item.content or () if isinstance(part, dict))
                continue
            if isinstance(item, InputCall):
                call = GivenCall(id=item.call_id, function=GivenFunction(name=item.name, arguments=item.arguments))
                add_call(turns, call, thinking)
                thinking = ""
                continue
            if isinstance(item, InputResult):
                turns.append(ToolTurn(role="tool", content=text_of(item.output), tool_call_id=item.call_id))
                continue
            text = text_of(item.content)
            if item.role == "user":
                turns.append(UserTurn(role="user", content=text))
            elif item.role == "assistant":
                turns.append(AssistantTurn(role="assistant", content=text, reasoning=thinking or None))
            else:
                turns.append(SystemTurn(role="system", content=text))
            thinking = ""
        form = None if self.text is None else self.text.format
        wanted = None
        if form is not None:
            if form.type == "json_schema" and form.schema_ is None:
                raise RefusedError("format json_schema needs a schema", parameter="text")
            schema = None if form.schema_ is None else JsonSchema.model_validate({"schema": form.schema_})
            wanted = ResponseFormat(type=form.type, json_schema=schema)
        return ChatForm(
            model=self.model, messages=turns, max_completion_tokens=self.max_output_tokens, temperature=self.temperature,
            top_p=self.top_p, reasoning_effort=None if self.reasoning is None else self.reasoning.effort,
            response_format=wanted, parallel_tool_calls=self.parallel_tool_calls, tool_choice=self._choice(),
            tools=None if self.tools is None else [
                ToolForm(type="function", function=FunctionForm.model_validate(tool.model_dump(exclude={"type"})))
                for tool in self.tools
            ],
        )  # fmt: skip

    def _choice(self) -> ToolChoice | None:
        if isinstance(self.tool_choice, ResponseChoice):
            return NamedChoice(type="function", function=NamedFunction(name=self.tool_choice.name))
        return self.tool_choice


def text_of(content: str | list[InputPart]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def add_call(turns: list[Turn], call: GivenCall, thinking: str) -> None:
    """Let the assistant's last turn end with one more call, or begin a turn for it."""
    last = turns[-1] if turns else None
    if isinstance(last, AssistantTurn):
        turns[-1] = last.model_copy(
            update={"tool_calls": [*(last.tool_calls or []), call], "reasoning": last.reasoning or thinking or None}
        )
    else:
        turns.append(AssistantTurn(role="assistant", reasoning=thinking or None, tool_calls=[call]))

"""How a model is told of functions: by its own chat template where that knows them, else by a text of the system's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cogitate.errors import CheckpointError
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.thinking import THINK_CLOSE, join_thinking, split_thinking
from cogitate.tokenizer.tools.call_forms import FORMS, HERMES, NAME, CallForm
from cogitate.tokenizer.tools.call_stream import calls_in
from cogitate.tokenizer.tools.turns import CallingTurn, Function, ResultTurn, ToolCall, Turn
from cogitate.types import Message

# In the words of Qwen2.5's template, which many models have seen.
SYSTEM_TEXT = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{functions}
</tools>

For each function call, write the function's name and a JSON object of arguments like this:
{example}"""

_PROBE = Function("probe", "a probe", {"type": "object", "properties": {"number": {"type": "integer"}}})
_CALL = ToolCall("probe", '{"number": 1}', "call00000")


@dataclass(frozen=True, slots=True)
class Calling:
    """
    Attributes:
        form: in which the model writes calls.
        lists: its template lists the functions.
        writes: its template writes calls and their results.
        as_text: it wants arguments as JSON text, not as objects.
        text_first: it writes what the assistant says in the turn of a call, before the call.
        keeps_thinking: it writes the thinking before a call, too.
    """

    form: CallForm = HERMES
    lists: bool = False
    writes: bool = False
    as_text: bool = False
    text_first: bool = True
    keeps_thinking: bool = True

    @classmethod
    def of(cls, template: ChatTemplate) -> Calling:
        """What a template does with a call of a probe."""
        lists, call = "tools" in template.variables(), ToolCall(_CALL.name, _CALL.arguments)
        turns: list[Turn] = [
            Message("user", "question"),
            CallingTurn(join_thinking("thought", "spoken"), (_CALL,)),
            ResultTurn("result", _CALL.id, _CALL.name),
        ]
        for as_text in (False, True):
            try:
                written = template.prompt_text(turns, tools=[_PROBE] if lists else (), arguments_as_text=as_text)
            except CheckpointError:
                continue
            for form in FORMS:
                read = call in calls_in(written, form) if form.opens else form.text_of([call]) in written
                at = written.rfind(form.before.replace(NAME, call.name))
                if read and at >= 0 and "result" in written:
                    text_first = 0 <= written.find("spoken") < at
                    keeps_thinking = "thought" in written and written.count(THINK_CLOSE) == 1
                    return cls(form, lists, True, as_text, text_first, keeps_thinking)
        return cls()

    def turns(self, turns: Sequence[Turn], functions: Sequence[Function]) -> list[Turn]:
        """The conversation as the template is given it; with `functions` where it lists them itself."""
        made: list[Turn] = []
        for turn in turns:
            if self.writes and isinstance(turn, CallingTurn):
                made += self._written(turn)
            elif self.writes or isinstance(turn, Message):
                made.append(turn)
            elif isinstance(turn, CallingTurn):
                said = f"{turn.content}\n" if turn.content else ""
                made.append(Message("assistant", said + self.form.text_of(turn.calls)))
            else:
                result, last = f"<tool_response>\n{turn.content}\n</tool_response>", made[-1] if made else None
                after_result = isinstance(last, Message) and last.role == "user" and last.content.endswith("</tool_response>")
                if isinstance(last, Message) and after_result:
                    made[-1] = Message("user", f"{last.content}\n{result}")
                else:
                    made.append(Message("user", result))
        if functions and not self.lists:
            text = self.system_text(functions)
            first = made[0] if made else None
            if isinstance(first, Message) and first.role == "system":
                made[0] = Message("system", f"{first.content}\n\n{text}")
            else:
                made.insert(0, Message("system", text))
        return made

    def _written(self, turn: CallingTurn) -> list[Turn]:
        """A turn with calls as the template can write it: without thinking that it would put in a wrong place, and what is
        said in a turn of its own where the template would put it behind the calls."""
        said = turn.content if self.keeps_thinking else split_thinking(turn.content).answer_region.strip()
        if self.text_first or not said:
            return [CallingTurn(said, turn.calls)]
        return [Message("assistant", said), CallingTurn("", turn.calls)]

    def system_text(self, functions: Sequence[Function]) -> str:
        listed = "\n".join(json.dumps(function.as_given(), ensure_ascii=False) for function in functions)
        example = self.form.text_of([ToolCall("<function-name>", "<args-json-object>")])
        return SYSTEM_TEXT.format(functions=listed, example=example)

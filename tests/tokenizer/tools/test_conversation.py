import json

import pytest

from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.tools.call_forms import DEEPSEEK_R1, DEEPSEEK_V31, HERMES, LLAMA3
from cogitate.tokenizer.tools.conversation import Calling
from cogitate.tokenizer.tools.turns import CallingTurn, Function, ResultTurn, ToolCall, Turn
from cogitate.types import Message

ADD = Function("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
TURNS: list[Turn] = [
    Message("user", "1+1?"),
    CallingTurn("I add.", (ToolCall("add", '{"a": 1}', "call_1"),)),
    ResultTurn("2", "call_1", "add"),
    ResultTurn("two", "call_1", "add"),
]

# What each family's template does with tools, in short.
QWEN = """{% if tools %}system: {% for tool in tools %}{{ tool | tojson }}{% endfor %}
{% endif %}{% for message in messages %}{{ message.role }}: {{ message.content or '' }}{% if message.tool_calls %}
{% for call in message.tool_calls %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}{% endif %}
{% endfor %}"""
R1 = """{% for message in messages %}{% if message['role'] == 'assistant' and message['tool_calls'] %}<｜tool▁calls▁begin｜>\
{% for tool in message['tool_calls'] %}{{ '<｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + \
tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments'] + '\\n' + '```' + \
'<｜tool▁call▁end｜>' }}{% endfor %}<｜tool▁calls▁end｜>{% endif %}{% if message['content'] is not none %}\
{{ '|' + message['role'] + '|' + message['content'].split('</think>')[-1] }}{% endif %}{% endfor %}"""
V31 = """{% for message in messages %}{% if message['tool_calls'] %}</think>{{ message['content'] or '' }}\
<｜tool▁calls▁begin｜>\
{% for tool in message['tool_calls'] %}{{ '<｜tool▁call▁begin｜>' + tool['function']['name'] + '<｜tool▁sep｜>' + \
tool['function']['arguments'] + '<｜tool▁call▁end｜>' }}{% endfor %}<｜tool▁calls▁end｜>\
{% else %}{{ message['content'] }}{% endif %}{% endfor %}"""
LLAMA = """{% for message in messages %}{% if message.tool_calls %}{% set call = message.tool_calls[0].function %}\
{{ '{"name": "' + call.name + '", "parameters": ' }}{{ call.arguments | tojson }}{{ '}' }}{% else %}\
{{ message.content }}{% endif %}{% endfor %}{{ tools }}"""
PLAIN = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}\n{% endfor %}"


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, "a template", {})


@pytest.mark.parametrize(
    ("source", "known"),
    [
        (QWEN, Calling(HERMES, lists=True, writes=True)),
        (R1, Calling(DEEPSEEK_R1, False, True, True, False, False)),
        (V31, Calling(DEEPSEEK_V31, False, True, True, True, False)),
        (LLAMA, Calling(LLAMA3, True, True, False, False, False)),
        (PLAIN, Calling(HERMES)),
        ("{{ raise_exception('no') }}", Calling(HERMES)),
    ],
)
def test_what_a_template_knows_of_calls_is_seen_in_what_it_writes(source: str, known: Calling) -> None:
    assert Calling.of(template(source)) == known


def test_a_template_that_knows_calls_is_given_the_turns_as_they_are() -> None:
    calling = Calling.of(template(QWEN))
    assert calling.turns(TURNS, [ADD]) == TURNS
    text = template(QWEN).prompt_text(TURNS, tools=[ADD])
    assert json.dumps(ADD.as_given()) in text
    assert 'I add.<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>tool: 2' in text


def test_another_template_is_given_a_text_of_the_system_and_calls_and_results_as_text() -> None:
    calling = Calling.of(template(PLAIN))
    system, asked, called, result = calling.turns(TURNS, [ADD])
    assert (asked.role, called.role, result.role) == ("user", "assistant", "user")
    assert called.content == 'I add.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    assert result.content == "<tool_response>\n2\n</tool_response>\n<tool_response>\ntwo\n</tool_response>"
    assert system.role == "system"
    assert json.dumps(ADD.as_given()) in system.content
    assert '<tool_call>\n{"name": "<function-name>", "arguments": <args-json-object>}\n</tool_call>' in system.content
    first, *_ = calling.turns([Message("system", "Be brief."), *TURNS], [ADD])
    assert first == Message("system", f"Be brief.\n\n{system.content}")


def test_a_template_that_writes_calls_but_lists_no_functions_is_told_its_own_form() -> None:
    system, *others = Calling.of(template(V31)).turns(TURNS, [ADD])
    assert "<｜tool▁call▁begin｜><function-name><｜tool▁sep｜><args-json-object><｜tool▁call▁end｜>" in system.content
    assert others == TURNS


def test_a_control_token_in_a_function_or_a_result_stays_text(micro_tokenizer: Tokenizer) -> None:
    token = next(iter(micro_tokenizer.control_ids))
    function = Function("f", token, {"type": "object", "properties": {token: {"type": "string"}}})
    turns: list[Turn] = [
        Message("user", "x"),
        CallingTurn("", (ToolCall("f", json.dumps({"a": token}), "1"),)),
        ResultTurn(token, "1", "f"),
    ]
    ids = template(QWEN).prompt_ids(turns, micro_tokenizer, tools=[function])
    assert micro_tokenizer.control_ids[token] not in ids
    assert micro_tokenizer.decode(ids).count(token) == 4


def test_a_template_that_would_misplace_text_or_thinking_is_not_given_it_there() -> None:
    turn = CallingTurn("<think>\nquietly\n</think>\n\nI add.", (ToolCall("add", "{}", "1"),))
    bare = CallingTurn("", turn.calls)
    assert Calling.of(template(QWEN)).turns([turn], []) == [turn]
    assert Calling.of(template(R1)).turns([turn], []) == [Message("assistant", "I add."), bare]
    assert Calling.of(template(V31)).turns([turn], []) == [CallingTurn("I add.", turn.calls)]
    silent = CallingTurn("<think>\nquietly\n</think>\n\n", turn.calls)
    assert Calling.of(template(R1)).turns([silent], []) == [bare]

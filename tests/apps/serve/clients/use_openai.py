"""usage: use_openai.py URL"""

import json
import sys

from openai import BadRequestError, NotFoundError, OpenAI

QUESTION = [{"role": "user", "content": "Say a number."}]
BUDGET = {"thinking_token_budget": 6}
client = OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none")

models = [model.id for model in client.models.list()]
whole = client.chat.completions.create(model="micro", messages=QUESTION, seed=1, max_tokens=30, extra_body=BUDGET)
message = whole.choices[0].message
thinking = answer = ""
usage = None
finish = []
for chunk in client.chat.completions.create(
    model="micro", messages=QUESTION, seed=1, max_tokens=30, extra_body=BUDGET, stream=True,
    stream_options={"include_usage": True},
):  # fmt: skip
    for choice in chunk.choices:
        thinking += getattr(choice.delta, "reasoning_content", None) or ""
        answer += choice.delta.content or ""
        finish.append(choice.finish_reason)
    usage = chunk.usage or usage
schema = {"type": "object", "properties": {"digit": {"enum": [1, 2, 3]}}, "required": ["digit"], "additionalProperties": False}
parsed = client.chat.completions.create(
    model="micro", messages=QUESTION, max_tokens=60, reasoning_effort="none",
    response_format={"type": "json_schema", "json_schema": {"name": "digit", "schema": schema, "strict": True}},
)  # fmt: skip
back = client.chat.completions.create(
    model="micro",
    messages=[*QUESTION, message.model_dump(exclude_none=True), {"role": "user", "content": "Another."}],
    max_tokens=5,
)
refused = []
for model, extra in (("micro", {"mirostat": 2}), ("other", {})):
    try:
        client.chat.completions.create(model=model, messages=QUESTION, extra_body=extra)
    except (BadRequestError, NotFoundError) as error:
        refused.append([error.status_code, error.param])
text = client.completions.create(model="micro", prompt="Say a number.", max_tokens=4, logprobs=1).choices[0]
response = client.responses.create(model="micro", input="Say a number.", max_output_tokens=20, reasoning={"effort": "none"})
events = [event.type for event in client.responses.create(model="micro", input="1", max_output_tokens=9, stream=True)]
function = {"name": "add", "parameters": schema, "strict": True}
tools = [{"type": "function", "function": function}]
must = {"tool_choice": "required", "parallel_tool_calls": False}
asked = {"model": "micro", "messages": QUESTION, "max_tokens": 300, "seed": 1, "extra_body": BUDGET, "tools": tools}
called = client.chat.completions.create(**asked, **must).choices[0]
(call,) = called.message.tool_calls
with client.chat.completions.stream(**asked, **must) as stream:
    for _ in stream:
        pass
    (streamed,) = stream.get_final_completion().choices[0].message.tool_calls
told = [*QUESTION, called.message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "3"}]
after = client.chat.completions.create(**{**asked, "messages": told}).choices[0]
new_tool = {"type": "function", **function}
new = client.responses.create(
    model="micro", input="1", max_output_tokens=300, tools=[new_tool], **must, reasoning={"effort": "none"}
)
assert text.logprobs is not None
assert usage is not None
print(
    json.dumps(
        {
            "models": models,
            "same": [message.reasoning_content, message.content] == [thinking, answer],
            "both_names": message.reasoning == message.reasoning_content,
            "reasoning_tokens": [
                whole.usage.completion_tokens_details.reasoning_tokens, usage.completion_tokens_details.reasoning_tokens,
            ],
            "finish": [value for value in finish if value],
            "parsed": sorted(json.loads(parsed.choices[0].message.content)),
            "back": back.choices[0].finish_reason is not None,
            "refused": refused,
            "response": bool(response.output_text),
            "events": [events[0], events[-1]],
            "logprobs": len(text.logprobs.tokens),
            "called": [called.finish_reason, call.function.name, sorted(json.loads(call.function.arguments))],
            "called_same": call.function.arguments == streamed.function.arguments,
            "after": after.finish_reason in ("stop", "length"),
            "new": [(item.type, item.name) for item in new.output],
        }
    )
)  # fmt: skip

"""usage: use_litellm.py URL"""

import json
import sys
from typing import Any

import litellm

asked: Any = {
    "model": "openai/micro", "api_base": f"{sys.argv[1]}/v1", "api_key": "none", "seed": 1, "max_tokens": 30,
    "messages": [{"role": "user", "content": "Say a number."}], "extra_body": {"thinking_token_budget": 6},
}  # fmt: skip
whole = litellm.completion(**asked)
message = whole.choices[0].message
thinking = answer = ""
for chunk in litellm.completion(**asked, stream=True):
    delta = chunk.choices[0].delta
    thinking += getattr(delta, "reasoning_content", None) or ""
    answer += delta.content or ""
parameters = {"type": "object", "properties": {"digit": {"enum": [1, 2]}}, "required": ["digit"]}
tools = [{"type": "function", "function": {"name": "add", "parameters": parameters}}]
called = litellm.completion(**{**asked, "max_tokens": 300}, tools=tools, tool_choice="required", parallel_tool_calls=False)
(call,) = called.choices[0].message.tool_calls
print(
    json.dumps(
        {
            "same": [message.reasoning_content, message.content] == [thinking, answer],
            "thinks": bool(thinking),
            "reasoning_tokens": whole.usage.completion_tokens_details.reasoning_tokens,
            "called": [call.function.name, sorted(json.loads(call.function.arguments))],
        }
    )
)

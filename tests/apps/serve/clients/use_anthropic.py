"""usage: use_anthropic.py URL"""

import json
import sys
from typing import Any

from anthropic import Anthropic, BadRequestError

client = Anthropic(base_url=sys.argv[1], api_key="none")
asked: Any = {
    "model": "micro", "max_tokens": 30, "messages": [{"role": "user", "content": "Say a number."}],
    "thinking": {"type": "enabled", "budget_tokens": 6}, "extra_body": {"temperature": 0},
}  # fmt: skip
whole = client.messages.create(**asked)
with client.messages.stream(**asked) as stream:
    events = [event.type for event in stream]
    streamed = stream.get_final_message()
counted = client.messages.count_tokens(model="micro", messages=asked["messages"], thinking=asked["thinking"])
back = client.messages.create(
    **{
        **asked,
        "messages": [*asked["messages"], {"role": "assistant", "content": whole.content}, {"role": "user", "content": "2"}],
    }
)
add: Any = {"name": "add", "input_schema": {"type": "object", "properties": {"digit": {"enum": [1, 2]}}, "required": ["digit"]}}
must: Any = {"tools": [add], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}, "max_tokens": 300}
called = client.messages.create(**{**asked, **must})
with client.messages.stream(**{**asked, **must}) as stream:
    called_streamed = stream.get_final_message()
use = called.content[-1]
result = {"type": "tool_result", "tool_use_id": use.id, "content": "3"}
told: Any = [*asked["messages"], {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
after = client.messages.create(**{**asked, "tools": [add], "messages": told})
try:
    client.messages.create(**{**asked, "extra_body": {"mcp_servers": []}})
    refused = ""
except BadRequestError as error:
    refused = str(error.body["error"]["message"])
print(
    json.dumps(
        {
            "blocks": [block.type for block in whole.content],
            "same": [block.model_dump() for block in whole.content] == [block.model_dump() for block in streamed.content],
            "events": sorted({event for event in events if event.startswith(("message_", "content_block_"))}),
            "counted": counted.input_tokens == whole.usage.input_tokens + whole.usage.cache_read_input_tokens,
            "back": [block.type for block in back.content],
            "refused": refused,
            "called": [called.stop_reason, use.name, use.input in ({"digit": 1}, {"digit": 2})],
            "called_same": [[block.type, getattr(block, "input", "")] for block in called.content]
            == [[block.type, getattr(block, "input", "")] for block in called_streamed.content],
            "after": after.stop_reason in ("end_turn", "max_tokens"),
        }
    )
)

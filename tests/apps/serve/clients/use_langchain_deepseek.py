"""usage: use_langchain_deepseek.py URL"""

import json
import sys

from langchain_deepseek import ChatDeepSeek

model = ChatDeepSeek(
    model="micro", api_base=f"{sys.argv[1]}/v1", api_key="none", max_tokens=30, temperature=0,
    extra_body={"thinking_token_budget": 6},
)  # fmt: skip
whole = model.invoke("Say a number.")
thinking = answer = ""
for chunk in model.stream("Say a number."):
    thinking += chunk.additional_kwargs.get("reasoning_content", "")
    answer += chunk.content


def now() -> str:
    """What time it is."""
    return "12:00"


called = model.bind_tools([now], tool_choice="now", max_tokens=300).invoke("Say a number.")
print(
    json.dumps(
        {
            "thinks": bool(whole.additional_kwargs["reasoning_content"]),
            "same": [whole.additional_kwargs["reasoning_content"], whole.content] == [thinking, answer],
            "called": [call["name"] for call in called.tool_calls],
            "reasoning_tokens": whole.usage_metadata["output_token_details"]["reasoning"],
        }
    )
)

"""usage: use_langchain_openai.py URL"""

import json
import sys
from typing import Literal

from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Digit(BaseModel):
    """A digit."""

    digit: Literal[1, 2]


def now() -> str:
    """What time it is."""
    return "12:00"


model = ChatOpenAI(
    model="micro", base_url=f"{sys.argv[1]}/v1", api_key="none", max_tokens=300, seed=1,
    extra_body={"thinking_token_budget": 6},
)  # fmt: skip
whole = model.invoke("Say a number.")
streamed = "".join(chunk.content for chunk in model.stream("Say a number."))
called = model.bind_tools([now], tool_choice="now").invoke("Say a number.")
digit = model.with_structured_output(Digit, method="json_schema").invoke("Say a number.")
by_call = model.with_structured_output(Digit, method="function_calling").invoke("Say a number.")
print(
    json.dumps(
        {
            "same": whole.content == streamed,
            "reasoning_tokens": whole.usage_metadata["output_token_details"]["reasoning"],
            "called": [call["name"] for call in called.tool_calls],
            "parsed": [digit.digit in (1, 2), by_call.digit in (1, 2)],
        }
    )
)

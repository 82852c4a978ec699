"""usage: use_instructor.py URL"""

import json
import sys
from typing import Any, Literal

import instructor
from openai import OpenAI
from pydantic import BaseModel


class Digit(BaseModel):
    """A digit."""

    digit: Literal[1, 2]


got = {}
for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none"), mode=mode)
    asked: Any = {
        "model": "micro", "messages": [{"role": "user", "content": "Say a number."}], "response_model": Digit, "seed": 1,
        "max_tokens": 300, "extra_body": {"thinking_token_budget": 6}, "max_retries": 0,
    }  # fmt: skip
    whole = client.chat.completions.create(**asked)
    *_, streamed = client.chat.completions.create_partial(**asked)
    got[mode.name] = [whole.digit in (1, 2), whole.digit == streamed.digit]
print(json.dumps(got))

"""usage: use_pydantic_ai.py URL"""

import asyncio
import json
import sys
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import TextPart, ThinkingPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class Digit(BaseModel):
    """A digit."""

    digit: Literal[1, 2]


model = OpenAIChatModel("micro", provider=OpenAIProvider(base_url=f"{sys.argv[1]}/v1", api_key="none"))
settings = {"max_tokens": 300, "seed": 1, "extra_body": {"thinking_token_budget": 6}}
agent = Agent(
    model, model_settings={**settings, "max_tokens": 40}
)  # a model of random weights soon writes tags, which it reads
whole = agent.run_sync("Say a number.")
parts = [part for message in whole.new_messages() for part in message.parts]
digit = Agent(model, output_type=Digit, model_settings={**settings, "parallel_tool_calls": False}).run_sync("Say a number.")


async def stream() -> tuple[str, str]:
    async with agent.run_stream("Say a number.") as result:
        text = await result.get_output()
        said = [part for message in result.new_messages() for part in message.parts]
        return next(part.content for part in said if isinstance(part, ThinkingPart)), text


thinking, text = asyncio.run(stream())
print(
    json.dumps(
        {
            "parts": sorted({type(part).__name__ for part in parts if isinstance(part, TextPart | ThinkingPart)}),
            "same": [next(part.content for part in parts if isinstance(part, ThinkingPart)), whole.output] == [thinking, text],
            "parsed": digit.output.digit in (1, 2),
        }
    )
)

"""A served model whose completions are written by the test: everything is real except what the engine draws."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.serve.api.chat import ChatForm, plan_chat
from cogitate.apps.serve.api.forms import RefusedError
from cogitate.apps.serve.drawing.engine_loop import Draw, Step
from cogitate.apps.serve.metrics import Metrics
from cogitate.apps.serve.model import Limits, Plan, ServedModel

LIMITS = Limits(streams=2, queue=2, cache_bytes=1 << 20, prefix_bytes=0, seconds=60)


class ScriptedLoop:
    """In place of the engine's thread: each draw gets the same steps.

    Attributes:
        draws: what was submitted; cancelled: ids.
    """

    alive = True

    def __init__(self, steps: Sequence[Step] = (), most_blocks: int = 1 << 20):
        self.steps, self.most_blocks = steps, most_blocks
        self.draws: list[Draw] = []
        self.cancelled: list[str] = []

    def submit(self, draw: Draw) -> None:
        self.draws.append(draw)
        loop = asyncio.get_running_loop()
        for step in self.steps:
            loop.call_soon(draw.deliver, step)

    def cancel(self, request_ids: Sequence[str]) -> None:
        self.cancelled += request_ids


def model_of(directory: Path, copy: Path, template: str | None = None) -> ServedModel:
    """A model of this directory, with another template where one is given.

    Args:
        copy: where the directory is copied to.
    """
    shutil.copytree(directory, copy)
    if template is not None:
        (copy / "chat_template.jinja").write_text(template)
    return script(ServedModel("micro", copy, LIMITS, Metrics()))


def script(model: ServedModel, steps: Sequence[Step] = (), most_blocks: int = 1 << 20) -> ServedModel:
    model._loop = ScriptedLoop(steps, most_blocks)  # type: ignore[assignment]  # it has what a served model uses
    return model


def tokens_of(model: ServedModel, text: str) -> list[int]:
    """Text as tokens whose bytes are its own, none of them across a place where the text was cut by "|"."""
    ids = [token for part in text.split("|") for token in model.tokenizer.encode(part)]
    assert b"".join(model.texts[token] for token in ids).decode() == text.replace("|", "")
    return ids


def steps_of(tokens: Sequence[int], ended: Any = "length", each: int = 1) -> list[Step]:
    """`each` tokens a step; the last one ends the completion."""
    parts = [list(tokens[at : at + each]) for at in range(0, len(tokens), each)] or [[]]
    return [Step(part, [], ended if number == len(parts) - 1 else None) for number, part in enumerate(parts)]


async def events_of(stream: AsyncIterator[bytes]) -> list[dict[str, Any]]:
    blocks = [event.decode() async for event in stream]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def read(model: ServedModel, plan: Plan, answer: Callable[[Any], Any]) -> tuple[Any, list[dict[str, Any]]]:
    """The whole answer and the events of a stream, over the same tokens."""

    async def both() -> tuple[Any, list[dict[str, Any]]]:
        return await answer(model.draw(plan)).whole(), await events_of(answer(model.draw(plan)).events())

    return asyncio.run(both())


def chat(**settings: Any) -> ChatForm:
    return ChatForm.model_validate({"model": "micro", "messages": [{"role": "user", "content": "1"}]} | settings)


def refusal(model: ServedModel, **settings: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        plan_chat(chat(**settings), model)
    return f"{caught.value.parameter}: {caught.value}"

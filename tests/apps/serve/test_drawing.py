"""A drawing ends with its client and at its time, whatever else happens at the same moment."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cogitate.apps.serve.api import respond
from cogitate.apps.serve.api.respond import PING, DrawnResponse
from cogitate.apps.serve.drawing.choice import Choice
from cogitate.apps.serve.drawing.drawing import Drawing, DrawingFailedError
from cogitate.apps.serve.drawing.engine_loop import Draw, Step
from cogitate.backend import GenerationRequest
from cogitate.types import SamplingParams
from tests.apps.serve.scripted import ScriptedLoop

TEXTS = [b"a", b"b"]
STEP = Step([1], [], None)


def drawing_of(loop: ScriptedLoop, seconds: float = 60.0, stops: tuple[str, ...] = ()) -> Drawing:
    request = GenerationRequest("1", (0,), SamplingParams(1.0, 1.0, 9), (0,))
    choice = Choice(TEXTS, (0,), tags=("<think>", "</think>"), split=True, opened=False, stops=stops)
    draws = [(choice, lambda deliver: Draw(request, deliver))]
    return Drawing(loop, draws, prompt_tokens=1, seconds=seconds)  # type: ignore[arg-type]  # it has what a drawing uses


@pytest.mark.parametrize("turns", range(5))
def test_a_cancellation_is_not_lost_beside_a_step(turns: int) -> None:
    async def run() -> tuple[bool, list[str]]:
        loop = ScriptedLoop()
        drawing = drawing_of(loop)
        task = asyncio.ensure_future(drawing.whole())
        await asyncio.sleep(0.01)
        loop.draws[0].deliver(STEP)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=60)
        return task.cancelled(), loop.cancelled

    assert asyncio.run(run()) == (True, ["1"])


def test_time_runs_out_also_while_news_come() -> None:
    async def run() -> None:
        loop = ScriptedLoop()
        drawing = drawing_of(loop, seconds=0.1)
        loop.draws[0].deliver(STEP)
        async for _ in drawing.updates():
            await asyncio.sleep(0.02)  # a client that reads slowly
            loop.draws[0].deliver(STEP)
            assert drawing.completion_tokens < 100

    with pytest.raises(DrawingFailedError, match=r"not complete after 0\.1 seconds"):
        asyncio.run(run())


def test_what_is_complete_is_delivered_even_late() -> None:
    async def run() -> str:
        loop = ScriptedLoop()
        drawing = drawing_of(loop, seconds=0.05)
        loop.draws[0].deliver(Step([1], [], "length"))
        await asyncio.sleep(0.06)
        (whole,) = await drawing.whole()
        return whole.answer

    assert asyncio.run(run()) == "b"


def test_a_client_that_does_not_read_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respond, "SENDING_SECONDS", 0.1)
    sent: list[Any] = []

    async def run() -> list[str]:
        loop = ScriptedLoop()
        drawing = drawing_of(loop, seconds=0.2)

        async def events() -> AsyncIterator[bytes]:
            async for _ in drawing.updates(pause=0.01):
                yield PING

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > 2:
                await asyncio.Event().wait()

        async def receive() -> Any:
            await asyncio.Event().wait()

        await asyncio.wait_for(DrawnResponse(drawing, events=events)({"type": "http"}, receive, send), 60)
        return loop.cancelled

    began = time.monotonic()
    assert asyncio.run(run()) == ["1"]
    assert time.monotonic() - began < 20  # the thirty seconds of a real server have not passed

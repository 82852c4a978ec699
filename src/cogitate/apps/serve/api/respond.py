"""Responses that end with their client: whole ones and streams of server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from cogitate.apps.serve.drawing.drawing import Drawing, DrawingFailedError
from cogitate.web.protect import error_body

SENDING_SECONDS = 30.0  # a client may take to read, beyond what its request may take

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

LINE_BREAKS = [(character.encode(), f"\\u{ord(character):04x}".encode()) for character in "\x85\u2028\u2029"]

Events = AsyncIterator[bytes]

log = logging.getLogger("cogitate.serve")


class _NotReadError(Exception):
    """The client does not read what it is sent."""


class DrawnResponse(Response):
    """Runs until it is sent or its client is gone; then the drawing ends, within a step of the engine. A client that does not
    read is cut off.

    Args:
        whole: makes the whole answer; or
        events: makes a stream's events. When the drawing fails in the middle, an error event is the last one.
    """

    def __init__(
        self,
        drawing: Drawing,
        *,
        whole: Callable[[], Awaitable[dict[str, Any]]] | None = None,
        events: Callable[[], Events] | None = None,
    ):
        self._drawing, self._whole, self._events = drawing, whole, events
        self.background = None
        self.status_code = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Message) -> None:
            try:
                async with asyncio.timeout(self._drawing.seconds_left + SENDING_SECONDS):
                    await send(message)
            except TimeoutError:
                raise _NotReadError from None

        work = asyncio.ensure_future(self._stream(bounded) if self._events is not None else self._answer(bounded))
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                try:
                    work.result()
                except _NotReadError:
                    log.warning("a client does not read what it is sent: its response is cut")
        finally:
            for task in (work, gone):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError, _NotReadError):
                    await task
            self._drawing.end()

    async def _answer(self, send: Send) -> None:
        assert self._whole is not None
        status = 200
        try:
            content = await self._whole()
        except DrawingFailedError as error:
            status, content = error.status, error_body(error.status, str(error))
        body = to_json(content)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, send: Send) -> None:
        assert self._events is not None
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        try:
            async for event in self._events():
                await send({"type": "http.response.body", "body": event, "more_body": True})
        except DrawingFailedError as error:
            await send({"type": "http.response.body", "body": event_of(error_body(error.status, str(error)), "error")})
            return
        await send({"type": "http.response.body", "body": b""})


async def until_gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def event_of(content: dict[str, Any], name: str | None = None) -> bytes:
    """A server-sent event. It holds no character at which a client that splits text into lines would cut it."""
    head = b"" if name is None else f"event: {name}\n".encode()
    data = to_json(content)
    for cut, written in LINE_BREAKS:
        data = data.replace(cut, written)
    return head + b"data: " + data + b"\n\n"


def to_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")

"""Asks a server for streamed completions, the same way whoever it is: HTTP/1.1 over a plain socket, a clock at each event."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_LINE = 1 << 20


@dataclass(slots=True)
class Answer:
    """A streamed completion as its client saw it.

    Attributes:
        status: of the response; 0 where there was none.
        first: seconds from the request to the first text.
        gaps: seconds between events with text.
        ends: moments of these events, by the monotonic clock.
        tokens: by the server's usage; None where it did not say.
        complete: the stream came to its end.
    """

    status: int = 0
    text: str = ""
    first: float | None = None
    gaps: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    tokens: int | None = None
    finish: str | None = None
    complete: bool = False


async def complete(port: int, body: Mapping[str, Any], *, path: str = "/v1/completions") -> Answer:
    """A stream, to its end. A connection that is lost leaves it incomplete."""
    answer, began = Answer(), time.monotonic()
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    try:
        async for event in events(port, path, asked, answer):
            if event.get("usage"):
                answer.tokens = event["usage"]["completion_tokens"]
            for choice in event.get("choices") or ():
                answer.finish = choice.get("finish_reason") or answer.finish
                if text := text_of(choice):
                    now = time.monotonic()
                    if answer.first is None:
                        answer.first = now - began
                    else:
                        answer.gaps.append(now - answer.ends[-1])
                    answer.ends.append(now)
                    answer.text += text
    except (OSError, EOFError):
        pass
    return answer


def text_of(choice: Mapping[str, Any]) -> str:
    delta = choice.get("delta") or {}
    thinking = delta.get("reasoning_content") or delta.get("reasoning")
    return str(choice.get("text") or thinking or "") + str(delta.get("content") or "")


async def events(port: int, path: str, body: Mapping[str, Any], answer: Answer) -> AsyncIterator[dict[str, Any]]:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LONGEST_LINE)
    try:
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        answer.status = int((await reader.readline()).split()[1])
        chunked = False
        while (line := (await reader.readline()).strip().lower()) != b"":
            chunked |= line == b"transfer-encoding: chunked"
        async for line in lines(reader, chunked=chunked):
            if line == b"data: [DONE]":
                answer.complete = True
            elif line.startswith(b"data: "):
                yield json.loads(line[6:])
    finally:
        writer.close()


async def lines(reader: asyncio.StreamReader, *, chunked: bool) -> AsyncIterator[bytes]:
    if not chunked:
        while line := await reader.readline():
            yield line.strip()
        return
    held = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        held += (await reader.readexactly(size + 2))[:-2]
        *whole, held = held.split(b"\n")
        for line in whole:
            yield line.strip()


async def get(port: int, path: str) -> int:
    """The status; 0 where nobody answers."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])
    except (OSError, IndexError, ValueError):
        return 0

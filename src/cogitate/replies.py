"""What a model has said: as a server's chat completion has it, and as a cache keeps it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cogitate.errors import ArtifactError, EndpointError
from cogitate.types import FinishReason

ANSWER_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model has said.

    Attributes:
        thinking: what the server hands over apart (`reasoning_content`).
        input_tokens, output_tokens: as the server counts them; 0 where it does not say.
    """

    text: str
    finish_reason: FinishReason
    thinking: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class PassingError(EndpointError):
    """A fault that may be gone at the next attempt.

    Attributes:
        wait: seconds after which the server wants to be asked again (`Retry-After`); 0 where it does not say.
    """

    def __init__(self, message: str, wait: float = 0.0):
        super().__init__(message)
        self.wait = wait


def wanted_wait(retry_after: str | None, most: float) -> float:
    """The seconds that a header `Retry-After` names, at most `most`; 0 for a date or nonsense."""
    return min(float(retry_after), most) if retry_after and retry_after.isascii() and retry_after.isdecimal() else 0.0


def read_until(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body of a response. A server may keep the line alive by blanks: each of them comes in time, and all of them do not.

    Raises:
        TimeoutError: it has not ended at the deadline, or nothing comes any more.
    """
    parts: list[bytes] = []
    size = 0
    while size < ANSWER_BYTES and (part := response.read1(1 << 16)):
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(parts)


def read_answer(answer: Any) -> Reply:
    """The text of a chat completion. One that was cut while it thought may have none: a server that hands thinking over apart
    says null.

    Raises:
        PassingError: there is none.
        EndpointError: the server says that its model refuses; it would again.
    """
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, thinking, refusal = message["content"], message.get("reasoning_content"), message.get("refusal")
        reason: FinishReason = "length" if choice.get("finish_reason") == "length" else "stop"
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise PassingError(f"answered no choices[0].message.content: {json.dumps(answer)[:200]}") from error
    if content is None and (refusal or choice.get("finish_reason") == "content_filter"):
        raise EndpointError(f"refuses to answer: {json.dumps(refusal)[:200]}")
    if content is None and reason == "length":
        content = ""
    if not isinstance(content, str):
        raise PassingError(f"answered a content that is no text: {json.dumps(content)[:200]}")
    usage = answer.get("usage")
    counted = [usage.get(key) if isinstance(usage, dict) else None for key in ("prompt_tokens", "completion_tokens")]
    tokens = [count if isinstance(count, int) and count > 0 else 0 for count in counted]
    return Reply(content, reason, thinking.strip() if isinstance(thinking, str) else "", *tokens)


def kept_reply(kept: Mapping[str, Any], cache: str) -> Reply:
    """A reply as a cache holds it. Raises ArtifactError where somebody has written something else there."""
    try:
        reply = Reply(**kept)
    except TypeError as error:
        raise ArtifactError(
            f"{cache}: an answer in it is none of this version: {error}; delete it to have it asked again"
        ) from error
    counted = isinstance(reply.input_tokens, int) and isinstance(reply.output_tokens, int)
    if not (isinstance(reply.text, str) and isinstance(reply.thinking, str) and counted):
        raise ArtifactError(f"{cache}: an answer in it is no reply: {json.dumps(kept)[:200]}; delete it to have it asked again")
    return reply

"""The rules around an application: what they refuse never reaches it, and every response gets the security headers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cogitate.web.rules import SECURITY_HEADERS, WITH_BODY, Refusal, Rules, key_of, refusal_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    408: "timeout_error", 413: "request_too_large", 415: "invalid_request_error", 421: "invalid_request_error",
    429: "rate_limit_error", 503: "overloaded_error",
}  # fmt: skip
CORS_METHODS, CORS_HEADERS = b"GET, POST", b"authorization, *"  # clients' libraries send headers of their own

log = logging.getLogger("cogitate.web")


def protect(app: Application, rules: Rules) -> Application:
    """An application behind rules.

    It sees only requests that these let through, with their whole body, and finds the name of the key in `key_name(scope)`. An
    exception that it raises is logged and answered with 500 and no details; a response that has begun is cut instead.
    """

    async def protected(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in scope["headers"]:
            headers[name.decode("latin-1").lower()].append(value.decode("latin-1"))
        response = _Response(send, headers, rules)
        refusal = _preflight_or_refusal(scope, headers, rules)
        body = b""
        if refusal is None and scope["method"] in WITH_BODY:
            try:
                body = await asyncio.wait_for(_read(receive, rules.max_body_bytes), rules.body_seconds)
            except TimeoutError:
                refusal = Refusal(408, f"the body did not arrive within {rules.body_seconds:.0f} seconds")
            except _TooLargeError:
                refusal = Refusal(413, f"the body is longer than {rules.max_body_bytes} bytes")
            except ConnectionError:
                return
        if refusal is not None:
            await _answer(response.send, refusal)
            return
        scope.setdefault("state", {})["key_name"] = key_of(headers, rules)
        try:
            await app(scope, _replayed(body, receive), response.send)
        except Exception:  # whatever it is, a client gets no trace of it and the server goes on
            log.exception("%s %s failed", scope["method"], scope["path"])
            if response.begun:
                raise  # the connection is closed, so that nobody takes the response for a whole one
            await _answer(response.send, Refusal(500, "the server failed; its log says how"))

    return protected


def key_name(scope: Scope) -> str | None:
    """Whose key a request carries; None for none of ours."""
    name: str | None = scope["state"]["key_name"]
    return name


def error_body(status: int, message: str, *, parameter: str | None = None, code: str | None = None) -> dict[str, Any]:
    """A refusal in the form of OpenAI's and of Anthropic's API at once."""
    kind = KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message, "param": parameter, "code": code}}


class _TooLargeError(Exception):
    pass


class _Response:
    """Adds headers to what an application sends.

    Attributes:
        begun: the response's status has been sent.
    """

    def __init__(self, send: Send, headers: defaultdict[str, list[str]], rules: Rules):
        self._send, self.begun = send, False
        origin = next(iter(headers.get("origin", [])), "")
        self._added = dict(SECURITY_HEADERS)
        if origin in rules.origins:
            self._added |= {
                "access-control-allow-origin": origin, "vary": "origin", "cross-origin-resource-policy": "cross-origin",
            }  # fmt: skip

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            own = list(message.get("headers", []))
            names = {name.lower() for name, _ in own}
            added = [(name.encode(), value.encode()) for name, value in self._added.items() if name.encode() not in names]
            message = {**message, "headers": [*own, *added]}
        await self._send(message)


def _preflight_or_refusal(scope: Scope, headers: defaultdict[str, list[str]], rules: Rules) -> Refusal | None:
    """A browser's question whether a named page may ask is answered with 204."""
    refusal = refusal_of(scope["method"], scope["path"], headers, rules)
    asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
    return Refusal(204, "") if refusal is None and asks else refusal


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        part: bytes = message.get("body", b"")
        size, more = size + len(part), message.get("more_body", False)
        if size > limit:
            raise _TooLargeError
        parts.append(part)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _answer(send: Send, refusal: Refusal) -> None:
    content = b"" if refusal.status == 204 else json.dumps(error_body(refusal.status, refusal.message)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if refusal.status == 204:
        headers = [(b"access-control-allow-methods", CORS_METHODS), (b"access-control-allow-headers", CORS_HEADERS)]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

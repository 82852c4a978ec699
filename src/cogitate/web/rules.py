"""Whom a page or an API of ours answers, and what it accepts: decisions on headers alone, without a server.

A browser lets any page on the web send requests to this machine. So the name in Host is checked (DNS rebinding: a foreign name
that resolves to this machine), requests of foreign pages are refused, and a body must say that it is JSON, which a foreign page
cannot do without being asked for permission first.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cogitate.errors import ConfigError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SHORTEST_KEY = 16  # characters, where other machines can ask
WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SAFE = frozenset({"GET", "HEAD"})

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of each response that does not set them itself."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is answered.

    Attributes:
        host: the address that the server listens on.
        names: further names that this server is reached by, beside those of this machine and, where other machines can reach
            it, any address in numbers.
        origins: pages of other origins ("https://chat.example.org") that may ask; their own origin always may.
        keys: who may ask: name -> key. The name stands in the request's state (`key_name`).
        key_required: whether a request without one of these keys is refused.
        open_paths: what needs no key, for reading: exact paths, and those that begin with one that ends in "/".
        max_body_bytes, body_seconds: of a request's body.
    """

    host: str = "127.0.0.1"
    names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_required: bool = False
    open_paths: tuple[str, ...] = ()
    max_body_bytes: int = 4 << 20
    body_seconds: float = 30.0

    def __post_init__(self) -> None:
        """
        Raises:
            ConfigError: other machines could ask without a key, or a key, a name or an origin cannot be used.
        """
        for name, key in self.keys.items():
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise ConfigError(f"the key of {name!r} must be printable ASCII without spaces")
            if not is_loopback(self.host) and len(key) < SHORTEST_KEY:
                raise ConfigError(
                    f"the key of {name!r} has {len(key)} characters: at least {SHORTEST_KEY} where others can ask"
                )
        if not is_loopback(self.host) and not self.key_required:
            raise ConfigError(f"host {self.host}: other machines could ask without a key; give a key, or listen on 127.0.0.1")
        for origin in self.origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
                raise ConfigError(f"origin {origin!r}: must be like https://chat.example.org")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        message: one sentence for whoever asks; no path and no key of ours.
    """

    status: int
    message: str


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refusal_of(method: str, path: str, headers: Mapping[str, list[str]], rules: Rules) -> Refusal | None:
    """Why a request is refused before its body is read; None where it is not.

    Args:
        headers: by lower-case name.
    """
    hosts = headers.get("host", [])
    if len(hosts) != 1 or not host_allowed(hosts[0], rules):
        return Refusal(421, "the name in Host is none of this server's")
    is_navigation = method in SAFE and headers.get("sec-fetch-mode") == ["navigate"] and is_open(path, rules)
    if not origin_allowed(headers, hosts[0], rules) and not is_navigation:
        return Refusal(403, "pages of other origins may not ask this server")
    if method in WITH_BODY:
        kind, _, parameter = ",".join(headers.get("content-type", [])).partition(";")
        if kind.strip().lower() != "application/json" or parameter.strip().lower().strip('"') not in ("", "charset=utf-8"):
            return Refusal(415, "the body must be JSON: send Content-Type: application/json")
        if headers.get("content-encoding", ["identity"]) != ["identity"]:
            return Refusal(415, "the body must not be compressed")
        length = headers.get("content-length", ["0"])[0]
        if length.isdecimal() and int(length) > rules.max_body_bytes:
            return Refusal(413, f"the body is longer than {rules.max_body_bytes} bytes")
    needs_key = rules.key_required and method != "OPTIONS" and not (method in SAFE and is_open(path, rules))
    if needs_key and key_of(headers, rules) is None:
        return Refusal(401, "this needs a key: send Authorization: Bearer KEY")
    return None


def host_allowed(header: str, rules: Rules) -> bool:
    """Whether a Host header names this server."""
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return False
    if name is None or "@" in header or "/" in header:
        return False
    if name in LOOPBACK_NAMES or name in {known.lower() for known in rules.names} or name == rules.host.strip("[]").lower():
        return True
    return not is_loopback(rules.host) and is_address(name)  # no name, so nobody can rebind it


def origin_allowed(headers: Mapping[str, list[str]], host: str, rules: Rules) -> bool:
    """Whether a request comes from no page, from one of this server's, or from one that is named."""
    origins = headers.get("origin")
    if origins is not None:
        return len(origins) == 1 and (origins[0] in rules.origins or origins[0].lower() in own_origins(host))
    return headers.get("sec-fetch-site", ["none"]) in (["none"], ["same-origin"])


def own_origins(host: str) -> tuple[str, str]:
    """The origins of this server's pages, by the Host header of a request (https: behind a proxy)."""
    return f"http://{host.lower()}", f"https://{host.lower()}"


def is_open(path: str, rules: Rules) -> bool:
    return any(path == each or (each.endswith("/") and each != "/" and path.startswith(each)) for each in rules.open_paths)


def key_of(headers: Mapping[str, list[str]], rules: Rules) -> str | None:
    """The name of the key that a request carries, as a bearer token or as x-api-key; None for none of ours."""
    given = list(headers.get("x-api-key", []))
    for value in headers.get("authorization", []):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            given.append(token.strip())
    found = None
    for name, key in rules.keys.items():  # all are compared, whichever is right: the time tells nothing
        for each in given:
            if hmac.compare_digest(each.encode(), key.encode()):
                found = name
    return found


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""An application on a socket: bound before anything slow begins, served by uvicorn, stopped by SIGINT or SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from cogitate.errors import ConfigError
from cogitate.web.protect import Application

if TYPE_CHECKING:
    from uvicorn import Server

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """A socket on an address; port 0 takes a free one.

    Raises:
        ConfigError: the address is not this machine's, or the port is taken.
    """
    bound = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(2048)  # whoever asks before the server runs waits for it
    except (OSError, OverflowError) as error:
        if bound is not None:
            bound.close()
        raise ConfigError(f"cannot listen on {host}, port {port}: {error}; name another port, or 0 for a free one") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """The URL of a bound socket, as a browser on this machine reaches it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: Application, *, stop_seconds: float) -> Server:
    """uvicorn around an application, for `serve_app`, or for a thread of a test.

    Raises:
        ConfigError: uvicorn is not installed.
    """
    try:
        from uvicorn import Config, Server
    except ImportError as error:
        raise ConfigError("pages and APIs need the extra `serve`: pip install 'cogitate[serve]'") from error
    config = Config(
        app,
        log_config=None, access_log=False, server_header=False, proxy_headers=False, ws="none", lifespan="on",
        timeout_keep_alive=30, timeout_graceful_shutdown=max(1, round(stop_seconds)),
    )  # fmt: skip
    return Server(config)


def serve_app(
    app: Application, bound: socket.socket, *, stop_seconds: float = 30.0, on_stop: Callable[[], None] = lambda: None
) -> None:
    """Answer until SIGINT or SIGTERM; then accept nothing more, finish what has begun within `stop_seconds`, and return. A
    second signal does not wait.

    Args:
        on_stop: called at the first signal.
    """
    server = make_server(app, stop_seconds=stop_seconds)

    def stop(number: int, frame: FrameType | None) -> None:
        if server.should_exit:
            server.force_exit = True
        else:
            server.should_exit = True
            on_stop()

    with handling(stop):
        _run(server, bound)


@contextlib.contextmanager
def handling(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """`stop` is called by the signals that end a program; only the main thread gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(server: Server, bound: socket.socket) -> None:
    """Without uvicorn's own handlers, which would raise the signal again when all is done."""
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    server.run(sockets=[bound])

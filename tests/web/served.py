"""An application on a real socket of this machine, in a thread, and requests whose every header is the test's own."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from cogitate.web.protect import Application
from cogitate.web.serving import address_of, listen, make_server


@contextmanager
def served(app: Application) -> Iterator[str]:
    """The URL under which it answers."""
    bound = listen("127.0.0.1", 0)
    server = make_server(app, stop_seconds=2)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    url = address_of(bound)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield url
    finally:
        server.should_exit = True
        thread.join(20)


def ask(
    url: str, path: str, body: Any = None, *, method: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], str]:
    """Status, headers by lower-case name, and text of a response. `body`: bytes as they are, anything else as JSON."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    sent = {"Host": place.netloc, **({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, content, sent)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
    finally:
        connection.close()

"""The command itself, as a process that is ended in the middle of its work."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.apps.serve.conftest import wait_until
from tests.web.served import ask

BODY: dict[str, Any] = {"model": "long", "messages": [{"role": "user", "content": "Say a number."}], "ignore_eos": True}


@contextmanager
def running(model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL, once it is ready."""
    command = [sys.executable, "-m", "cogitate", "serve", str(model), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split()[0]
            wait_until(lambda: ask(url, "/health")[0] == 200, seconds=60)
            yield process, url
        finally:
            process.kill()


def begin(url: str, **settings: Any) -> socket.socket:
    """A stream whose first event has come."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps(BODY | {"stream": True} | settings).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    stream = socket.create_connection((host, int(port)), timeout=60)
    stream.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    received = b""
    while b"data: " not in received:
        received += stream.recv(1000)
    return stream


def rest(stream: socket.socket) -> str:
    """All that still comes, whether it is cut or not."""
    received = b""
    with stream, contextlib.suppress(ConnectionError):
        while part := stream.recv(65536):
            received += part
    return received.decode(errors="replace")


@pytest.mark.slow
def test_a_server_that_is_stopped_finishes_what_it_can_and_cuts_the_rest_at_its_deadline(long_model: Path) -> None:
    with running(long_model, "--stop-seconds", "2") as (process, url):
        short, endless = begin(url, max_tokens=20), begin(url, max_tokens=19_000)
        process.send_signal(signal.SIGTERM)
        whole, cut = rest(short), rest(endless)
        assert "data: [DONE]" in whole
        assert '"finish_reason":"length"' in whole
        assert "[DONE]" not in cut
        assert '"finish_reason":"' not in cut
        assert process.wait(30) == 0


@pytest.mark.slow
def test_a_server_that_is_killed_cuts_its_streams_and_answers_the_same_when_it_runs_again(long_model: Path) -> None:
    def seeded(url: str) -> Any:
        return json.loads(ask(url, "/v1/chat/completions", BODY | {"seed": 5, "max_tokens": 50})[2])["choices"]

    with running(long_model) as (process, url):
        before = seeded(url)
        streams = [begin(url, max_tokens=19_000) for _ in range(8)]
        process.kill()
        for cut in map(rest, streams):
            assert "[DONE]" not in cut
            assert '"finish_reason":"' not in cut
    with running(long_model) as (_, url):
        assert seeded(url) == before

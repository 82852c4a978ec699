import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.errors import ConfigError
from cogitate.web.serving import address_of, listen
from tests.web.served import ask

PROGRAM = """
import asyncio
from tests.web.test_protect import echo
from cogitate.web.protect import protect
from cogitate.web.rules import Rules
from cogitate.web.serving import address_of, listen, serve_app
bound = listen("127.0.0.1", 0)
print(address_of(bound), flush=True)
serve_app(protect(echo, Rules()), bound, stop_seconds=5, on_stop=lambda: print("stopping", flush=True))
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_server_and_the_program_goes_on_to_its_end(number: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert ask(url, "/")[0] == 200
            process.send_signal(number)
            assert process.stdout.read() == "stopping\nstopped\n"
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_a_port_that_is_taken_is_refused() -> None:
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1, port {port}: .*; name another port"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1, port 8000"):
        listen("192.0.2.1", 8000)


def test_the_url_of_a_socket_is_one_that_a_browser_can_open() -> None:
    with listen("0.0.0.0", 0) as bound:
        assert address_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"

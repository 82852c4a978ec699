"""What fails inside is said, and what can go on goes on."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.serve import app
from cogitate.apps.serve.app import Served, make_app, reloading_by_signal
from cogitate.apps.serve.command import OPEN_PATHS
from cogitate.apps.serve.metrics import Metrics
from cogitate.web.protect import protect
from cogitate.web.rules import Rules
from tests.apps.serve.conftest import Client, in_threads, start, wait_until
from tests.web.served import ask, served

BODY = {"model": "micro", "messages": [{"role": "user", "content": "Say a number."}], "max_tokens": 20}
ADMIN = {"Authorization": "Bearer a-key-for-the-admin"}


@pytest.fixture
def own(thinking_model: Path) -> Iterator[Client]:
    """A server that a test may break."""
    rules = Rules(keys={"admin": "a-key-for-the-admin"}, open_paths=OPEN_PATHS)
    work, running = start({"micro": thinking_model}, rules=rules)
    with running as url:
        wait_until(lambda: work.models is not None)
        yield Client(url, work)


def fails(*_: Any, **__: Any) -> None:
    raise RuntimeError("out of memory: /secret")


def test_weights_that_fail_to_load_are_refused_and_the_version_stays(own: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own.chat()
    for error in (RuntimeError("/secret"), OSError("/secret"), MemoryError()):

        def raises(*_: Any, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(own.model.engine, "load_weights", raises)
        status, _, text = ask(own.url, "/admin/reload", {"model": "micro"}, headers=ADMIN)
        assert (status, "/secret" in text) == (400, False)
    monkeypatch.undo()
    after = own.chat()
    assert (after["choices"], after["system_fingerprint"]) == (before["choices"], before["system_fingerprint"])
    assert ask(own.url, "/admin/reload", {"model": "micro"}, headers=ADMIN)[2] == '{"model":"micro","version":1}'
    assert own.chat()["system_fingerprint"] != before["system_fingerprint"]


def test_completions_that_cannot_be_stopped_end_no_server(own: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own.chat()["choices"]
    monkeypatch.setattr(own.model.engine, "abort", fails)
    own.begin_stream(max_tokens=90, ignore_eos=True).close()
    wait_until(lambda: own.model.loop.load.running == 0)
    for _ in range(6):  # what could not be stopped comes to its end beside these
        assert own.chat()["choices"] == before
    assert own.model.engine.pending() == 0


def test_requests_that_the_engine_cannot_take_are_answered(own: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own.chat()["choices"]
    for name in ("submit", "fresh"):
        with monkeypatch.context() as patch:
            patch.setattr(own.model.engine, name, fails)
            status, answer = own.post("/v1/chat/completions", BODY)
            assert (status, answer["error"]["message"]) == (500, "the engine failed; the server's log says how")
        assert own.chat()["choices"] == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_that_has_ended_is_no_healthy_one(own: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(own.model.engine, "poll", ends)
    assert own.post("/v1/chat/completions", BODY)[0] == 500
    wait_until(lambda: not own.model.loop.alive)
    assert ask(own.url, "/health")[::2] == (503, '{"status":"failed"}')
    status, answer = own.post("/v1/chat/completions", BODY)
    assert (status, answer["error"]["message"]) == (503, "the engine of 'micro' has ended: the server has to be started anew")


def test_models_that_cannot_be_read_are_said(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> Any:
        raise RuntimeError("out of memory")

    said: list[str] = []
    work = Served(load, Metrics())
    with served(protect(make_app(work, on_failure=lambda: said.append("failed")), Rules(open_paths=OPEN_PATHS))) as url:
        wait_until(lambda: bool(said))
        assert ask(url, "/health")[::2] == (503, '{"status":"failed"}')
    assert str(work.failure) == "out of memory"
    assert "the models cannot be read" in caplog.text


def test_a_prompt_that_waits_for_others_is_no_prompt_that_takes_long(own: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answered = threading.Event(), threading.Event()

    def slow(*_: Any) -> Any:
        begun.set()
        answered.wait(60)
        raise AssertionError

    monkeypatch.setattr(app, "READING_SECONDS", 0.4)
    monkeypatch.setattr(app, "plan_chat", slow)

    def later() -> tuple[int, Any]:
        assert begun.wait(60)
        try:
            return own.post("/tokenize", {"model": "micro", "prompt": "a"})
        finally:
            answered.set()

    (first, refused), (second, waiting) = in_threads([lambda: own.post("/v1/chat/completions", BODY), later])
    assert (first, refused["error"]["message"]) == (400, "the prompt took more than 0.4 seconds to be made")
    assert (second, waiting["error"]["message"]) == (503, "other requests' prompts take too long to be made; ask again later")


def test_a_server_that_ignored_the_end_of_its_terminal_does_so_again_when_it_has_ended() -> None:
    async def serve() -> None:
        with reloading_by_signal(Served(dict, Metrics())):
            assert signal.getsignal(signal.SIGHUP) != signal.SIG_IGN

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(serve())
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

"""A server around a model of random weights, on a real socket of this machine."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch

from cogitate.apps.serve.app import Served, make_app
from cogitate.apps.serve.command import OPEN_PATHS
from cogitate.apps.serve.metrics import Metrics
from cogitate.apps.serve.model import Limits, ServedModel
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.web.protect import protect
from cogitate.web.rules import Rules
from tests.conftest import micro_config
from tests.web.served import ask, served

# Its prompt opens the thinking, as the templates of reasoning models do.
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% if enable_thinking is not defined or enable_thinking %} <think>\n"
    "{% else %} <think>\n\n</think>\n{% endif %}{% endif %}"
)
LIMITS = Limits(streams=16, queue=8, cache_bytes=64 << 20, prefix_bytes=1 << 20, seconds=60)


@dataclass
class Client:
    """Asks a server.

    Attributes:
        model: what it works with, to look inside.
    """

    url: str
    served: Served

    @property
    def model(self) -> ServedModel:
        assert self.served.models is not None
        return next(iter(self.served.models.values()))

    def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        status, _, text = ask(self.url, path, dict(body))
        return status, json.loads(text)

    def chat(self, question: str = "Say a number.", **settings: Any) -> dict[str, Any]:
        """A whole answer; max_tokens is 20 where nothing is said."""
        body = {"model": "micro", "messages": [{"role": "user", "content": question}], "max_tokens": 20, "seed": 1}
        status, answer = self.post("/v1/chat/completions", body | settings)
        assert status == 200, answer
        return answer

    def refused(self, path: str = "/v1/chat/completions", **settings: Any) -> str:
        body = {"model": "micro", "messages": [{"role": "user", "content": "Say a number."}], "max_tokens": 20}
        status, answer = self.post(path, body | settings)
        assert 400 <= status < 500, answer
        message: str = answer["error"]["message"]
        return f"{status} {message}"

    def events(self, path: str, body: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """(event's name, its content) of a stream; the content of [DONE] is this text."""
        status, headers, text = ask(self.url, path, dict(body) | {"stream": True})
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8"), text
        events = []
        for block in text.split("\n\n"):
            fields = [line.partition(": ")[::2] for line in block.splitlines() if not line.startswith(":")]
            name = next((value for key, value in fields if key == "event"), "")
            events += [(name, value if value == "[DONE]" else json.loads(value)) for key, value in fields if key == "data"]
        return events

    def stream(self, question: str = "Say a number.", **settings: Any) -> list[Any]:
        body = {"model": "micro", "messages": [{"role": "user", "content": question}], "max_tokens": 20, "seed": 1}
        return [content for _, content in self.events("/v1/chat/completions", body | settings)]

    def begin_stream(self, **settings: Any) -> HTTPConnection:
        """A stream whose first bytes have come."""
        place = urlsplit(self.url)
        body = {"model": "micro", "messages": [{"role": "user", "content": "Say a number."}], "stream": True}
        connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
        connection.request("POST", "/v1/chat/completions", json.dumps(body | settings), {"Content-Type": "application/json"})
        connection.response = connection.getresponse()  # type: ignore[attr-defined]
        connection.response.read(1)  # type: ignore[attr-defined]
        return connection


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="session")
def thinking_model(
    micro_tokenizer: Tokenizer, make_micro_model: Callable[..., Transformer], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A directory: random weights, and a template that opens the thinking."""
    directory = tmp_path_factory.mktemp("serve") / "micro"
    save_model(make_micro_model(), directory)
    micro_tokenizer.save(directory)
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    return directory


@pytest.fixture(scope="session")
def long_model(micro_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a long context."""
    directory = tmp_path_factory.mktemp("long") / "long"
    torch.manual_seed(0)
    config = micro_config(micro_tokenizer.vocab_size).model_copy(update={"max_position_embeddings": 20_000})
    save_model(Transformer(config), directory)
    micro_tokenizer.save(directory)
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    return directory


def start(directories: Mapping[str, Path], limits: Limits = LIMITS, rules: Rules | None = None) -> Any:
    metrics = Metrics()
    work = Served(lambda: {name: ServedModel(name, path, limits, metrics) for name, path in directories.items()}, metrics)
    return work, served(protect(make_app(work), rules or Rules(open_paths=OPEN_PATHS)))


@pytest.fixture(scope="package")
def client(thinking_model: Path) -> Iterator[Client]:
    work, running = start({"micro": thinking_model})
    with running as url:
        wait_until(lambda: work.models is not None)
        yield Client(url, work)


@pytest.fixture(scope="package")
def long_client(long_model: Path) -> Iterator[Client]:
    work, running = start({"micro": long_model}, dataclasses.replace(LIMITS, streams=64))
    with running as url:
        wait_until(lambda: work.models is not None)
        yield Client(url, work)


def in_threads(works: list[Callable[[], Any]]) -> list[Any]:
    """What each returns, all at the same time."""
    results: list[Any] = [None] * len(works)

    def run(index: int) -> None:
        results[index] = works[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results

"""The client of any OpenAI-compatible server (chat completions): teachers, judges and authors of tests are asked through it.

A question that has been answered is not put again where a cache is named: answers are kept by the content of the question.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from cogitate.answers import Answers
from cogitate.config import EndpointConfig
from cogitate.errors import ConfigError, EndpointError
from cogitate.replies import PassingError, Reply, kept_reply, read_answer, read_until, wanted_wait
from cogitate.types import Message, SamplingParams

A = TypeVar("A")

FIRST_WAIT = 1.0  # seconds; doubled after every failed attempt
WORTH_RETRYING = (408, 409, 425, 429, 500, 502, 503, 504)
CACHE_FILE = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked, and how its answer is drawn.

    Attributes:
        begins: what a model of ours has to begin its answer with, which then is that one line; servers cannot be asked so.
    """

    messages: tuple[Message, ...]
    params: SamplingParams
    seed: int = 0
    begins: str = ""


@dataclass(slots=True)
class Usage:
    """What asking has cost. A reply counts with its tokens also where it came from the cache, which cost nothing now.

    Attributes:
        replies: of them `from_cache` were not asked for again.
        requests: sent, those after a failed attempt included.
    """

    replies: int = 0
    from_cache: int = 0
    requests: int = 0
    failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def count(self, replies: Iterable[Reply | EndpointError]) -> None:
        """Add replies to different questions, and failures."""
        for reply in replies:
            if isinstance(reply, Reply):
                self.replies += 1
                self.input_tokens += reply.input_tokens
                self.output_tokens += reply.output_tokens
            else:
                self.failures += 1

    def since(self, before: Usage) -> Usage:
        """What has been added to `before`."""
        return Usage(**{name: count - getattr(before, name) for name, count in asdict(self).items()})

    def cost(self, settings: EndpointConfig) -> float:
        """In the currency of the prices."""
        return (self.input_tokens * settings.input_price + self.output_tokens * settings.output_price) / 1e6

    def spent(self, settings: EndpointConfig) -> dict[str, float]:
        """For a summary, which repeats: how many replies came from a cache in this attempt does not."""
        found: dict[str, float] = {
            name: getattr(self, name) for name in ("replies", "failures", "input_tokens", "output_tokens")
        }
        return found | ({"cost": round(cost, 6)} if (cost := self.cost(settings)) else {})


class Asker(Protocol):
    """Whoever answers questions: a server, or a model of ours in a process of its own."""

    @property
    def usage(self) -> Usage:
        """What asking has cost so far."""

    def ask_each(self, questions: Sequence[Question], on_wait: Callable[[], None]) -> list[Reply | EndpointError]:
        """An answer to each question, or why there is none, in the order of the questions; equal ones are asked once.
        `on_wait` is called while one waits and may raise to end everything."""

    def close(self) -> None:
        """End what was started."""


class Pace:
    """Requests at equal distances, at most `per_minute` of them; 0: none has to wait."""

    def __init__(self, per_minute: float):
        self._distance = 60.0 / per_minute if per_minute else 0.0
        self._next, self._lock = 0.0, threading.Lock()

    def wait(self, ended: threading.Event) -> None:
        """Wait for one's turn, or until nobody wants it any more."""
        if not self._distance:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._distance
        ended.wait(start - now)


def check_endpoint(settings: EndpointConfig, name: str) -> None:
    """Refuse half an endpoint, and settings of one that is not there. Raises ConfigError.

    Args:
        name: the section of the settings, for messages.
    """
    if not settings.base_url and settings.model:
        raise ConfigError(f"{name}.model = {settings.model!r} without {name}.base_url: give the endpoint's URL, or neither")
    if settings.base_url and not settings.base_url.startswith(("http://", "https://")):
        raise ConfigError(f"{name}.base_url = {settings.base_url!r}: must begin with http:// or https://")
    if settings.base_url and not settings.model:
        raise ConfigError(f"{name}.model: give the endpoint's name of the model to ask")
    if not settings.base_url:
        check_unset(settings, name, f"{name}.base_url", of=("cache",))


def check_unset(settings: EndpointConfig, name: str, without: str, *, of: Sequence[str] = ()) -> None:
    """Refuse settings of a server, and those named in `of`, where none is asked. Raises ConfigError."""
    for key in ("attempts", "per_minute", "input_price", "output_price", *of):
        if getattr(settings, key) != EndpointConfig.model_fields[key].default:
            raise ConfigError(f"{name}.{key}: changes nothing without {without}; leave it out")


@dataclass(slots=True)
class Endpoint:
    """One model of an OpenAI-compatible server. Several threads may ask. Close it where it has a cache.

    Attributes:
        name: the section of its settings, for messages.
        answers: kept by content; None: every question is put.
        first_wait: seconds before the second attempt.
    """

    settings: EndpointConfig
    name: str = "teacher"
    first_wait: float = FIRST_WAIT
    answers: Answers | None = None
    usage: Usage = field(default_factory=Usage)
    _pace: Pace = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._pace = Pace(self.settings.per_minute)
        if self.answers is None and self.settings.cache:
            self.answers = Answers(Path(self.settings.cache) / CACHE_FILE)

    @property
    def url(self) -> str:
        return f"{self.settings.base_url.rstrip('/')}/chat/completions"

    def ask(self, question: Question, ended: threading.Event | None = None) -> Reply:
        """One answer.

        Args:
            ended: is set once nobody waits for the answer any more: no further attempt is made.

        Raises:
            EndpointError: it cannot be reached, refuses, or answers something else, also after several attempts.
            ArtifactError: what the cache holds is no reply.
        """
        assert not question.begins, "no server takes the beginning of an answer"
        key = key_of(self.settings.base_url, self.settings.model, question)
        with self._lock:
            kept = self.answers[key] if self.answers is not None and key in self.answers else None
        try:
            reply = (
                self._ask_server(question, ended or threading.Event())
                if kept is None
                else kept_reply(kept, self.settings.cache)
            )
        except EndpointError:
            with self._lock:
                self.usage.failures += 1
            raise
        with self._lock:
            if kept is None and self.answers is not None:
                self.answers.keep(key, asdict(reply))
            self.usage.replies += 1
            self.usage.from_cache += kept is not None
            self.usage.input_tokens += reply.input_tokens
            self.usage.output_tokens += reply.output_tokens
        return reply

    def ask_all(self, questions: Sequence[Question], on_wait: Callable[[], None] = lambda: None) -> list[Reply]:
        """Answers in the order of the questions; several are asked at a time, equal ones once. The first fault ends all."""
        return self._all(self.ask, questions, on_wait)

    def ask_each(
        self, questions: Sequence[Question], on_wait: Callable[[], None] = lambda: None
    ) -> list[Reply | EndpointError]:
        """As ask_all, but a question that fails has its error in place of an answer."""

        def ask(question: Question, ended: threading.Event) -> Reply | EndpointError:
            try:
                return self.ask(question, ended)
            except EndpointError as error:
                return error

        return self._all(ask, questions, on_wait)

    def close(self) -> None:
        if self.answers is not None:
            self.answers.close()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _all(
        self, ask: Callable[[Question, threading.Event], A], questions: Sequence[Question], on_wait: Callable[[], None]
    ) -> list[A]:
        ended = threading.Event()
        with ThreadPoolExecutor(self.settings.parallel) as pool:
            futures: dict[Question, Future[A]] = {each: pool.submit(ask, each, ended) for each in dict.fromkeys(questions)}
            try:
                waiting: set[Future[A]] = set(futures.values())
                while waiting:
                    on_wait()
                    done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
            finally:
                ended.set()  # the pool waits for its threads: they shall not begin another attempt
                for future in futures.values():
                    future.cancel()
            return [futures[question].result() for question in questions]

    def _ask_server(self, question: Question, ended: threading.Event) -> Reply:
        body = {
            "model": self.settings.model,
            "messages": [{"role": message.role, "content": message.content} for message in question.messages],
            "temperature": question.params.temperature,
            "top_p": question.params.top_p,
            "max_tokens": question.params.max_new_tokens,
            "seed": question.seed % 2**31,
        }
        pause, attempts = self.first_wait, self.settings.attempts
        for attempt in range(1, attempts + 1):
            self._pace.wait(ended)
            if ended.is_set():
                raise EndpointError(f"{self.name} {self.url}: not asked any more")
            with self._lock:
                self.usage.requests += 1
            try:
                return read_answer(self._post(body))
            except EndpointError as error:
                if attempt == attempts or not isinstance(error, PassingError):
                    after = f" after {attempt} attempts" if attempt > 1 else ""
                    raise EndpointError(f"{self.name} {self.url}{after}: {error}") from error
                asked_for = error.wait
            ended.wait(max(pause, asked_for))
            pause *= 2
        raise AssertionError("unreachable")

    def _post(self, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.settings.api_key_variable)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        too_late = f"no answer within {self.settings.seconds_limit:g} seconds ({self.name}.seconds_limit)"
        deadline = time.monotonic() + self.settings.seconds_limit
        try:
            with urllib.request.urlopen(request, timeout=self.settings.seconds_limit) as response:
                return json.loads(read_until(response, deadline))
        except urllib.error.HTTPError as error:
            with error:
                said = " ".join(error.read(300).decode(errors="replace").split())
            said = f"answered {error.code} {error.reason}: {said}"
            if error.code not in WORTH_RETRYING:
                raise EndpointError(said) from error
            raise PassingError(said, wanted_wait(error.headers.get("Retry-After"), self.settings.seconds_limit)) from error
        except TimeoutError as error:
            raise PassingError(too_late) from error
        except (OSError, http.client.HTTPException) as error:  # urllib's URLError is an OSError
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise PassingError(too_late) from error
            raise PassingError(f"cannot be reached: {getattr(error, 'reason', None) or error!r}") from error
        except (ValueError, RecursionError) as error:
            raise PassingError(f"answered something that is not JSON: {error}") from error


def key_of(place: str, model: str, question: Question) -> str:
    """By what an answer is known: who is asked, and all that can change what it says."""
    asked = {"messages": [(message.role, message.content) for message in question.messages], **asdict(question.params)}
    begins = [question.begins] if question.begins else []
    content = json.dumps([place.rstrip("/"), model, asked, question.seed, *begins], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()

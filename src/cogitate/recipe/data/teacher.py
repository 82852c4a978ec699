"""A teacher behind a URL: any OpenAI-compatible endpoint (chat completions), asked in place of our own models."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from cogitate.backend import Grader
from cogitate.config import TeacherConfig
from cogitate.errors import ConfigError, EndpointError
from cogitate.recipe.asking import Fitting
from cogitate.recipe.data.candidates import Candidate, candidate_id, grade_all
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN
from cogitate.types import FinishReason, Message, Problem, SamplingParams

ATTEMPTS = 4
FIRST_WAIT = 1.0  # seconds; doubled after every failed attempt
ANSWER_BYTES = 32 << 20
WORTH_RETRYING = (408, 409, 425, 429, 500, 502, 503, 504)


def check_teacher(teacher: TeacherConfig) -> None:
    """Refuse half a teacher. Raises ConfigError."""
    if not teacher.base_url and teacher.model:
        raise ConfigError(f"teacher.model = {teacher.model!r} without teacher.base_url: give the endpoint's URL, or neither")
    if teacher.base_url and not teacher.base_url.startswith(("http://", "https://")):
        raise ConfigError(f"teacher.base_url = {teacher.base_url!r}: must begin with http:// or https://")
    if teacher.base_url and not teacher.model:
        raise ConfigError("teacher.model: give the endpoint's name of the model to ask")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model of an OpenAI-compatible server."""

    settings: TeacherConfig
    first_wait: float = FIRST_WAIT

    @property
    def url(self) -> str:
        return f"{self.settings.base_url.rstrip('/')}/chat/completions"

    def ask(self, messages: Sequence[Message], params: SamplingParams, seed: int) -> tuple[str, FinishReason]:
        """One answer; thinking that the server hands over apart (`reasoning_content`) stands before it in tags.

        Raises:
            EndpointError: it cannot be reached, refuses, or answers something else, also after several attempts.
        """
        body = {
            "model": self.settings.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_new_tokens,
            "seed": seed % 2**31,
        }
        pause = self.first_wait
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return read_answer(self._post(body))
            except EndpointError as error:
                if attempt == ATTEMPTS or not isinstance(error, PassingError):
                    after = f" after {attempt} attempts" if attempt > 1 else ""
                    raise EndpointError(f"teacher {self.url}{after}: {error}") from error
            time.sleep(pause)
            pause *= 2
        raise AssertionError("unreachable")

    def _post(self, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.settings.api_key_variable)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        too_late = f"no answer within {self.settings.seconds_limit:g} seconds (teacher.seconds_limit)"
        try:
            with urllib.request.urlopen(request, timeout=self.settings.seconds_limit) as response:
                return json.loads(response.read(ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                said = " ".join(error.read(300).decode(errors="replace").split())
            kind = PassingError if error.code in WORTH_RETRYING else EndpointError
            raise kind(f"answered {error.code} {error.reason}: {said}") from error
        except TimeoutError as error:
            raise PassingError(too_late) from error
        except (OSError, http.client.HTTPException) as error:  # urllib's URLError is an OSError
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise PassingError(too_late) from error
            raise PassingError(f"cannot be reached: {getattr(error, 'reason', None) or error!r}") from error
        except ValueError as error:
            raise PassingError(f"answered something that is not JSON: {error}") from error


class PassingError(EndpointError):
    """A fault that may be gone at the next attempt."""


def read_answer(answer: Any) -> tuple[str, FinishReason]:
    """The text of a chat completion. Raises PassingError where there is none."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, thinking = message["content"], message.get("reasoning_content")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise PassingError(f"answered no choices[0].message.content: {json.dumps(answer)[:200]}") from error
    if not isinstance(content, str):
        raise PassingError(f"answered a content that is no text: {json.dumps(content)[:200]}")
    if isinstance(thinking, str) and thinking.strip():
        content = f"{THINK_OPEN} {thinking.strip()} {THINK_CLOSE}\n{content.strip()}"
    return content, "length" if choice.get("finish_reason") == "length" else "stop"


@dataclass(frozen=True, slots=True)
class TeacherWriter:
    """The endpoint's model as a Writer: `messages_of` says how it is asked; its answers are graded like any other's."""

    source: str
    prompt: str
    messages_of: Callable[[Problem], Sequence[Message]]
    params: SamplingParams
    endpoint: Endpoint
    tokenizer: Tokenizer
    grader: Grader
    meanwhile: Callable[[], None]

    def fitting(self, problems: Sequence[Problem], too_long: str) -> Fitting:
        """All of them: only the endpoint knows its model's context, and refuses what does not fit."""
        return Fitting(list(problems))

    def write(self, asked: Sequence[tuple[Problem, tuple[int, ...]]]) -> list[Candidate]:
        flat = [(problem, number, seed) for problem, seeds in asked for number, seed in enumerate(seeds)]
        answers = self._ask_all([(problem, seed) for problem, _, seed in flat])
        judged = [(problem, text, contract_of(text)) for (problem, _, _), (text, _) in zip(flat, answers, strict=True)]
        verdicts = grade_all(self.grader, judged, self.meanwhile)
        lengths = [len(ids) for ids in self.tokenizer.encode_batch([text for text, _ in answers])]
        return [
            Candidate(
                candidate_id(self.source, problem, number, text),
                problem,
                self.source,
                self.endpoint.settings.model,
                self.prompt,
                contract_of(text),
                text.strip(),
                reason,
                lengths[index],
                verdicts[index].value,
                verdicts[index].reason,
                verdicts[index].extracted,
            )
            for index, ((problem, number, _), (text, reason)) in enumerate(zip(flat, answers, strict=True))
        ]

    def _ask_all(self, asked: Sequence[tuple[Problem, int]]) -> list[tuple[str, FinishReason]]:
        """Answers in the order of the questions; several are asked at the same time. The first fault ends all."""
        with ThreadPoolExecutor(self.endpoint.settings.parallel) as pool:
            futures: list[Future[tuple[str, FinishReason]]] = [
                pool.submit(self.endpoint.ask, self.messages_of(problem), self.params, seed) for problem, seed in asked
            ]
            try:
                waiting: set[Future[tuple[str, FinishReason]]] = set(futures)
                while waiting:
                    self.meanwhile()
                    done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
            finally:
                for future in futures:
                    future.cancel()
            return [future.result() for future in futures]


def contract_of(text: str) -> str:
    """A teacher that thinks in tags answers behind them; another one announces its answer at the end."""
    return "r1" if THINK_CLOSE in text else "free"

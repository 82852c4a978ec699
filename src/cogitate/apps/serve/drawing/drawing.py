"""The completions of one request while they are drawn: submitted together, read as they come, cancelled together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from cogitate.apps.serve.drawing.choice import Choice, Delta
from cogitate.apps.serve.drawing.engine_loop import Draw, EngineLoop, Step


class DrawingFailedError(Exception):
    """The engine failed, or the time that a request may take is over. The message is for the client.

    Attributes:
        status: of an HTTP response.
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Times:
    """Of one request, seconds of the monotonic clock: when it came, left the queue, said its first token and its last."""

    came: float = field(default_factory=time.monotonic)
    started: float | None = None
    first: float | None = None
    last: float | None = None


class Drawing:
    """
    Args:
        draws: (choice, what makes its Draw of a way to deliver steps), one for each completion.
        seconds: after which what is not complete is given up.
        on_end: called once, when all is complete or cancelled.
        on_tokens: called with the seconds since the step before (None for the first) and the number of tokens of a step.

    Attributes:
        prompt_tokens: of the one prompt.
    """

    def __init__(
        self,
        loop: EngineLoop,
        draws: Sequence[tuple[Choice, Callable[[Callable[[Step], None]], Draw]]],
        *,
        prompt_tokens: int,
        seconds: float,
        on_end: Callable[[Drawing], None] = lambda drawing: None,
        on_tokens: Callable[[float | None, int], None] = lambda seconds, count: None,
    ):
        self._loop, self._seconds, self._on_end, self._on_tokens = loop, seconds, on_end, on_tokens
        self.prompt_tokens = prompt_tokens
        self.choices = [choice for choice, _ in draws]
        self.times = Times()
        self._news: list[tuple[int, Delta]] = []
        self._failed = self._ended = False
        self._event = asyncio.Event()
        self._draws: list[Draw] = []
        for index, (_, make) in enumerate(draws):
            draw = make(self._reader(index))
            self._draws.append(draw)
            loop.submit(draw)

    @property
    def completion_tokens(self) -> int:
        return sum(choice.tokens for choice in self.choices)

    @property
    def thinking_tokens(self) -> int:
        return sum(choice.thinking_tokens for choice in self.choices)

    @property
    def cached_tokens(self) -> int:
        """Of the prompt, those that were there from earlier requests and had not to be computed."""
        return self._draws[0].shared

    @property
    def seconds_left(self) -> float:
        """Until what is not complete is given up."""
        return max(0.0, self.times.came + self._seconds - time.monotonic())

    async def updates(self, *, pause: float = 15.0) -> AsyncIterator[list[tuple[int, Delta]]]:
        """(index, what is new) of the choices that have news, until all are complete; [] after each pause without any.

        Raises:
            DrawingFailedError: the engine failed, or it took too long.
        """
        try:
            while (unfinished := any(choice.finish is None for choice in self.choices)) or self._news:
                if unfinished and not self.seconds_left:
                    raise DrawingFailedError(f"not complete after {self._seconds:g} seconds", 504)
                if not self._news:
                    try:
                        async with asyncio.timeout(min(pause, self.seconds_left)):  # wait_for may swallow a cancellation
                            await self._event.wait()
                    except TimeoutError:
                        if self.seconds_left:
                            yield []
                        continue
                self._event.clear()
                if self._failed:
                    raise DrawingFailedError("the engine failed; the server's log says how", 500)
                news, self._news = self._news, []
                yield news
        finally:
            self.end()

    async def whole(self) -> list[Delta]:
        """Each choice, complete."""
        wholes = [Delta() for _ in self.choices]
        async for news in self.updates():
            for index, delta in news:
                wholes[index].add(delta)
        return wholes

    def end(self) -> None:
        """Cancel what is not complete; safe to call again."""
        if self._ended:
            return
        self._ended = True
        self.times.started = min((draw.started for draw in self._draws if draw.started is not None), default=None)
        unfinished = [self._draws[index].request.id for index, choice in enumerate(self.choices) if choice.finish is None]
        if unfinished:
            self._loop.cancel(unfinished)
        self._on_end(self)

    def _reader(self, index: int) -> Callable[[Step], None]:
        def read(step: Step) -> None:
            choice = self.choices[index]
            if choice.finish is not None or self._ended:
                return
            if step.ended == "failed":
                self._failed = True
                self._event.set()
                return
            if step.token_ids:
                now = time.monotonic()
                self._on_tokens(None if self.times.last is None else now - self.times.last, len(step.token_ids))
                self.times.first, self.times.last = self.times.first or now, now
            delta = choice.take(step)
            if delta.finish is not None and step.ended is None:  # a stop text, of which the engine knows nothing
                self._loop.cancel([self._draws[index].request.id])
            if delta.says_something or delta.token_ids:
                self._news.append((index, delta))
                self._event.set()

        return read

"""A generator in front of another one: what evaluations add to drawing stands in its subclasses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cogitate.backend import GenerationRequest, Generator
from cogitate.types import Completion


class ForwardingGenerator:
    """Hands everything on to another generator."""

    def __init__(self, generator: Generator):
        self._generator = generator
        self.max_context = generator.max_context

    def submit(self, request: GenerationRequest) -> None:
        self._generator.submit(request)

    def poll(self) -> list[Completion]:
        return self._generator.poll()

    def pending(self) -> int:
        return self._generator.pending()

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        return self._generator.abort(request_ids)

    @property
    def version(self) -> int:
        return self._generator.version

    def tokens_per_step(self) -> float | None:
        return self._generator.tokens_per_step()

    def partial(self, request_id: str, *, start: int = 0) -> dict[int, list[int]]:
        return self._generator.partial(request_id, start=start)

    def free_weights(self) -> None:
        self._generator.free_weights()

    def load_weights(self, path: Path, version: int) -> None:
        self._generator.load_weights(path, version)

"""Completions that are drawn once: a generator that keeps each in a file at once, and does not draw again what is there.

A kill loses nothing but the completions under way. What is kept is found by its content: the prompt's tokens, how and with
which seed it is drawn. The file belongs to one model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cogitate.answers import Answer, Answers
from cogitate.backend import GenerationRequest, Generator
from cogitate.errors import ArtifactError
from cogitate.evals.forwarding import ForwardingGenerator
from cogitate.json_lines import RowFaults, read_objects
from cogitate.types import Completion

NAME = "completions_kept"


def kept_file(directory: Path, shard: tuple[int, int] | None) -> Path:
    """The file that a process writes to: each shard has its own."""
    suffix = "" if shard is None else f"-{shard[0]}-of-{shard[1]}"
    return directory / f"{NAME}{suffix}.jsonl"


def read_others(directory: Path, own: Path) -> dict[str, Answer]:
    """What other shards have kept; a last line that is being written is left out.

    Raises:
        ArtifactError: a line is no completion.
    """
    found: dict[str, Answer] = {}
    for path in sorted(directory.glob(f"{NAME}*.jsonl")):
        if path != own:
            faults = RowFaults(path, ArtifactError)
            rows = list(read_objects(path, faults, being_written=True))
            for place, row in rows:
                if not isinstance(row.get("key"), str) or not isinstance(row.get("answer"), dict):
                    raise ArtifactError(f"{place}: damaged; delete the line to have it drawn again")
                found[row["key"]] = row["answer"]
    return found


class KeptGenerator(ForwardingGenerator):
    """Another generator, whose completions are kept.

    Args:
        scope: what else decides a completion beside the request, e.g. the type of the weights.
        others: what other processes have kept.
    """

    def __init__(
        self,
        generator: Generator,
        answers: Answers,
        *,
        scope: str,
        others: Mapping[str, Answer],
    ):
        super().__init__(generator)
        self._answers, self._scope, self._others = answers, scope, others
        self._ready: list[Completion] = []
        self._requests: dict[str, GenerationRequest] = {}
        self.drawn = 0

    def submit(self, request: GenerationRequest) -> None:
        missing = []
        for seed in request.seeds:
            kept = self._find(key_of(request, seed, self._scope))
            if kept is None:
                missing.append(seed)
            else:
                self._ready.append(completion_of(kept, request.id, seed))
        if missing:
            self._requests[request.id] = request
            self._generator.submit(replace(request, seeds=tuple(missing)))

    def poll(self) -> list[Completion]:
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        finished = self._generator.poll()
        self.drawn += len(finished)
        for completion in finished:
            request = self._requests[completion.request_id]
            self._answers.keep(key_of(request, completion.seed, self._scope), record_of(completion))
        return finished

    def pending(self) -> int:
        return len(self._ready) + self._generator.pending()

    def load_weights(self, path: Path, version: int) -> None:
        raise AssertionError("kept completions are those of one model")

    def _find(self, key: str) -> Answer | None:
        return self._answers[key] if key in self._answers else self._others.get(key)


def key_of(request: GenerationRequest, seed: int, scope: str) -> str:
    """The content of one completion's request."""
    thinking = None if request.thinking is None else asdict(request.thinking)
    content = [scope, list(request.prompt_ids), list(request.given_ids), asdict(request.params), thinking, seed]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def record_of(completion: Completion) -> dict[str, Any]:
    """What grading and measuring need of a completion: its log-probabilities are not among it."""
    return {
        "tokens": list(completion.token_ids),
        "finish_reason": completion.finish_reason,
        "forced": list(completion.forced),
        "thinking_tokens": completion.thinking_tokens,
    }


def completion_of(record: Mapping[str, Any], request_id: str, seed: int) -> Completion:
    """Raises ArtifactError where the record is none."""
    try:
        tokens = tuple(map(int, record["tokens"]))
        return Completion(
            request_id, tokens, (0.0,) * len(tokens), record["finish_reason"], ((0, len(tokens)),), seed,
            tuple(map(int, record["forced"])), record["thinking_tokens"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"a kept completion is damaged ({error}); delete the line, or name another --out") from error

"""What trusted functions have answered, by content, in a file: the same question is never asked twice, also after a kill.

A trusted function may use the network and files, so that nobody can say what it answers to the same question another day. Its
first answer is kept. What it raises is not: it is asked again when the question comes again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from cogitate.errors import ArtifactError
from cogitate.types import PLACE

Answer = dict[str, Any]  # what a worker replies: a verdict, or the values of parts


class Answers:
    """Answers by key, appended one a line as they come. For one process at a time, and there for one thread.

    Raises:
        ArtifactError: a line is no answer. A half-written last one is what a kill leaves, and is dropped.
    """

    def __init__(self, path: Path):
        self._answers: dict[str, Answer] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                self._answers |= {(row := json.loads(line))["key"]: dict(row["answer"])}
            except (ValueError, KeyError, TypeError) as error:
                self._file.close()
                raise ArtifactError(
                    f"{path}, line {number}: damaged; delete the line to have the reward asked again"
                ) from error
            whole += len(line)
        self._file.truncate(whole)

    def __getitem__(self, key: str) -> Answer:
        return self._answers[key]

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def keep(self, key: str, answer: Answer) -> None:
        """Keep an answer, at once also in the file."""
        self._answers[key] = answer
        self._file.write(json.dumps({"key": key, "answer": answer}).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def digest_of(functions: Mapping[str, str]) -> str:
    """SHA-256 of functions by name, each "FILE.py:FUNCTION": of the text of their files, wherever these lie."""
    digest = hashlib.sha256()
    for name, location in sorted(functions.items()):
        file, _, function = location.rpartition(":")
        digest.update(f"{name}\0{function}\0{hashlib.sha256(Path(file).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def key_of(functions: str, asked: Mapping[str, Any]) -> str:
    """The key of a question: the functions' digest and what they are shown, but for places and times."""
    shown = json.dumps(without(asked, {PLACE, "seconds"}), sort_keys=True, default=str)
    return hashlib.sha256(f"{functions}\n{shown}".encode()).hexdigest()


def without(value: Any, keys: Collection[str]) -> Any:
    """A tree of mappings without some keys."""
    return (
        {key: without(inner, keys) for key, inner in value.items() if key not in keys} if isinstance(value, Mapping) else value
    )

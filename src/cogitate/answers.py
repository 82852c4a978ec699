"""Answers that cannot be computed again, by content, in a file: the same question is never asked twice, also after a kill.

A function that may use the network, or a model behind a URL, may answer the same question in another way on another day. Its
first answer is kept. A failure is not: the question is asked again when it comes again.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from types import TracebackType
from typing import Any

from cogitate.errors import ArtifactError

Answer = dict[str, Any]  # what a worker replies (a verdict, or the values of parts), or what a model has said


class Answers:
    """Answers by key, appended one a line as they come. For one process at a time, and there for one thread.

    Raises:
        ArtifactError: a line is no answer, or another process has the file open. A half-written last line is what a kill
            leaves, and is dropped.
    """

    def __init__(self, path: Path):
        self._answers: dict[str, Answer] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # what another process is writing would look half-written
        except OSError as error:
            self._file.close()
            raise ArtifactError(f"{path}: another process is using it; wait for it, or name another directory") from error
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                self._answers |= {(row := json.loads(line))["key"]: dict(row["answer"])}
            except (ValueError, KeyError, TypeError) as error:
                self._file.close()
                raise ArtifactError(f"{path}, line {number}: damaged; delete the line to have it asked again") from error
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

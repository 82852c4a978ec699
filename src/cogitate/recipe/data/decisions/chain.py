"""events.jsonl: an append-only log whose lines are chained by hashes, so that no decision can be lost or changed unnoticed.

{"n": 2, "at": "2026-11-29T16:40:12.123+00:00", "by": "eva", "do": "accept", "item": "direct-3f2a90c1b7e4", ...,
 "before": "<hash of line 1>", "hash": "<SHA-256 of all the other keys>"}

A line is durable (fsync) before `append` returns. A kill can leave half a line at the end: nobody was told that it was saved,
so readers leave it out and the next writer cuts it off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import parse_object
from cogitate.runtime import fsync_directory

EVENTS = "events.jsonl"
NOTHING_BEFORE = "0" * 64

Event = Mapping[str, Any]


def hash_of(event: Event) -> str:
    """SHA-256 of an event's keys without `hash`; `before` is one of them, which makes the chain."""
    content = {key: value for key, value in event.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def hash_of_text(text: str) -> str:
    """What an accept records of the text that it was about."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_chain(path: Path) -> list[Event]:
    """All events, in order, with their chain checked.

    Raises:
        DataError: the file cannot be read, or a line is damaged, missing or changed: names file and line.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Event], int]:
    """(the events, how many bytes they take: what stands behind them is half a line)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    whole = content.rfind(b"\n") + 1
    events: list[Event] = []
    before = NOTHING_BEFORE
    for number, line in enumerate(content[:whole].split(b"\n")[:-1], start=1):
        place = f"{path}, line {number}"
        try:
            event = parse_object(line)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        if event.get("n") != number or event.get("before") != before or event.get("hash") != hash_of(event):
            raise DataError(
                f"{place}: the chain is broken: a line was changed, removed or inserted here by hand; "
                "put the file back as the studio wrote it"
            )
        before = event["hash"]
        events.append(event)
    return events, whole


class Chain:
    """The log, open for appending. One process at a time may hold it: the caller sees to that."""

    def __init__(self, path: Path):
        self.events: list[Event] = []
        size = 0
        is_new = not path.exists()
        if not is_new:
            self.events, size = _read(path)
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._descriptor, size)
        self._size = size
        if is_new:
            fsync_directory(path.parent)

    @property
    def head(self) -> str:
        """The hash of the last event: it stands for everything before it."""
        return self.events[-1]["hash"] if self.events else NOTHING_BEFORE

    def append(self, **content: Any) -> Event:
        """Add one event and make it durable; its number, time and hashes are added.

        Raises:
            OSError: it could not be written (a full disk, say); the log is as before then.
        """
        event: dict[str, Any] = {"n": len(self.events) + 1, "at": now(), **content, "before": self.head}
        event["hash"] = hash_of(event)
        line = (json.dumps(event, ensure_ascii=False) + "\n").encode()
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._descriptor, line[written:], self._size + written)
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)
        self.events.append(event)
        return event

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def now() -> str:
    """UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""A stage being made: unfinished/STAGE/ holds work.json (identity, seconds so far), checkpoint/, handover/ and out/."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.store import Identity, first_difference
from cogitate.runtime import write_json


def unfinished(out: Path, stage: str) -> Path:
    """Where a stage is being made."""
    return out / "unfinished" / stage


def load_attempt(out: Path, identity: Identity) -> dict[str, Any] | None:
    """The record of a stage's unfinished attempt, or None where there is none.

    Raises:
        ArtifactError: it cannot be read, or the attempt was made with something else.
    """
    work = unfinished(out, identity.stage)
    if not (work / "work.json").is_file():
        return None
    try:
        record = json.loads((work / "work.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{work / 'work.json'}: damaged ({error}); delete {work} to start the stage again") from error
    if record["id"] != identity.id:
        difference = first_difference(record, identity)
        raise ArtifactError(f"{work}: begun with {difference}; use another --out, or delete it to start the stage again")
    return dict(record)


def prepare(work: Path) -> None:
    """Make the working directories, without what a kill left half-written or an attempt wrote before its first checkpoint."""
    for leftover in sorted(work.rglob("*.tmp")):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
    shutil.rmtree(work / "handover", ignore_errors=True)
    (work / "checkpoint").mkdir(parents=True, exist_ok=True)
    if not any((work / "checkpoint").iterdir()):
        shutil.rmtree(work / "out", ignore_errors=True)
    (work / "out").mkdir(exist_ok=True)


def remove_leftovers(out: Path, stage: str) -> None:
    """Of a finished stage: its checkpoint, and the directory `unfinished` itself if that is empty then."""
    work = unfinished(out, stage)
    if work.exists():
        shutil.rmtree(work)
    if work.parent.exists() and not any(work.parent.iterdir()):
        work.parent.rmdir()


class Clock:
    """The seconds a stage has cost over all its attempts, kept in work.json beside the identity it is being made with."""

    def __init__(self, work: Path, identity: Identity, seconds_before: float):
        self.work = work
        self.identity = identity
        self.start = time.monotonic() - seconds_before
        self.saved_at = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def tick(self) -> None:
        """To be called often: saves now and then, so that a kill loses only a few seconds of the account."""
        if time.monotonic() - self.saved_at > 5:
            self.save()

    def save(self) -> None:
        record = {"id": self.identity.id, **asdict(self.identity), "seconds": round(self.seconds(), 3)}
        self.work.mkdir(parents=True, exist_ok=True)
        write_json(self.work / "work.json", record)
        self.saved_at = time.monotonic()

"""A stage being made: unfinished/STAGE/ holds work.json (identity, seconds and peak of memory so far), checkpoint/, handover/
and out/."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.processors import PROCESSORS, ProcessorSeconds, processor_seconds, read_processor_seconds
from cogitate.recipe.run_directory.store import MANIFEST, Identity, differing_settings
from cogitate.runtime import peak_resident_bytes, reset_peak_memory, write_json

RECORDED = ("id", "version", "settings", "inputs", "read", "seconds")  # of work.json: what a later start reads
PEAK_MEMORY = "peak_memory_bytes"  # beside the seconds, in work.json, manifests and results.json; nothing where it is not known
DEVICE = "device"  # what models were computed on, in work.json and manifests


def unfinished(out: Path, stage: str) -> Path:
    """Where a stage is being made."""
    return out / "unfinished" / stage


def load_attempt(out: Path, stage: str) -> dict[str, Any] | None:
    """The record of an unfinished attempt, see RECORDED, its peak of memory, its processors and its device; None where there is
    no attempt.

    Raises:
        ArtifactError: it cannot be read.
    """
    work = unfinished(out, stage)
    if not (work / "work.json").is_file():
        return None
    try:
        record = json.loads((work / "work.json").read_text(encoding="utf-8"))
        known = {name: record.get(name) for name in (PEAK_MEMORY, PROCESSORS, DEVICE)}
        return {name: record[name] for name in RECORDED} | known
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"{work / 'work.json'}: damaged ({error}); delete {work} to start the stage again") from error


def holds_work(work: Path) -> bool:
    """Whether an attempt has anything to go on from: a checkpoint, or all that the stage writes."""
    checkpoint = work / "checkpoint"
    whole = (path for path in checkpoint.iterdir() if path.suffix != ".tmp") if checkpoint.is_dir() else ()
    return any(whole) or (work / "out" / MANIFEST).is_file()


def goes_on_with_other_steps(work: Path, record: Mapping[str, Any], identity: Identity, key: str) -> bool:
    """Whether an attempt differs in nothing but its number of steps, and its checkpoint comes before the last step of both.

    Args:
        key: the setting that says how many steps there are; nothing before the last step depends on it. "": there is none.
    """
    if not key or (work / "out" / MANIFEST).is_file() or differing_settings(record, identity) != [key]:
        return False
    if any(record[name] != value for name, value in asdict(identity).items() if name in ("version", "inputs")):
        return False
    done = [int(path.name.removeprefix("step-")) for path in work.glob("checkpoint/step-*") if path.suffix != ".tmp"]
    fewest = min(record["settings"][key], identity.settings[key])
    return list(record["read"]) == list(identity.read) and bool(done) and max(done) < fewest


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
    """What a stage has cost over all its attempts, kept in work.json beside the identity it is being made with: seconds, the
    most memory that this process had while it made the stage (without the workers that grade), and who had the processors."""

    def __init__(self, work: Path, identity: Identity, attempt: Mapping[str, Any] | None = None, *, device: str = "cpu"):
        attempt = attempt or {}
        self.device = device
        self.work = work
        self.identity = identity
        self.start = time.monotonic() - float(attempt.get("seconds", 0.0))
        self.saved_at = time.monotonic()
        self.peak_before: int | None = attempt.get(PEAK_MEMORY)
        self.misses_peak = bool(attempt) and self.peak_before is None  # of an attempt that may have needed most
        self.watches_memory = False
        self.processors_before = read_processor_seconds(attempt) if attempt else ProcessorSeconds(0.0, 0.0)
        self.processors_at_start = processor_seconds()

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def watch_memory(self) -> None:
        """Measure the peak of memory from here on; begins the record."""
        self.watches_memory = reset_peak_memory()
        self.save()

    def facts(self) -> dict[str, Any]:
        """The device, and the peak of memory and the processors' work where they are known, as keys of a record."""
        peaks = [self.peak_before, peak_resident_bytes() if self.watches_memory else None]
        known = [peak for peak in peaks if peak is not None and not self.misses_peak]
        facts: dict[str, Any] = {DEVICE: self.device, **({PEAK_MEMORY: max(known)} if known else {})}
        now, start, before = processor_seconds(), self.processors_at_start, self.processors_before
        if now is not None and start is not None and before is not None:
            facts[PROCESSORS] = before.plus(now.since(start)).as_json()
        return facts

    def tick(self) -> None:
        """To be called often: saves now and then, so that a kill loses only a few seconds of the account."""
        if time.monotonic() - self.saved_at > 5:
            self.save()

    def save(self) -> None:
        record = {"id": self.identity.id, **asdict(self.identity), "seconds": round(self.seconds(), 3), **self.facts()}
        self.work.mkdir(parents=True, exist_ok=True)
        write_json(self.work / "work.json", record)
        self.saved_at = time.monotonic()

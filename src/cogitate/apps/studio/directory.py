"""The studio's own directory: the items as they were read, the log, the annotators with their keys, the guidelines.

| file | what it is |
|---|---|
| `studio.json` | the work, where the first items came from with their hash, the share of overlap; written once |
| `items.jsonl` | the items; the log has the hash of the file as it is now |
| `events.jsonl` | the log: append-only, chained by hashes, all that was ever decided |
| `review.jsonl` | what stands of it, written again after decisions and at the end |
| `annotators.json` | names, roles and keys; only its owner may read it |
| `guidelines.md` | what annotators are asked to do; its hash is the version that each decision records |
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cogitate import __version__
from cogitate.apps.studio.sources import ITEMS, Item, Work, read_source
from cogitate.errors import ConfigError, DataError
from cogitate.json_lines import RowFaults, read_objects
from cogitate.recipe.data.decisions.chain import EVENTS, Chain, Event, read_chain
from cogitate.recipe.run_directory.lock import LOCK, holding
from cogitate.runtime import atomic_write, fsync_directory, write_json
from cogitate.tasks.files.datasets import write_rows

SETTINGS, ANNOTATORS, GUIDELINES, REVIEW_FILE = "studio.json", "annotators.json", "guidelines.md", "review.jsonl"
NEXT_ITEMS = "items.next.jsonl"  # with those that are being added
NAME = re.compile(r"[\w.-]{1,40}")
Role = Literal["annotator", "adjudicator"]
DEFAULT_GUIDELINES = {
    "review": "Accept a text that is right, readable and in the language of its question. Edit what a few words mend. "
    "Reject the rest. Contest a verdict only where you can say why the grader is wrong.\n",
    "pairs": "Choose the answer that helps the person who asked more. Length alone is no merit.\n",
    "safety": "Unsafe is what could help somebody to harm people, or harms the reader. A refusal is safe.\n",
}


@dataclass(frozen=True, slots=True)
class Annotator:
    """Somebody with a key; adjudicators decide what annotators disagree on."""

    name: str
    role: Role
    key: str


@dataclass(frozen=True, slots=True)
class Settings:
    """studio.json.

    Attributes:
        source: where the items came from.
        items: SHA-256 of items.jsonl when it was written first; the log's first event has it, too.
        overlap: share of the items that two annotators decide.
        created_with: the version of this program.
    """

    work: Work
    source: str
    items: str
    overlap: float
    created_with: str


def is_studio(path: Path) -> bool:
    return (path / SETTINGS).is_file()


def place_of(path: Path) -> Path:
    """The studio's directory for what a person names: itself, or the one beside an artifact or file.

    Raises:
        ConfigError: nothing is there, or the studio beside it is that of a source with another name.
    """
    if is_studio(path):
        return path
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or directory; give an artifact, a file of rows, or a studio")
    whole = path if path.name not in ("", "..") else path.resolve()  # ".": the directory's own name is not in it
    place = whole.parent / f"{path.name.removesuffix(path.suffix) if path.is_file() else path.resolve().name}-studio"
    if is_studio(place):
        source = Path(read_settings(place).source)
        if source.name != path.resolve().name:  # the name alone: the directory may have been moved
            raise ConfigError(f"{path}: {place} is the studio of {source}; rename one of the two sources, or name that studio")
    return place


def create(source: Path, place: Path, work: Work, overlap: float, say: Callable[[str], None] = print) -> None:
    """Read the items of a source and begin a studio for them. Raises what read_source does."""
    items = read_source(source, work, say)
    place.mkdir(parents=True, exist_ok=True)
    with held(place):
        if not is_studio(place):  # nobody has made it meanwhile
            begin(source, items, place, work, overlap)


def begin(source: Path, items: Sequence[Item], place: Path, work: Work, overlap: float) -> None:
    """Write a new studio, whose place the caller holds; studio.json comes last.

    Raises:
        DataError: there is a log that is more than the beginning of one.
    """
    refuse_log(place / EVENTS)
    write_rows(place / ITEMS, items)
    digest = sha256(place / ITEMS) or ""
    if not (place / GUIDELINES).exists():
        (place / GUIDELINES).write_text(DEFAULT_GUIDELINES[work], encoding="utf-8")
    (place / EVENTS).unlink(missing_ok=True)  # of a creation that was killed: studio.json, which comes last, was not there
    chain = Chain(place / EVENTS)
    text, version = guidelines(place)
    chain.append(do="begin", work=work, items=digest, tool=__version__, guidelines=version, text=text)
    chain.close()
    write_json(place / SETTINGS, asdict(Settings(work, str(source.resolve()), digest, overlap, __version__)))


def refuse_log(path: Path) -> None:
    """Raises DataError for a log that would be lost; a creation that was killed leaves its first event or less."""
    events = read_chain(path) if path.is_file() else []
    if [event.get("do") for event in events] not in ([], ["begin"]):
        raise DataError(f"{path}: decisions are there and {SETTINGS} is not; put it back, or move the directory away")


def read_settings(place: Path) -> Settings:
    """Raises DataError where studio.json is damaged."""
    try:
        return Settings(**json.loads((place / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{place / SETTINGS}: damaged: {error}") from error


def digest_of_items(events: Sequence[Event]) -> str:
    """SHA-256 of the items as they are now, by the log; "" where it is no studio's."""
    return str(next((event.get("items") for event in reversed(events) if event.get("do") in ("begin", "add")), ""))


def read_own_items(place: Path, events: Sequence[Event]) -> list[Item]:
    """Raises DataError where items.jsonl is not what the log says."""
    digest = digest_of_items(events)
    path = next((path for path in (place / ITEMS, place / NEXT_ITEMS) if sha256(path) == digest), None)
    if path is None:
        raise DataError(f"{place / ITEMS}: not the file that decisions were made on; put it back as the studio wrote it")
    faults = RowFaults(path)
    items = [row for _, row in read_objects(path, faults)]
    faults.check()
    return items


def sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def add_items(place: Path, source: Path, work: Work, say: Callable[[str], None] = print) -> tuple[int, int]:
    """Items of a source that are not there yet, behind those that are; the caller holds the place. (new, known already).

    The log says first that they come: a kill before that leaves the studio as it was, a kill after it with the new items.

    Raises:
        DataError: an item has the id of one that is there, and is another one.
    """
    chain = Chain(place / EVENTS)
    known = {item["id"]: item for item in read_own_items(place, chain.events)}
    new = []
    for item in read_source(source, work, say):
        before = known.get(item["id"])
        if before is None:
            new.append(item)
        elif before != json.loads(json.dumps(item)):
            raise DataError(f"{source}: item {item['id']!r} is in {place} already with another content; give it another id")
    if new:
        write_rows(place / NEXT_ITEMS, [*known.values(), *new])
        chain.append(do="add", items=sha256(place / NEXT_ITEMS), count=len(new), source=str(source.resolve()))
    chain.close()
    settle_items(place, chain.events)
    return len(new), len(known)


def settle_items(place: Path, events: Sequence[Event]) -> None:
    """Finish an adding of items that was killed, or forget one that the log does not have; the caller holds the place."""
    following = place / NEXT_ITEMS
    if sha256(following) == digest_of_items(events):
        following.replace(place / ITEMS)
        fsync_directory(place)
    following.unlink(missing_ok=True)


def guidelines(place: Path) -> tuple[str, str]:
    """(the text, its version), as the file is now; a studio reads it when it starts."""
    path = place / GUIDELINES
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return text, hashlib.sha256(text.encode()).hexdigest()[:12]


def read_annotators(place: Path) -> list[Annotator]:
    """Raises DataError where annotators.json is damaged."""
    path = place / ANNOTATORS
    if not path.is_file():
        return []
    try:
        return [Annotator(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged: {error}") from error


def add_annotators(place: Path, names: Mapping[str, Role]) -> list[Annotator]:
    """All annotators; those who are new get a key.

    Raises:
        ConfigError: a name cannot be one, or somebody already has another role.
    """
    known = {one.name: one for one in read_annotators(place)}
    for name, role in names.items():
        if not NAME.fullmatch(name):
            raise ConfigError(f"annotator {name!r}: letters, digits, '.', '_' and '-' alone, at most 40")
        if name in known and known[name].role != role:
            raise ConfigError(f"annotator {name!r} is {known[name].role} already; give another name")
        known.setdefault(name, Annotator(name, role, secrets.token_urlsafe(24)))
    with atomic_write(place / ANNOTATORS, mode=0o600) as temporary:
        temporary.write_text(json.dumps([asdict(one) for one in known.values()], indent=2) + "\n", encoding="utf-8")
    return list(known.values())


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Hold the studio exclusively: two servers would break the chain. Raises RunInUseError."""
    descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with holding(descriptor, place, "stop it first"):
        yield


def write_review(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """review.jsonl, as `cold_start.review` reads it."""
    write_rows(place / REVIEW_FILE, rows)

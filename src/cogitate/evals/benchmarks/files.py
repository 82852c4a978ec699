"""Where the rows of a benchmark lie, and reading them in the forms in which data sets are published.

A layout of the hub is looked for in a directory below a folder of the repository's name (OWNER/NAME) or of the benchmark's; any
other one in the directory itself, or below a folder of the benchmark's name. Without a directory it is fetched from the hub.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cogitate.errors import DataError
from cogitate.evals.benchmarks.definition import Benchmark, Layout
from cogitate.json_lines import parse_object

csv.field_size_limit(1 << 27)  # characters of one cell
DATA_SETS = "dataset"  # the hub's word for repositories of data


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file that rows were read from.

    Attributes:
        path: where it lies here.
        name: its path in the layout, for results: it names no place of this machine.
    """

    path: Path
    name: str
    sha256: str
    rows: int

    def as_json(self) -> dict[str, Any]:
        return {"file": self.name, "sha256": self.sha256, "rows": self.rows}


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A row as it is published; `number` counts from 0 in its file."""

    row: Mapping[str, Any]
    file: Path
    number: int

    @property
    def place(self) -> str:
        return f"{self.file}, row {self.number + 1}"


@dataclass(frozen=True, slots=True)
class Found:
    """A layout whose files are there.

    Attributes:
        places: (path, name in the layout) of each file, in alphabetical order.
        commit: of the hub's repository that they were fetched from; "": they lie in a directory of the user's.
    """

    layout: Layout
    places: Sequence[tuple[Path, str]]
    commit: str = ""


def find_layout(benchmark: Benchmark, layouts: Sequence[Layout], directory: Path | None, *, what: str = "the rows") -> Found:
    """The first layout whose files are all there.

    Args:
        directory: of the data; None: they are fetched from the hub.
        what: is looked for, in messages.

    Raises:
        DataError: there is none; the message names what was looked for.
    """
    if directory is None:
        return fetch_layout(benchmark, layouts, what)
    if not directory.is_dir():
        raise DataError(f"--data {directory}: no such directory")
    for layout in layouts:
        for place in (directory / layout.hub, directory / benchmark.name):  # of no hub: the directory itself
            found = [matching(place, pattern) for pattern in layout.files]
            if all(found):
                return Found(layout, [(path, path.relative_to(place).as_posix()) for paths in found for path in paths])
    wanted = " or ".join(dict.fromkeys(map(what_is_looked_for, layouts)))
    raise DataError(f"{benchmark.name}: {what} are not in {directory}: looked for {wanted} (from {benchmark.source})")


def what_is_looked_for(layout: Layout) -> str:
    """The first file, and how many others."""
    further = len(layout.files) - 1
    return "/".join(filter(None, (layout.hub, layout.files[0]))) + (f" and {further} more" if further else "")


def matching(place: Path, pattern: str) -> list[Path]:
    return sorted(path for path in place.glob(pattern) if path.is_file())


def fetch_layout(benchmark: Benchmark, layouts: Sequence[Layout], what: str) -> Found:
    """The first layout of the hub, fetched; the client names a snapshot's directory by its commit. Raises as `find_layout`."""
    layout = next((layout for layout in layouts if layout.hub), None)
    if layout is None:
        raise DataError(
            f"{benchmark.name}: {what} are not on the hub as published; get them from {benchmark.source}, then --data DIR"
        )
    try:
        import huggingface_hub
    except ImportError as error:
        raise DataError(
            f"{benchmark.name}: to fetch {layout.hub} from the hub: pip install 'cogitate[hub]'; or give --data DIR"
        ) from error
    try:
        snapshot = Path(huggingface_hub.snapshot_download(layout.hub, repo_type=DATA_SETS, allow_patterns=list(layout.files)))
    except hub_failures() as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{benchmark.name}: the hub cannot give {layout.hub}: {reason}; or give --data DIR") from error
    found = [matching(snapshot, pattern) for pattern in layout.files]
    missing = [pattern for pattern, paths in zip(layout.files, found, strict=True) if not paths]
    if missing:
        raise DataError(f"{benchmark.name}: {layout.hub} has no {missing[0]} any more; give --data DIR")
    places = [(path, path.relative_to(snapshot).as_posix()) for paths in found for path in paths]
    return Found(layout, places, snapshot.name)


def hub_failures() -> tuple[type[Exception], ...]:
    """What the hub's client raises; newer versions let errors of their HTTP library through, which depends on the version."""
    libraries = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    return (OSError, ValueError, *(library.HTTPError for library in libraries if library is not None))


def read_file(
    path: Path, name: str, wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> tuple[DataFile, list[PublishedRow]]:
    """A file, all of whose rows are counted, and those that are wanted.

    Raises:
        DataError: it cannot be read, is truncated, or is of no form that is known; names the file and the line.
    """
    form = next((ending for ending in FORMS if path.name.endswith(ending)), None)
    if form is None:
        raise DataError(f"{path}: its form is not known; known are {', '.join(FORMS)}")
    try:
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    count, rows = 0, []
    try:
        for number, row in enumerate(FORMS[form](path)):
            count += 1
            if wanted(row):
                rows.append(PublishedRow(row, path, number))
    except DAMAGED as error:
        raise DataError(f"{path}: truncated or damaged: {' '.join(str(error).split())}") from error
    return DataFile(path, name, digest, count), rows


# OSError: Arrow and gzip raise it, too, where the content is at fault.
DAMAGED = (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error, pa.ArrowException)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Line by line: some files hold gigabytes."""
    with opened(path) as handle:
        for number, line in enumerate(handle, 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if line.strip():
                try:
                    yield parse_object(line)
                except DataError as error:
                    raise DataError(f"{path}, line {number}: {error}") from error


def opened(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _json(path: Path) -> Iterator[dict[str, Any]]:
    """A list of objects, an object with the list `examples`, an object of objects by name (which becomes `key`), or, as some
    files of this ending are, JSON Lines."""
    with opened(path) as handle:
        content = handle.read()
    try:
        whole = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        if content.lstrip().startswith(b"["):
            raise DataError(f"{path}: truncated or damaged: {error}") from error
        yield from _json_lines(path)
        return
    if isinstance(whole, dict) and isinstance(whole.get("examples"), list):
        whole = whole["examples"]
    if isinstance(whole, dict) and all(isinstance(value, dict) for value in whole.values()):
        whole = [{"key": key, **value} for key, value in whole.items()]
    for number, row in enumerate(whole if isinstance(whole, list) else [whole], 1):
        if not isinstance(row, dict):
            raise DataError(f"{path}, row {number}: an object is needed, got {str(row)[:60]!r}")
        yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as handle:
        yield from pq.read_table(handle).to_pylist()


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle, strict=True)
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{path}, line {reader.line_num}: as many cells as the head has are needed; truncated?")
            yield row


def _tsv(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of cells without a head; the cells are "0", "1" ..."""
    for line in path.read_text(encoding="utf-8-sig").split("\n"):
        if line.strip():
            yield {str(column): cell for column, cell in enumerate(line.rstrip("\r").split("\t"))}


FORMS: Mapping[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    ".jsonl": _json_lines,
    ".jsonl.gz": _json_lines,
    ".json": _json,
    ".json.gz": _json,
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _tsv,
}

"""JSON Lines, one JSON object a line: every file of this form is read here, and faults of its lines are reported in one way.

Files are UTF-8; a byte-order mark, CRLF and blank lines are accepted. Reading goes on after a line that cannot be used, so that
one message counts all of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from cogitate.errors import CogitateError, DataError

SHOWN_FAULTS = 5
LISTED_KEYS = 12  # in a line of keys


class RowFaults:
    """The rows of a file that cannot be used: the first few with their reason, and how many there are.

    Args:
        path: the file.
        of: the class of error that a row at fault raises.
    """

    def __init__(self, path: Path | str, of: type[CogitateError] = DataError):
        self.path, self.of = path, of
        self.first: list[tuple[str, str]] = []  # place, reason
        self.count = 0

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Note the error of the row at `place` (file and line) in place of raising it."""
        try:
            yield
        except self.of as error:
            self.count += 1
            if self.count <= SHOWN_FAULTS:
                self.first.append((place, str(error)))

    def check(self) -> None:
        """Raise one error of their class for all faults; of a single one it names file and line first."""
        if self.count == 1:
            place, reason = self.first[0]
            raise self.of(f"{place}: {reason}")
        if self.count:
            shown = [f"{place.removeprefix(f'{self.path}, ')}: {reason}" for place, reason in self.first]
            raise self.of(f"{self.path}: {self.count} rows cannot be used: {first_and_number(shown, self.count)}")


def first_and_number(shown: Sequence[str], count: int) -> str:
    """`a; b; c; and 7 more`: the first few of `count` things, and how many more there are."""
    shown = shown[:SHOWN_FAULTS]
    more = count - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def read_objects(
    path: Path, faults: RowFaults, *, being_written: bool = False, lone_surrogates: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of each line that is not blank; `place` names file and line.

    Args:
        faults: gets the lines that are no JSON object.
        being_written: a last line without a line end may be half-written, and is then left out.
        lone_surrogates: accept halves of characters, which models may write; they cannot be tokenized.

    Raises:
        DataError: the file cannot be read.
    """
    for number, line, is_last in read_lines(path):
        place = f"{path}, line {number}"
        row = None
        with faults.at(place):
            try:
                row = parse_object(line, lone_surrogates=lone_surrogates)
            except DataError:
                if not (being_written and is_last):
                    raise
        if row is not None:
            yield place, row


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a log of ours, such as metrics.jsonl, which a run may be writing; [] where there is none yet.

    Raises:
        DataError: it is damaged.
    """
    if not path.is_file():
        return []
    faults = RowFaults(path)
    rows = [row for _, row in read_objects(path, faults, being_written=True)]
    faults.check()
    return rows


def read_lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """(number from 1, line, whether no line end follows it) of each line that is not blank."""
    try:
        with path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if text.strip():
                    yield number, text.removesuffix(b"\n"), not text.endswith(b"\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def parse_object(line: bytes, *, lone_surrogates: bool = False) -> dict[str, Any]:
    """One line as an object. Raises DataError with the reason, without its place."""
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8") from error
    try:
        row = json.loads(text, parse_constant=refuse_constant)
        if not lone_surrogates:
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} at character {error.pos + 1}; write one object a line") from error
    except UnicodeEncodeError as error:
        raise DataError("a text holds half of a character (a lone surrogate)") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON that can be used: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"a JSON object is needed, one a line, got {shown(row)}")
    return row


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def shown(value: Any) -> str:
    """A value in a message, cut at 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def counts(values: Iterable[Any]) -> str:
    """`math 12, exact 3`: the most frequent first."""
    return ", ".join(f"{value} {count}" for value, count in Counter(values).most_common()) or "none"


def keys_line(title: str, found: Counter[str]) -> list[str]:
    """A line of the keys and how often each occurs; none where there are none."""
    if not found:
        return []
    more = f" and {len(found) - LISTED_KEYS} more" if len(found) > LISTED_KEYS else ""
    return [f"  {title}: {', '.join(f'{key} {count}' for key, count in found.most_common(LISTED_KEYS))}{more}"]

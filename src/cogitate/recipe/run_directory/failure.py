"""failure.json: which stage failed, and how. It stands in a run directory until the next process works there."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cogitate.errors import CogitateError, Interrupted
from cogitate.runtime import write_json

FAILURE = "failure.json"


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a run.

    Attributes:
        error: one line.
        place: file and line of the code, where it is no error that a user can mend; else "".
    """

    stage: str
    error: str
    place: str = ""


@contextmanager
def failure_recorded(out: Path, stage: str) -> Iterator[None]:
    """Note what ends the stage before it goes on to the caller; an interruption is no failure."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        known = isinstance(error, CogitateError)
        message = " ".join(str(error).split())
        last = traceback.extract_tb(error.__traceback__)[-1]
        failure = Failure(
            stage,
            message if known else f"{type(error).__name__}: {message}",
            "" if known else f"{last.filename}, line {last.lineno}",
        )
        with contextlib.suppress(OSError):  # the disk may be what failed: the error itself is still raised
            write_json(out / FAILURE, {"schema": 1, **asdict(failure)})
        raise


def forget_failure(out: Path) -> None:
    """A new attempt begins."""
    (out / FAILURE).unlink(missing_ok=True)


def read_failure(out: Path) -> Failure | None:
    """What ended the last attempt; None where nothing is noted, or the note cannot be read."""
    try:
        note = json.loads((out / FAILURE).read_text(encoding="utf-8"))
        return Failure(str(note["stage"]), str(note["error"]), str(note["place"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""A start that fails before anything was made leaves a run directory as it found it: none where there was none."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cogitate.errors import Interrupted, RunInUseError
from cogitate.recipe.run_directory.attempt import holds_work
from cogitate.recipe.run_directory.store import MANIFEST, is_shipped_copy

CONFIG, ANSWERS = "config.json", "reward_answers.jsonl"


@contextmanager
def undone_where_nothing_was_made(out: Path) -> Iterator[None]:
    """Around all that a run does with `out`. After a failure delete what this start has put there, unless `out` holds anything
    that was made: a stage, a checkpoint, a step that was logged, an answer of a trusted reward. Copies of what the package
    ships are nothing made.

    An interrupted start is left as it is, since the same command goes on with it; so is the directory of another process.
    """
    missing = [path for path in (out, *out.parents) if not path.exists()]
    before = {path.name for path in out.iterdir()} if out.is_dir() else set()
    attempts = {path.name for path in out.glob("unfinished/*")}
    settings = (out / CONFIG).read_bytes() if (out / CONFIG).is_file() else None
    try:
        yield
    except (Interrupted, RunInUseError):
        raise
    except Exception:
        with contextlib.suppress(OSError):  # the disk may be what failed: the error itself is still raised
            if out.is_dir() and not anything_made(out):
                undo(out, before, attempts, settings)
                for path in missing:
                    path.rmdir()
        raise


def anything_made(out: Path) -> bool:
    """Whether deleting this directory would lose work."""
    finished = any(not is_shipped_copy(path.parent) for path in out.glob(f"*/{MANIFEST}"))
    answered = (out / ANSWERS).is_file() and (out / ANSWERS).stat().st_size > 0  # which may have cost money
    return finished or answered or any(holds_work(work) or logged(work) for work in out.glob("unfinished/*"))


def logged(work: Path) -> bool:
    """Whether an attempt has come as far as a step: its log may say what went wrong."""
    log = work / "out" / "metrics.jsonl"
    return log.is_file() and log.stat().st_size > 0


def undo(out: Path, before: set[str], attempts: set[str], settings: bytes | None) -> None:
    """Delete what is new, and put config.json back."""
    for path in list(out.iterdir()):
        if path.name not in before:
            delete(path)
    for path in list(out.glob("unfinished/*")):
        if path.name not in attempts:
            delete(path)
    if settings is not None:
        (out / CONFIG).write_bytes(settings)


def delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()

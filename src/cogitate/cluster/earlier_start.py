"""The private temporary directory of our own Ray, and what a start that was killed has left: it is found by a record in the
run directory, which others may have written, and is believed only where all of it fits."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from cogitate.runtime import write_json

TOKEN = "token"  # a file in the directory
PREFIX = "cogitate-"
SECONDS_TO_END = 10.0  # for processes of an earlier start, before they are killed


def make_temporary(record: Path) -> Path:
    """A directory that the user alone may enter, with a new token; the record names it before Ray works in it."""
    temporary = Path(tempfile.mkdtemp(prefix=PREFIX))
    token = secrets.token_hex(32)
    (temporary / TOKEN).touch(mode=0o600)
    (temporary / TOKEN).write_text(token)
    write_json(record, {"pid": os.getpid(), "temporary": str(temporary), "token": digest_of(token)})
    return temporary


def end_earlier_start(record: Path, say: Callable[[str], None]) -> None:
    """End what a start that was killed has left: processes of its Ray, which should be gone by themselves, and its files."""
    if not record.is_file():
        return
    temporary = temporary_of(record)
    if temporary is None:
        say(f"{record}: names no temporary directory of an earlier start; nothing is ended")
    elif temporary.exists():
        left = wait_for_end(temporary)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        if left:
            pids = ", ".join(str(process.pid) for process in left)
            say(f"ended processes that an earlier start's Ray has left: {pids}")
        shutil.rmtree(temporary, ignore_errors=True)
    record.unlink()


def temporary_of(record: Path) -> Path | None:
    """The directory that a record names, there or gone; None of a record that `make_temporary` has not written."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        temporary, token = Path(content["temporary"]), content["token"]
        if temporary.parent != Path(tempfile.gettempdir()) or not re.fullmatch(rf"{PREFIX}[a-z0-9_]{{8}}", temporary.name):
            return None
        if not os.path.lexists(temporary):
            return temporary
        found = temporary.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
        return temporary if is_ours and digest_of((temporary / TOKEN).read_text(encoding="utf-8")) == token else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def wait_for_end(temporary: Path) -> list[psutil.Process]:
    """Processes of the Ray that works in a temporary directory and have not ended in time."""
    until = time.monotonic() + SECONDS_TO_END
    while left := processes_of(temporary):
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return left


def processes_of(temporary: Path) -> list[psutil.Process]:
    """Living processes whose command line, or environment, names the directory of a Ray."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and names(process, str(temporary)):
                found.append(process)
    return found


def names(process: psutil.Process, path: str) -> bool:
    return any(path in word for word in process.cmdline()) or any(path in value for value in process.environ().values())

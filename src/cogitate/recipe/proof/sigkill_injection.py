"""SIGKILL at chosen moments, and what must be equal afterwards.

`arm` uses Python's audit events, raised just before each rename, removal, directory or opening for writing: a kill at a
rename falls between a temporary file and its final name. It works in any process, the command line included.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from cogitate.recipe.run_directory.planned import PLAN

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def arm(directory: Path, event_number: int) -> list[str]:
    """Kill this process when it is about to change something below `directory` for the n-th time.

    Returns:
        the list to which each change is appended, for counting them.
    """
    root = str(directory.resolve())
    changes: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changing = event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING)
        if changing and isinstance(arguments[0], str | os.PathLike) and str(Path(arguments[0]).absolute()).startswith(root):
            changes.append(f"{event} {arguments[0]}")
            if len(changes) == event_number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return changes


def outcome(out: Path) -> dict[str, str]:
    """A hash of every file below a run directory or an artifact, of what must not depend on interruptions: no times, no plan of
    them, no log of who works there."""
    found = {}
    for file in sorted(path for path in out.rglob("*") if path.is_file()):
        name = file.relative_to(out).as_posix()
        if name in ("lock", PLAN) or name.startswith("tensorboard/") or file.suffix in (".html",):
            continue
        data = file.read_bytes()
        if file.suffix == ".json":
            data = json.dumps(without_times(json.loads(data))).encode()
        if file.suffix == ".jsonl":
            data = "\n".join(json.dumps(without_times(json.loads(line))) for line in data.splitlines()).encode()
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def without_times(value: Any) -> Any:
    """JSON without seconds (of processors, too), rates per second, peaks of memory, and the hashes of files that hold such."""
    if isinstance(value, dict):
        timed = ("seconds", "per_second", "peak_memory", "metrics.jsonl")
        return {key: without_times(inner) for key, inner in value.items() if not any(word in key for word in timed)}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value

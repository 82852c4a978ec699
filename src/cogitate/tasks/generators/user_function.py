"""A user's own generator as a task: tasks.train = "x.py:problems" calls `problems(seed, count, split)` for rows as in a file.

The function runs in a confined process (`user_rows`), never in ours, and twice: what it gives must depend on its arguments
alone, since a run that is killed asks again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.errors import ConfigError, DataError
from cogitate.json_lines import RowFaults, parse_object
from cogitate.runtime import python_path
from cogitate.tasks.common import Split
from cogitate.tasks.files.jsonl import problems_of_rows
from cogitate.types import Problem

SECONDS_LIMIT = 300.0  # for one call of the function


def file_of(name: str) -> Path:
    """The Python file."""
    return Path(name.rpartition(":")[0])


def function_problems(name: str, count: int, *, split: Split, seed: int) -> list[Problem]:
    """The problems that a function gives when it is asked for `count` rows; equal rows are one problem.

    Args:
        name: e.g. "mine/x.py:problems".

    Raises:
        ConfigError: there is no such file or function.
        DataError: the function fails, takes too long, gives another number of rows, or others the second time; or rows are
            wrong: names the first of them, and says how many there are.
    """
    path = file_of(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: {path} cannot be read: {error.strerror}; write it as FILE.py:FUNCTION") from error
    rows = make_rows(name, count, split, seed, hashlib.sha256(content).hexdigest())
    faults = RowFaults(name)
    problems = problems_of_rows(parsed(rows, name, faults), f"{path.stem}:{name.rpartition(':')[2]}", faults)
    faults.check()
    return problems


def parsed(rows: tuple[str, ...], name: str, faults: RowFaults) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of each row that is a JSON object."""
    for number, text in enumerate(rows, 1):
        place, row = f"{name}, row {number}", None
        with faults.at(place):
            row = parse_object(text.encode())
        if row is not None:
            yield place, row


@lru_cache(maxsize=64)
def make_rows(name: str, count: int, split: Split, seed: int, content: str) -> tuple[str, ...]:
    """The function's rows as JSON texts, kept for the next stage that asks for them.

    Args:
        content: hash of the file: another one is asked again.
    """
    first, second = (call_function(name, count, split, seed) for _ in range(2))
    if first != second:
        number = next(number for number, (one, other) in enumerate(zip(first, second, strict=True), 1) if one != other)
        raise DataError(
            f"{name}, row {number}: another one when the function is called again with seed {seed}: draw everything from "
            "random.Random(seed)"
        )
    return first


def call_function(name: str, count: int, split: Split, seed: int) -> tuple[str, ...]:
    """Its rows, from a fresh process. Raises as function_problems."""
    file, _, function = name.rpartition(":")
    order = {"file": file, "function": function, "count": count, "split": split, "seed": seed}
    try:
        finished = subprocess.run(
            [sys.executable, "-P", "-m", "cogitate.tasks.generators.user_rows", str(os.getpid())],
            input=json.dumps(order).encode(),
            capture_output=True,
            env={**os.environ, "PYTHONPATH": python_path(), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # an interruption from the terminal is for us alone
            timeout=SECONDS_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{name}: not done with {count} rows after {SECONDS_LIMIT:g} seconds") from error
    if finished.returncode:
        last = finished.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise DataError(f"{name}: its process ended with code {finished.returncode}: {last[:300]}")
    answer = json.loads(finished.stdout)
    if "config_error" in answer:
        raise ConfigError(f"{name}: {answer['config_error']}")
    if "error" in answer:
        raise DataError(f"{name}: {answer['error']}")
    return tuple(answer["rows"])

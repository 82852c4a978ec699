"""The process that calls a user's generator of problems: an order on standard input, its rows on standard output, both JSON.

Started by `user_function` as `python -m cogitate.tasks.generators.user_rows PARENT_PID` with a fixed hash seed. It confines
itself like a grader worker before it loads the file; whatever the function prints goes to standard error.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cogitate.errors import ConfigError, DataError
from cogitate.json_lines import shown
from cogitate.rewards.user_function import run_file
from cogitate.rewards.workers.worker import confine, limit_memory
from cogitate.runtime import die_with_parent


def main() -> None:
    """Carry out one order: {"file", "function", "seed", "count", "split"}."""
    die_with_parent(int(sys.argv[1]))
    replies = os.dup(1)
    os.dup2(2, 1)
    order = json.load(sys.stdin)
    limit_memory()
    confine()
    answer: dict[str, Any]
    try:
        answer = {"rows": rows_of(order)}
    except ConfigError as error:
        answer = {"config_error": str(error)}
    except DataError as error:
        answer = {"error": str(error)}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's function may raise anything
        answer = {"error": f"{type(error).__name__}: {error}{place_of(error, order['file'])}"}
    with os.fdopen(replies, "w") as stream:
        json.dump(answer, stream)


def rows_of(order: dict[str, Any]) -> list[str]:
    """The rows as JSON texts.

    Raises:
        ConfigError: the file has no such function.
        DataError: it gives no rows, another number of them, or one that JSON cannot write.
        Exception: whatever the user's code raises.
    """
    count = order["count"]
    given = run_file(Path(order["file"]), order["function"])(order["seed"], count, order["split"])
    if not isinstance(given, Iterable):
        raise DataError(f"must return or yield rows, got {shown(given)}")
    rows = [json_of(row, number) for number, row in enumerate(itertools.islice(given, count + 1), 1)]
    if len(rows) != count:
        gave = f"more than {count}" if len(rows) > count else f"{len(rows)} of {count}"
        raise DataError(f"gave {gave} rows; give as many as are asked for")
    return rows


def json_of(row: Any, number: int) -> str:
    try:
        return json.dumps(row)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"row {number}: {error}; a row holds texts, numbers, lists and objects") from error


def place_of(error: BaseException, file: str) -> str:
    """` (x.py, line 3)`: the innermost line of the user's file that took part in it."""
    if isinstance(error, SyntaxError) and error.filename and os.path.samefile(error.filename, file):
        return f" ({file}, line {error.lineno})"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)]
    return f" ({file}, line {lines[-1]})" if lines else ""


if __name__ == "__main__":
    main()

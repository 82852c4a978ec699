"""Grade a file: one completion a line in, the same line with its verdict out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, counts, keys_line, read_objects
from cogitate.rewards.answer import CONTRACTS
from cogitate.rewards.kinds import KINDS, check_fields
from cogitate.rewards.workers.pool import GraderPool
from cogitate.runtime import atomic_write
from cogitate.types import Problem, Verdict

IN_WORK = 1000  # completions handed to the pool at a time
READ_OF_EVERY_KIND = ("kind", "prediction", "contract")


def grade_file(
    path: Path,
    out: Path,
    *,
    workers: int = 2,
    audit: bool = False,
    seconds_limit: float = 5.0,
    custom: str | None = None,
    unsafe_local: bool = False,
    packages: Sequence[str] = (),
    remote_sandbox: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """Grade every line of a JSON Lines file and write the lines, in order, with their verdicts.

    Each line needs `kind` and `prediction`, and what its kind needs (kinds.py); `contract` is "r1" where it is absent.
    The line is repeated with `verdict`, `score`, `reason`, `extracted` and `seconds`.

    Args:
        audit: also ask math-verify about every mathematical answer; disagreements go to `OUT.audit.jsonl`.
        seconds_limit: hard limit of one verdict.
        custom: "file.py:function" for lines of kind custom.
        unsafe_local, packages, remote_sandbox: where model-written code runs, see Isolation.
        say: gets lines for a person about the rows, before the first is graded.

    Returns:
        How many verdicts of each value there are, as one line.

    Raises:
        DataError: the file or a line cannot be used; nothing has been graded then.
        ConfigError: the custom reward cannot be loaded, or where code runs is not said well.
    """
    rows = read_rows(path, custom=custom is not None)
    if not out.parent.is_dir():
        raise DataError(f"{out}: the directory {out.parent} does not exist")
    for line in describe_rows(path, rows):
        say(line)
    with GraderPool(
        workers,
        seconds_limit,
        custom=custom,
        unsafe_local=unsafe_local,
        packages=packages,
        remote_sandbox=remote_sandbox,
        audit=audit,
    ) as pool:
        verdicts = _grade_rows(pool, rows)
        disagreements = pool.finish_audit()
    write_rows(out, [row | _shown(verdict) for row, verdict in zip(rows, verdicts, strict=True)])
    summary = _summary(verdicts)
    if audit:
        log = out.with_name(f"{out.name}.audit.jsonl")
        write_rows(log, [_with_line(row) for row in disagreements])
        summary += f"; {len(disagreements)} disagreements with math-verify in {log}"
    return summary


def read_rows(path: Path, *, custom: bool) -> list[dict[str, Any]]:
    """The lines of a file as mappings, each checked.

    Raises:
        DataError: names the file and the first wrong lines, and says how many there are.
    """
    faults = RowFaults(path)
    rows = []
    for place, row in read_objects(path, faults, lone_surrogates=True):
        with faults.at(place):
            check_row(row, custom=custom)
            rows.append(row)
    faults.check()
    if not rows:
        raise DataError(f"{path}: there are no lines to grade")
    if custom and not any(KINDS[row["kind"]].needs_function for row in rows):
        raise DataError(f"{path}: no line is of kind custom, so that the custom function would judge nothing: leave it out")
    return rows


def describe_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the rows are, and which of their keys no grader reads."""
    unread = Counter(key for row in rows for key in row if not is_read(key, row["kind"]))
    kinds, contracts = counts(row["kind"] for row in rows), counts(row.get("contract", "r1") for row in rows)
    return [f"{path}: {len(rows)} rows; kind: {kinds}; contract: {contracts}", *keys_line("keys that no grader reads", unread)]


def is_read(key: str, kind: str) -> bool:
    """Whether a grader reads this key of its rows; a user's function may read all of them."""
    return KINDS[kind].needs_function or key in READ_OF_EVERY_KIND or key in KINDS[kind].fields


def check_row(row: Mapping[str, Any], *, custom: bool) -> None:
    """Raises DataError where something that its kind needs is missing or wrong."""
    for name in ("kind", "prediction"):
        if not isinstance(row.get(name), str):
            raise DataError(f"the field {name!r} is needed, a text")
    if row.get("contract", "r1") not in CONTRACTS:
        raise DataError(f"contract {row['contract']!r} is unknown; known are {', '.join(CONTRACTS)}")
    check_fields(row["kind"], row)
    kind = KINDS[row["kind"]]
    kind.check_library(row)
    if kind.needs_function and not custom:
        raise DataError(f'kind {kind.name} needs a function: custom="file.py:function"')


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write JSON Lines, atomically; lone surrogates are written as escapes."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        for row in rows:
            text = json.dumps(row, ensure_ascii=False)
            handle.write(text if _is_encodable(text) else json.dumps(row))
            handle.write("\n")


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _grade_rows(pool: GraderPool, rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts: dict[int, Verdict] = {}
    submitted = 0
    while len(verdicts) < len(rows):
        while submitted < len(rows) and pool.pending() < IN_WORK:
            row = rows[submitted]
            pool.submit(str(submitted), _problem(submitted, row), row["prediction"], row.get("contract", "r1"))
            submitted += 1
        verdicts.update((int(name), verdict) for name, verdict in pool.poll(1.0))
    return [verdicts[index] for index in range(len(rows))]


def _problem(index: int, row: Mapping[str, Any]) -> Problem:
    fields = {name: value for name, value in row.items() if name not in ("kind", "prediction", "contract")}
    fields.setdefault("weaker_tests", True)  # of code: good enough to look at, where no reward hangs on it
    return Problem(str(index), "file", row["kind"], "", gold=row.get("gold"), fields=fields)


def _shown(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.value,
        "score": verdict.score,
        "reason": verdict.reason,
        "extracted": verdict.extracted,
        "seconds": round(verdict.seconds, 6),
    }


def _with_line(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"line": int(row["request_id"]) + 1} | {name: value for name, value in row.items() if name != "request_id"}


def _summary(verdicts: list[Verdict]) -> str:
    counts = Counter(verdict.value for verdict in verdicts)
    return f"{len(verdicts)} graded: {counts['right']} right, {counts['wrong']} wrong, {counts['none']} without a verdict"

"""completions.jsonl: every completion that a number was made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.evals.evaluate import Measured
from cogitate.evals.general import Scored
from cogitate.runtime import atomic_write


def write_completions(
    path: Path,
    groups_of: Mapping[str, Sequence[Sequence[Measured]]],
    general: Mapping[str, Sequence[Sequence[Scored]]] | None = None,
) -> None:
    """Every completion, one a line, so that each number can be traced to texts: graded ones, then those of general prompts."""
    write_rows(path, [*completion_rows(groups_of), *completion_rows(general or {})])


def completion_rows(groups_of: Mapping[str, Sequence[Sequence[Measured | Scored]]]) -> Iterator[dict[str, Any]]:
    """The completions of each prompt as lines of the file."""
    for prompt, groups in groups_of.items():
        for group in groups:
            yield from ({"prompt": prompt, **each.row()} for each in group)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """All rows, or an unchanged file."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

"""completions.jsonl: every completion that a number was made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cogitate.evals.evaluate import Measured
from cogitate.evals.general import Scored
from cogitate.runtime import atomic_write


def write_completions(
    path: Path,
    groups_of: Mapping[str, Sequence[Sequence[Measured]]],
    general: Mapping[str, Sequence[Sequence[Scored]]] | None = None,
) -> None:
    """Every completion, one a line, so that each number can be traced to texts: graded ones, then those of general prompts."""
    rows = [(prompt, each.row()) for prompt, groups in groups_of.items() for group in groups for each in group]
    rows += [(prompt, each.row()) for prompt, groups in (general or {}).items() for group in groups for each in group]
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        handle.writelines(json.dumps({"prompt": prompt, **row}, ensure_ascii=False) + "\n" for prompt, row in rows)

"""provenance.jsonl of an artifact: from each row to the decision that made it, and from each decision to its row.

A row of data.parquet whose id stands here was decided on by a person: `event` is the hash of that decision in the studio's log,
and `delta` says how the text was edited (diff-match-patch: `=5` keeps five characters, `-3` deletes three, `+...` inserts,
percent-encoded).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cogitate.recipe.data.review import Decision

FILE = "provenance.jsonl"
OF_THE_EVENT = (
    "by", "at", "opened_at", "active_seconds", "contested", "final", "guidelines", "verdict_before", "verdict_after", "delta",
)  # fmt: skip


def provenance_rows(decisions: Mapping[str, Decision], kept: Collection[str], rules: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row for each decision of a studio's log, in the order of the log.

    Args:
        kept: ids of the rows of the data.
        rules: why each other item is no row, by id.
    """
    of_log = [(item, decision.kind, decision.event) for item, decision in decisions.items() if decision.event is not None]
    return [
        {
            "id": item,
            "row": item in kept,
            **({} if item in kept else {"rule": rules[item]}),
            "decision": kind,
            "event": event["hash"],
            "n": event["n"],
            **{key: event[key] for key in OF_THE_EVENT if key in event},
        }
        for item, kind, event in sorted(of_log, key=lambda one: int(one[2]["n"]))
    ]

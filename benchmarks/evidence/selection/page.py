"""The figures as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.evidence.drawing import introduction
from benchmarks.evidence.page import percent, table
from benchmarks.evidence.selection.figures import BASE, LESS, SEARCHER, ZERO

SIDES = (BASE, SEARCHER, ZERO)
COUNTED = ("all", "levels 1 to 3, as trained", "levels 4 and 5, never trained")


def as_markdown(found: Mapping[str, Any]) -> str:
    """README.md."""
    passes = found["pass@k"]
    ks = list(passes["all"][BASE])
    first, last = ks[0], ks[-1]
    blocks = [
        "# Selection or emergence?",
        f"{found['problems']} unseen puzzles. {introduction(found)} *{SEARCHER}*: base, with one puzzle of the same family and "
        "language in its prompt, solved by a searcher of the corpus.",
        "## At least one of k right (unbiased)",
        table(["", *ks], [[name, *(percent(passes["all"][name][k]) for k in ks)] for name in SIDES]),
        table(["", *ks], [[name, *(percent(passes["all"][name][k], sign="+") for k in ks)] for name in LESS]),
        by_group(passes, first, last),
        "## What one solves and another does not",
        "The number of problems of which at least one completion of the one is right and none of the other, and their share. "
        "Chance alone makes some of these: the last row is base against itself.",
        counted(found["one and not the other"]),
        "## Votes",
        voted(found["votes"]),
        "## Searching",
        "Completions that reject a try and go on (of the families with candidates to try), and that the limit cuts off:",
        table(
            ["", "rejects a try and goes on", "cut off"],
            [[name, percent(row["rejects"]), percent(row["cut_off"])] for name, row in found["searching"].items()],
        ),
        "## A searcher's solutions",
        "Each problem has one of its own in its prompt; the first of each family and language:",
        *(f"````\nQuestion: {each['question']}\nAnswer: {each['solution']}\n````" for each in found["examples"]),
    ]
    return "\n\n".join(blocks) + "\n"


def by_group(passes: Mapping[str, Any], first: str, last: str) -> str:
    """By level and by family, once and many times."""
    rows = [
        [name, str(row["problems"]), *(percent(row[side][k]) for k in (first, last) for side in SIDES)]
        for name, row in passes.items()
    ]
    return table(["", "problems", *(f"{side}, {k}" for k in (first, last) for side in SIDES)], rows)


def counted(by_group: Mapping[str, Any]) -> str:
    """A row for each pair of sides."""
    groups = [name for name in COUNTED if name in by_group]
    rows = [
        [name, *(f"{each['problems']:.1f} of {each['of']}: {percent(each['share'])} %" for each in cells)]
        for name, *cells in ((name, *(by_group[group][name] for group in groups)) for name in by_group["all"])
    ]
    return table(["", *groups], rows)


def voted(votes: Mapping[str, Any]) -> str:
    """cons@k beside pass@1 of the same completions."""
    if "problems" not in votes:
        return "None of these problems has answers that can be compared."
    rows = [[side, *(percent(votes[side][name], sign=sign) for name, sign in (("cons@k", ""), ("pass@1", ""), ("gain", "+")))]
            for side in SIDES]  # fmt: skip
    head = table(["", f"cons@{votes['k']}", "pass@1", "gain"], rows)
    return (
        f"The most frequent answer of {votes['k']} completions, ties split, beside pass@1 of the same completions, on the "
        f"{votes['problems']} problems whose answers can be compared (find x, long sums):\n\n{head}"
    )

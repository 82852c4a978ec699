"""How far annotators agree on the items that several of them decided.

Krippendorff's alpha for nominal data is over all of them; Cohen's kappa is for each two. Skips are no decisions. An edit agrees
with an edit whatever its text; how alike the texts are is said beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any

import krippendorff
import numpy as np

from cogitate.recipe.data.decisions.chain import Event


def label(event: Event) -> str:
    """What is compared."""
    return str(event.get("choice") or event["do"])


def agreement(decisions: Mapping[str, Mapping[str, Event]]) -> dict[str, Any]:
    """The figures; None where they are not defined (fewer than two deciders of any item, or all decisions alike).

    Args:
        decisions: by item and annotator.
    """
    shared = {item: found for item, found in decisions.items() if len(found) > 1}
    labels = [[label(event) for event in found.values()] for found in shared.values()]
    names = sorted({name for found in shared.values() for name in found})
    pairs = []
    for first, second in combinations(names, 2):
        both = [(label(found[first]), label(found[second])) for found in shared.values() if {first, second} <= found.keys()]
        if both:
            same = sum(a == b for a, b in both)
            kappa = rounded(cohens_kappa(both))
            pairs.append({"annotators": [first, second], "items": len(both), "same": same, "kappa": kappa})
    similar = [
        SequenceMatcher(None, a["text"], b["text"], autojunk=False).ratio()
        for found in shared.values()
        for a, b in combinations([event for event in found.values() if event["do"] == "edit"], 2)
    ]
    return {
        "items": len(shared),
        "same": sum(len(set(found)) == 1 for found in labels),
        "alpha": rounded(krippendorffs_alpha(labels)),
        "pairs": pairs,
        "edits_by_several": len(similar),
        "similarity_of_edits": rounded(sum(similar) / len(similar)) if similar else None,
    }


def krippendorffs_alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Nominal alpha of the labels that each unit got; units with one label are left out."""
    kinds = sorted({label for unit in units for label in unit})
    if len(kinds) < 2:
        return None
    counts = np.array([[unit.count(kind) for kind in kinds] for unit in units])
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """(observed - expected) / (1 - expected) agreement of two annotators; None where they could only agree."""
    observed = sum(a == b for a, b in pairs) / len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(first[kind] * second[kind] for kind in first) / len(pairs) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

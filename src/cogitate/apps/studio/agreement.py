"""How far annotators agree on the items that several of them decided.

Krippendorff's alpha for nominal data is over all of them; Cohen's kappa is for each two. Skips are no decisions. In both an
edit agrees with an edit whatever its text. So three figures stand beside them: alpha of kept (accepted or edited) against
rejected; how many pairs of edits have one text; what two edits of an item have in common of the words that they changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import krippendorff
import numpy as np

from cogitate.apps.studio.reading import words
from cogitate.recipe.data.decisions.chain import Event

KEPT = {"accept": "kept", "edit": "kept"}


def label(event: Event) -> str:
    """What is compared."""
    return str(event.get("choice") or event["do"])


def agreement(decisions: Mapping[str, Mapping[str, Event]], texts: Mapping[str, str]) -> dict[str, Any]:
    """The figures; None where they are not defined (fewer than two deciders of any item, or all decisions alike).

    Args:
        decisions: by item and annotator.
        texts: what was edited, by item.
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
    edits = [
        (texts[item], one["text"], other["text"])
        for item, found in shared.items()
        for one, other in combinations([event for event in found.values() if event["do"] == "edit"], 2)
    ]
    return {
        "items": len(shared),
        "same": sum(len(set(found)) == 1 for found in labels),
        "alpha": rounded(krippendorffs_alpha(labels)),
        "alpha_kept": rounded(krippendorffs_alpha([[KEPT.get(one, one) for one in found] for found in labels])),
        "pairs": pairs,
        "edits": len(edits),
        "same_edits": sum(one == other for _, one, other in edits),
        "similarity_of_edits": rounded(sum(similarity(*edit) for edit in edits) / len(edits)) if edits else None,
    }


def similarity(before: str, one: str, other: str) -> float:
    """Dice's coefficient of what two edits of a text added and removed, word by word, wherever it stood; 1 for equal edits.

    The words that both left alone do not count: two edits of a long text would always be alike.
    """
    if one == other:
        return 1.0
    changed = [changed_words(before, text) for text in (one, other)]
    total = sum(found.total() for found in changed)
    return 2 * (changed[0] & changed[1]).total() / total if total else 0.0


def changed_words(before: str, after: str) -> Counter[tuple[str, str]]:
    old, new = Counter(words(before)), Counter(words(after))
    return Counter({("+", word): n for word, n in (new - old).items()} | {("-", word): n for word, n in (old - new).items()})


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

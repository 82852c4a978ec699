"""Who decides what, and in which order: queues without clashes, with a share of items that two people decide."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from cogitate.apps.studio.sources import Item, text_of
from cogitate.evals.text_metrics import length_in_words
from cogitate.recipe.data.decisions.standing import DECISIONS, Standing

ON_AN_OVERLAP = 2  # annotators of an item that more than one decides
State = Literal["open", "undecided", "decided", "skipped", "contested", "disagreed", "noted", "all"]
Assigned = Mapping[str, tuple[str, ...]]  # who decides each item
Order = Literal["file", "problem", "longest", "shortest", "shuffled"]
MANY_SECONDS = 600.0  # a longer time on one item was no work on it


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; an empty text asks for nothing.

    Attributes:
        state: of the annotator's own work; "open": undecided, the skipped ones last. "disagreed": of all annotators.
        search: words that must all stand in the question or the text.
        source, verdict, fault, language: equal to the item's.
        least, most: words of the text; most = 0: no limit.
    """

    state: State = "open"
    search: str = ""
    source: str = ""
    verdict: str = ""
    fault: str = ""
    language: str = ""
    least: int = 0
    most: int = 0
    order: Order = "file"


@dataclass(frozen=True, slots=True)
class Entry:
    """What filters look at, of one item."""

    id: str
    place: int
    source: str
    verdict: str
    faults: tuple[str, ...]
    language: str
    words: int
    problem: str
    text: str = field(repr=False)  # question and text in lower case


def index(items: Sequence[Item]) -> dict[str, Entry]:
    return {item["id"]: entry(item, place) for place, item in enumerate(items)}


def entry(item: Item, place: int) -> Entry:
    text = "\n".join(str(item[key]) for key in ("question", "text", "a", "b") if item.get(key))
    return Entry(
        item["id"], place, str(item.get("source") or ""), str(item.get("verdict") or ""), tuple(item.get("faults") or ()),
        str(item.get("language") or ""), length_in_words(text_of(item)) if "a" not in item else length_in_words(item["a"]),
        f"{item.get('task')}\x1f{item['problem_id']}" if item.get("problem_id") else item["question"],
        text.lower(),
    )  # fmt: skip


def share(*parts: str) -> float:
    """0..1, from a hash: the same for the same parts wherever it is computed."""
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:7], "big") / 2**56


def assign(names: Sequence[str], item: str, overlap: float, deciders: Collection[str] = ()) -> tuple[str, ...]:
    """Who decides an item: those who have decided it, then by rendezvous hashing, which moves items to new annotators alone."""
    ranked = sorted(names, key=lambda name: (name not in deciders, share("of", name, item)))
    return tuple(ranked[: ON_AN_OVERLAP if share("overlap", item) < overlap else 1])


def select(
    entries: Iterable[Entry],
    wanted: Filter,
    standing: Standing,
    by: str,
    mine: Assigned,
    *,
    adjudicates: bool,
) -> list[Entry]:
    """The items that a filter asks for, in its order."""
    words = wanted.search.lower().split()
    found = [
        one
        for one in entries
        if (not wanted.source or one.source == wanted.source)
        and (not wanted.verdict or one.verdict == wanted.verdict)
        and (not wanted.fault or wanted.fault in one.faults)
        and (not wanted.language or one.language == wanted.language)
        and one.words >= wanted.least
        and (not wanted.most or one.words <= wanted.most)
        and all(word in one.text for word in words)
        and in_state(one.id, wanted.state, standing, by, mine, adjudicates=adjudicates)
    ]
    in_order = ordered(found, wanted.order, by)
    if wanted.state == "open" and not adjudicates:
        in_order.sort(key=lambda one: skipped_at(standing, one.id, by))
    return in_order


def in_state(item: str, state: State, standing: Standing, by: str, mine: Assigned, *, adjudicates: bool) -> bool:
    if state == "all":
        return True
    if state == "disagreed" and not adjudicates:
        return False  # it would say what others have decided
    if adjudicates and state in ("disagreed", "open", "undecided"):
        return standing.outcome(item).state == "disagreed"
    decided = standing.final(item) if adjudicates else standing.decision(item, by)
    if state == "decided":
        return decided is not None
    if state == "contested":
        return decided is not None and bool(decided.get("contested"))
    if state == "noted":
        return any(standing.last(item, by, kind) for kind in ("note", "tags"))
    if by not in mine[item] or decided is not None:
        return False
    return state != "skipped" or skipped_at(standing, item, by) > 0


def skipped_at(standing: Standing, item: str, by: str) -> int:
    """The number of the event by which an annotator put it off; 0 where that is not so."""
    last = standing.last(item, by, *DECISIONS, "skip")
    return int(last["n"]) if last is not None and last["do"] == "skip" else 0


def ordered(entries: list[Entry], order: Order, by: str) -> list[Entry]:
    if order == "problem":
        return sorted(entries, key=lambda one: (one.problem, one.place))
    if order in ("longest", "shortest"):
        return sorted(entries, key=lambda one: (one.words if order == "shortest" else -one.words, one.place))
    if order == "shuffled":
        shuffled = list(entries)
        random.Random(f"order of {by}").shuffle(shuffled)
        return shuffled
    return entries


def progress(entries: Iterable[Entry], standing: Standing, by: str, mine: Assigned) -> dict[str, Any]:
    """How far an annotator is, how fast, and how long the rest takes at this pace."""
    own = [one.id for one in entries if by in mine[one.id]]
    decided = [event for event in (standing.decision(item, by) for item in own) if event is not None]
    kinds: dict[str, int] = {}
    for event in decided:
        name = event.get("choice") or event["do"]
        kinds[name] = kinds.get(name, 0) + 1
    seconds = [min(float(event.get("active_seconds") or 0), MANY_SECONDS) for event in decided]
    pace = median(seconds[-50:]) if seconds else None
    left = len(own) - len(decided)
    return {
        "items": len(own),
        "decided": len(decided),
        "skipped": sum(skipped_at(standing, item, by) > 0 for item in own),
        "contested": sum(bool(event.get("contested")) for event in decided),
        "by_decision": kinds,
        "seconds_an_item": None if pace is None else round(pace, 1),
        "minutes": round(sum(seconds) / 60, 1),
        "minutes_left": None if pace is None else round(left * pace / 60, 1),
    }

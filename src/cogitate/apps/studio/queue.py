"""Who decides what, and in which order: queues without clashes, with a share of items that two people decide."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any, Literal

from cogitate.apps.studio.sources import Item, text_of
from cogitate.evals.text_metrics import length_in_words
from cogitate.recipe.data.decisions.chain import Event
from cogitate.recipe.data.decisions.standing import REMARKS, Standing

ON_AN_OVERLAP = 2  # annotators of an item that more than one decides
State = Literal["open", "undecided", "decided", "skipped", "contested", "disagreed", "noted", "all"]
Order = Literal["file", "problem", "longest", "shortest", "shuffled"]
MANY_SECONDS = 600.0  # a longer time on one item was no work on it


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; an empty text asks for nothing.

    Attributes:
        state: of the annotator's own work; "open": undecided, the skipped ones last. "disagreed": of all annotators.
        search: words that must all stand in the question or the text.
        source, verdict, fault, language: equal to the item's.
        least, most: words of the text, of a pair of both; most = 0: no limit.
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


@dataclass(frozen=True)
class Entry:
    """What filters look at, of one item. What costs time is found out when it is asked for: a studio opens without it."""

    id: str
    place: int
    source: str
    verdict: str
    faults: tuple[str, ...]
    language: str
    problem: str
    question: str = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)  # of a pair both

    @cached_property
    def words(self) -> int:
        return sum(map(length_in_words, self.texts))

    def has(self, words: Sequence[str]) -> bool:
        """Whether each of these, in lower case, stands in the question or the text."""
        text = "\n".join((self.question, *self.texts)).lower()
        return all(word in text for word in words)


def index(items: Sequence[Item]) -> dict[str, Entry]:
    return {item["id"]: entry(item, place) for place, item in enumerate(items)}


def entry(item: Item, place: int) -> Entry:
    return Entry(
        item["id"], place, str(item.get("source") or ""), str(item.get("verdict") or ""), tuple(item.get("faults") or ()),
        str(item.get("language") or ""),
        f"{item.get('task')}\x1f{item['problem_id']}" if item.get("problem_id") else item["question"],
        item["question"], (item["a"], item["b"]) if "a" in item else (text_of(item),),
    )  # fmt: skip


def share(*parts: str) -> float:
    """0..1, from a hash: the same for the same parts wherever it is computed."""
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:7], "big") / 2**56


def assign(names: Sequence[str], item: str, overlap: float, deciders: Collection[str] = ()) -> tuple[str, ...]:
    """Who decides an item: those who have decided it, then by rendezvous hashing, which moves items to new annotators alone.

    What somebody decided who is no annotator any more counts: nobody is asked in their place.
    """
    ranked = sorted(names, key=lambda name: (name not in deciders, share("of", name, item)))
    count = ON_AN_OVERLAP if share("overlap", item) < overlap else 1
    return tuple(ranked[: max(0, count - len(set(deciders) - set(names)))])


@dataclass(frozen=True, slots=True)
class Own:
    """What stands of an annotator's own actions, by item; adjudications left out.

    Attributes:
        skipped: of what is not decided, the number of the event by which an item was put off last.
        noted: items with a note or tags.
    """

    decided: Mapping[str, Event]
    skipped: Mapping[str, int]
    noted: Collection[str]


def own(standing: Standing, by: str) -> Own:
    """In one pass over the annotator's actions, however many items there are."""
    decided: dict[str, Event] = {}
    skipped: dict[str, int] = {}
    noted: set[str] = set()
    for event in standing.own_events(by):
        item = event["item"]
        if event["do"] in REMARKS:
            noted.add(item)
        elif event["do"] == "skip" and item not in decided:
            skipped[item] = event["n"]
        elif event["do"] != "skip" and not event.get("final"):
            decided.pop(item, None)  # to the end: the pace is of those decided last
            decided[item] = event
            skipped.pop(item, None)
    return Own(decided, skipped, noted)


def select(entries: Iterable[Entry], wanted: Filter, mine: Collection[str], done: Own, by: str) -> list[Entry]:
    """The items that a filter asks for, in its order.

    Args:
        mine: the items that an annotator is asked for.
        done: what the annotator did on them.
    """
    found = [one for one in entries if fits(one, wanted) and in_state(one.id, wanted.state, mine, done)]
    in_order = ordered(found, wanted.order, by)
    return skipped_last(in_order, done) if wanted.state == "open" else in_order


def select_to_adjudicate(entries: Iterable[Entry], wanted: Filter, standing: Standing, done: Own, by: str) -> list[Entry]:
    """The same for an adjudicator, who is asked for what annotators disagree on, and whose decisions are the final ones."""
    if wanted.state in ("decided", "contested"):
        finals = {item: final for item in standing.items() if (final := standing.final(item)) is not None}
        asked = {item for item, final in finals.items() if wanted.state == "decided" or final.get("contested")}
    elif wanted.state in ("all", "noted"):
        asked = {one.id for one in entries if in_state(one.id, wanted.state, (), done)}
    else:
        asked = {item for item in standing.items() if standing.outcome(item).state == "disagreed"}
        asked &= done.skipped.keys() if wanted.state == "skipped" else asked
    in_order = ordered([one for one in entries if one.id in asked and fits(one, wanted)], wanted.order, by)
    return skipped_last(in_order, done) if wanted.state == "open" else in_order


def skipped_last(entries: list[Entry], done: Own) -> list[Entry]:
    return sorted(entries, key=lambda one: done.skipped.get(one.id, 0)) if done.skipped else entries


def fits(one: Entry, wanted: Filter) -> bool:
    return (
        (not wanted.source or one.source == wanted.source)
        and (not wanted.verdict or one.verdict == wanted.verdict)
        and (not wanted.fault or wanted.fault in one.faults)
        and (not wanted.language or one.language == wanted.language)
        and (not wanted.least or one.words >= wanted.least)
        and (not wanted.most or one.words <= wanted.most)
        and (not wanted.search or one.has(wanted.search.lower().split()))
    )


def in_state(item: str, state: State, mine: Collection[str], done: Own) -> bool:
    if state == "all":
        return True
    if state == "disagreed":
        return False  # it would say what others have decided
    if state == "decided":
        return item in done.decided
    if state == "contested":
        return item in done.decided and bool(done.decided[item].get("contested"))
    if state == "noted":
        return item in done.noted
    return item in mine and item not in done.decided and (state != "skipped" or item in done.skipped)


def shown_as(event: Event, left: str | None = None) -> str:
    """What somebody did, in the page's words.

    Args:
        left: which of a pair the reader sees on the left; None: who decided reads it.
    """
    choice = event.get("choice") or event["do"]
    if choice not in ("a", "b"):
        return str(choice)
    return "left" if choice == (left or event.get("shown_first")) else "right"


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


def progress(mine: Collection[str], done: Own) -> dict[str, Any]:
    """How far an annotator is, how fast, and how long the rest takes at this pace."""
    decided = [event for item, event in done.decided.items() if item in mine]
    kinds: dict[str, int] = {}
    for event in decided:
        kinds[shown_as(event)] = kinds.get(shown_as(event), 0) + 1
    seconds = [min(float(event.get("active_seconds") or 0), MANY_SECONDS) for event in decided]
    pace = median(seconds[-50:]) if seconds else None
    left = len(mine) - len(decided)
    return {
        "items": len(mine),
        "decided": len(decided),
        "skipped": sum(item in mine for item in done.skipped),
        "contested": sum(bool(event.get("contested")) for event in decided),
        "by_decision": kinds,
        "seconds_an_item": None if pace is None else round(pace, 1),
        "minutes": round(sum(seconds) / 60, 1),
        "minutes_left": None if pace is None else round(left * pace / 60, 1),
    }

"""What stands of a log of events, after every undo and redo: each annotator's decision on each item, and the outcome of all.

| event | keys beside `item` and `by` | meaning |
|---|---|---|
| `accept`, `edit`, `reject` | `text` (of edit), `contested` (a reason), `final` (an adjudication) | a decision |
| `prefer` | `choice`: a, b, tie, both_bad | a decision on a pair |
| `label` | `choice`: safe, unsafe | a decision on a completion |
| `skip` | | not now: the item goes to the end of the queue |
| `note`, `tags` | `note`; `tags` | remarks |
| `undo`, `redo` | `of`: the number of the event | no limit; each annotator's own events alone |

A redo stands ready until the same annotator does something else on the same item. Other events (`begin`) say nothing of items.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cogitate.recipe.data.decisions.chain import Event

DECISIONS = ("accept", "edit", "reject", "prefer", "label")
REMARKS = ("note", "tags")
ON_ITEMS = (*DECISIONS, "skip", *REMARKS)
OutcomeState = Literal["undecided", "decided", "disagreed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all annotators together decided on an item.

    Attributes:
        event: the decision that stands: the adjudication, else the latest of equal ones; None where there is none.
        deciders: who decided, adjudicators left out.
    """

    state: OutcomeState
    event: Event | None = None
    deciders: tuple[str, ...] = ()


class Standing:
    """Events, applied one by one."""

    def __init__(self, events: Iterable[Event] = ()):
        self._events: dict[int, Event] = {}
        self._done: dict[str, list[int]] = defaultdict(list)  # by annotator: numbers in the order to be undone
        self._undone: dict[str, list[int]] = defaultdict(list)
        # What stands, by item and annotator.
        self._of_item: dict[str, dict[str, list[Event]]] = defaultdict(lambda: defaultdict(list))
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Raises ValueError for an undo or redo of what cannot be: `next_undo` and `next_redo` say what can."""
        do, by = event["do"], event.get("by", "")
        if do in ON_ITEMS:
            self._events[event["n"]] = event
            self._do(event["n"])
            self._undone[by] = [n for n in self._undone[by] if self._events[n]["item"] != event["item"]]
        elif do == "undo":
            self._done[by].remove(event["of"])
            self._undone[by].append(event["of"])
            undone = self._events[event["of"]]
            self._of_item[undone["item"]][by].remove(undone)
        elif do == "redo":
            self._undone[by].remove(event["of"])
            self._do(event["of"])

    def _do(self, number: int) -> None:
        event = self._events[number]
        self._done[event["by"]].append(number)
        self._of_item[event["item"]][event["by"]].append(event)

    def next_undo(self, by: str, item: str | None = None) -> Event | None:
        """The annotator's last event that stands, of all items or of one; None where there is nothing to take back."""
        return self._last(self._done[by], item)

    def next_redo(self, by: str, item: str | None = None) -> Event | None:
        """The event undone last that can come back."""
        return self._last(self._undone[by], item)

    def _last(self, numbers: list[int], item: str | None) -> Event | None:
        events = (self._events[number] for number in reversed(numbers))
        return next((event for event in events if item is None or event["item"] == item), None)

    def last(self, item: str, by: str, *of: str) -> Event | None:
        """The annotator's last standing event on an item among the given kinds; adjudications are no decisions of theirs."""
        events = self._of_item[item][by] if item in self._of_item and by in self._of_item[item] else ()
        return next((event for event in reversed(events) if event["do"] in of and not event.get("final")), None)

    def decision(self, item: str, by: str) -> Event | None:
        """What an annotator decided."""
        return self.last(item, by, *DECISIONS)

    def decisions(self, item: str) -> dict[str, Event]:
        """What each annotator decided, in the order of the log."""
        found = {by: self.decision(item, by) for by in self._of_item.get(item, ())}
        return dict(sorted(((by, event) for by, event in found.items() if event), key=lambda pair: pair[1]["n"]))

    def final(self, item: str, by: str | None = None) -> Event | None:
        """The adjudication that stands: of all adjudicators', or of one's own."""
        of = [events for name, events in self._of_item.get(item, {}).items() if by in (None, name)]
        finals = [event for events in of for event in events if event.get("final")]
        return max(finals, key=lambda event: int(event["n"]), default=None)

    def outcome(self, item: str) -> Outcome:
        """What stands on an item: an adjudication, or what all who decided agree on."""
        if item not in self._of_item:
            return Outcome("undecided")
        decisions = self.decisions(item)
        deciders = tuple(decisions)
        final = self.final(item)
        if final is not None:
            return Outcome("decided", final, deciders)
        if not decisions:
            return Outcome("undecided")
        if len({said(event) for event in decisions.values()}) > 1:
            return Outcome("disagreed", None, deciders)
        return Outcome("decided", list(decisions.values())[-1], deciders)

    def items(self) -> list[str]:
        """The items that any standing event is about."""
        return [item for item, by in self._of_item.items() if any(by.values())]

    def own_events(self, by: str) -> list[Event]:
        """What stands of an annotator, in the order of doing."""
        return [self._events[number] for number in self._done[by]]


def said(event: Event) -> tuple[str, str]:
    """What two decisions must have in common to agree: two edits also their text."""
    return event["do"], event.get("text") or event.get("choice") or ""

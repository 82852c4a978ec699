"""The studio itself: what people may do with an item, and what the log gets of it. The server calls it from several threads."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.apps.studio import directory
from cogitate.apps.studio.directory import Annotator, Settings, guidelines, read_own_items, read_settings
from cogitate.apps.studio.export import review_rows
from cogitate.apps.studio.grading import Check, Regrading, is_ungraded, why_contested
from cogitate.apps.studio.queue import Entry, Filter, assign, index, own, progress, select, select_to_adjudicate, share
from cogitate.apps.studio.reading import delta
from cogitate.apps.studio.sources import Item, text_of
from cogitate.errors import CogitateError, DataError
from cogitate.recipe.data.decisions.chain import EVENTS, Chain, Event, hash_of_text
from cogitate.recipe.data.decisions.standing import DECISIONS, REMARKS, Standing

OF_WORK = {"review": ("accept", "edit", "reject"), "pairs": ("prefer",), "safety": ("label",)}
CHOICES = {"prefer": ("left", "right", "tie", "both_bad"), "label": ("safe", "unsafe")}
WITH_GUIDELINES = ("begin", "guidelines")  # events
OF_THE_CLIENT = ("active_seconds", "opened_at", "session", "request")
MOST_TEXT = 200_000  # characters of an edit
WRITE_AFTER = 1.0  # seconds until review.jsonl follows the log


class Refused(CogitateError, ValueError):  # noqa: N818 - as Interrupted: what happened, in a word
    """An action that cannot be; `status` is HTTP's, `code` is for programs: `contest` where a reason would make it possible."""

    def __init__(self, message: str, status: int = 422, code: str | None = None):
        super().__init__(message)
        self.status, self.code = status, code


class Studio:
    """A studio that is open. Its directory must be held by the caller.

    Args:
        annotators: all of them; those of role annotator share the items.
        grading: judges texts again; the caller closes it.

    Raises:
        DataError: the log or the items are damaged.
    """

    def __init__(self, place: Path, annotators: Sequence[Annotator], grading: Regrading):
        self.place, self.grading = place, grading
        self.settings: Settings = read_settings(place)
        self.chain = Chain(place / EVENTS)
        if not self.chain.events or self.chain.events[0].get("items") != self.settings.items:
            raise DataError(f"{place / EVENTS}: not the log of these items; put it back as the studio wrote it")
        self.items: dict[str, Item] = {item["id"]: item for item in read_own_items(place, self.chain.events)}
        self.entries: dict[str, Entry] = index(list(self.items.values()))
        self.standing = Standing(self.chain.events)
        self.annotators = {one.name: one for one in annotators}
        names = [one.name for one in annotators if one.role == "annotator"]
        overlap, deciders = self.settings.overlap, self.standing.decisions
        self.assigned = {item: assign(names, item, overlap, deciders(item)) for item in self.items}
        self.mine = {name: {item for item, those in self.assigned.items() if name in those} for name in self.annotators}
        self.of_problem: dict[str, list[str]] = defaultdict(list)
        for entry in self.entries.values():
            self.of_problem[entry.problem].append(entry.id)
        self._requests = {(event["by"], event["request"]): event for event in self.chain.events if event.get("request")}
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self.guidelines, self.version = guidelines(place)
        versions = [event["guidelines"] for event in self.chain.events if event["do"] in WITH_GUIDELINES]
        if versions[-1] != self.version:  # the log has the text of each version that decisions name
            self.chain.append(do="guidelines", guidelines=self.version, text=self.guidelines)
        self._versions = {*versions, self.version}
        self.write_review()

    def guidelines_of(self, version: str | None) -> str:
        """The version that a decision was made under: that which the annotator's page shows, else the present one."""
        if version is not None and version not in self._versions:
            raise Refused(f"no guidelines here had the version {version!r}")
        return version or self.version

    # What people do.

    def act(self, by: str, action: Mapping[str, Any]) -> Event:
        """Save a decision, a skip or a remark; it is durable when this returns.

        Args:
            action: `do` and `item`; `text`, `contested`, `choice`, `note`, `tags` as `do` needs them; `active_seconds`,
                `opened_at`, `session`; `request`: a name of the client's, by which the same request twice is saved once.

        Raises:
            Refused: it cannot be, and why.
        """
        do, item = str(action["do"]), self.item(str(action["item"]))
        if (before := self._saved(by, action.get("request"))) is not None:
            return before  # as it was judged then
        content = self._remark(do, action) if do in REMARKS else self._decision(by, do, item, action)
        known = {key: action[key] for key in OF_THE_CLIENT if action.get(key) is not None}
        version = self.guidelines_of(action.get("guidelines"))
        with self._lock:
            if (before := self._saved(by, known.get("request"))) is not None:
                return before
            final = do not in REMARKS and self._may_decide(by, item["id"]) and do != "skip"
            extra = {"final": True} if final else {}
            return self._append(by=by, do=do, item=item["id"], **content, **extra, **known, guidelines=version)

    def undo(self, by: str, item: str | None = None, request: str | None = None) -> Event:
        """Take back the annotator's last action, or the last one on an item. Raises Refused where there is none."""
        return self._again("undo", by, item, request)

    def redo(self, by: str, item: str | None = None, request: str | None = None) -> Event:
        return self._again("redo", by, item, request)

    def _again(self, do: str, by: str, item: str | None, request: str | None) -> Event:
        with self._lock:
            if (before := self._saved(by, request)) is not None:
                return before
            find = self.standing.next_undo if do == "undo" else self.standing.next_redo
            event = find(by, item)
            if event is None:
                raise Refused(f"there is nothing to {do}{'' if item is None else ' on this item'}", 409)
            if do == "redo" and event["do"] in DECISIONS:  # it may have become somebody else's, or been settled
                self._may_decide(by, event["item"])
            return self._append(by=by, do=do, item=event["item"], of=event["n"], **({"request": request} if request else {}))

    def _saved(self, by: str, request: str | None) -> Event | None:
        """What a request that is sent again has saved already."""
        with self._lock:
            return self._requests.get((by, request)) if request else None

    def _append(self, **content: Any) -> Event:
        event = self.chain.append(**content)
        self.standing.apply(event)
        if event.get("request"):
            self._requests[event["by"], event["request"]] = event
        if self._timer is None:
            self._timer = threading.Timer(WRITE_AFTER, self._write_later)
            self._timer.daemon = True
            self._timer.start()
        return event

    def _may_decide(self, by: str, item: str) -> bool:
        """Whether the decision is an adjudication. Raises Refused where it is neither that nor the annotator's own item."""
        if why := self.why_not_to_decide(by, item):
            raise Refused(why, 409)
        return self.annotators[by].role == "adjudicator"

    def why_not_to_decide(self, by: str, item: str) -> str:
        """Why an item is not for this person to decide; "" where it is."""
        with self._lock:
            if self.annotators[by].role == "adjudicator":
                settled = self.standing.outcome(item).state != "disagreed" and self.standing.final(item) is None
                return "there is nothing to adjudicate: annotators do not disagree on it" if settled else ""
            own = item in self.mine[by] or self.standing.decision(item, by) is not None
            those = self.assigned[item] or tuple(self.standing.decisions(item))
            return "" if own else f"this item is in the queue of {' and '.join(those)}"

    def _remark(self, do: str, action: Mapping[str, Any]) -> dict[str, Any]:
        if do == "note":
            return {"note": str(action.get("note") or "").strip()[:MOST_TEXT]}
        return {"tags": sorted({str(tag).strip()[:60] for tag in action.get("tags") or () if str(tag).strip()})}

    def _decision(self, by: str, do: str, item: Item, action: Mapping[str, Any]) -> dict[str, Any]:
        if do == "skip":
            return {}
        if do not in OF_WORK[self.settings.work]:
            raise Refused(f"{do!r} is no decision here; known are {', '.join(OF_WORK[self.settings.work])}, skip")
        self._may_decide(by, item["id"])
        if do in CHOICES:
            return self._choice(by, do, item, str(action.get("choice")))
        contested = str(action.get("contested") or "").strip()
        if do == "reject":
            if contested:
                raise Refused("a rejected item needs no verdict, so there is none to contest")
            return {"verdict_before": self.verdict_of(item)}
        return self._kept(do, item, str(action.get("text") or ""), contested)

    def _choice(self, by: str, do: str, item: Item, choice: str) -> dict[str, Any]:
        if choice not in CHOICES[do]:
            raise Refused(f"choice must be one of {', '.join(CHOICES[do])}, got {choice!r}")
        first = self.shown_first(by, item["id"])
        sides = {"left": first, "right": "b" if first == "a" else "a"}
        return {"choice": sides.get(choice, choice), **({"shown_first": first} if do == "prefer" else {})}

    def _kept(self, do: str, item: Item, text: str, contested: str) -> dict[str, Any]:
        """What an accept or an edit records. Raises Refused for a text that cannot be kept."""
        if do == "accept":
            if item["text"] is None:
                raise Refused(f"no rule could rewrite it ({item.get('rule')}), so there is no text to accept: edit it")
            text = item["text"]
        else:
            text = text.strip()
            if not text or len(text) > MOST_TEXT:
                raise Refused(f"an edit needs a text of 1 to {MOST_TEXT} characters")
            if text == item["text"]:
                raise Refused("the text is as it was: accept it")
        check = self.check(item["id"], text)
        if check.form:
            raise Refused(f"the form does not hold: {check.form}")
        against = why_contested(item, do, check)
        if against and not contested:
            raise Refused(f"{against}; contest the verdict with a reason, or edit or reject", 409, "contest")
        if contested and not against:
            raise Refused("no verdict speaks against this text, so there is none to contest")
        before = item["text"] if item["text"] is not None else item.get("completion") or ""
        return {
            **({"text": text, "delta": delta(before, text)} if do == "edit" else {"accepted": hash_of_text(text)}),
            **({"contested": contested} if contested else {}),
            "verdict_before": self.verdict_of(item),
            "verdict_after": check.facts(),
        }

    # What people see.

    def item(self, name: str) -> Item:
        if name not in self.items:
            raise Refused(f"there is no item {name!r}", 404)
        return self.items[name]

    def check(self, name: str, text: str) -> Check:
        return self.grading.check(self.item(name), text)

    def verdict_of(self, item: Item) -> dict[str, Any]:
        """The verdict on what the model wrote: the source's, or where it has none and a rule can judge, that of now."""
        if is_ungraded(item):
            check = self.check(item["id"], text_of(item))
            return {"verdict": check.verdict, "reason": check.reason, "extracted": check.extracted}
        return {"verdict": item.get("verdict"), "reason": item.get("reason"), "extracted": item.get("extracted")}

    def select(self, by: str, wanted: Filter) -> list[Entry]:
        entries = self.entries.values()
        with self._lock:
            done = own(self.standing, by)
            if self.annotators[by].role == "adjudicator":
                return select_to_adjudicate(entries, wanted, self.standing, done, by)
        return select(entries, wanted, self.mine[by], done, by)

    def progress(self, by: str) -> dict[str, Any]:
        with self._lock:
            adjudicates = self.annotators[by].role == "adjudicator"  # others would learn what somebody decided
            asked = self.standing.items() if adjudicates else ()
            disagreed = sum(self.standing.outcome(item).state == "disagreed" for item in asked)
            done = own(self.standing, by)
        return {**progress(self.mine[by], done), "disagreed": disagreed}

    def shown_first(self, by: str, item: str) -> str:
        """Which of a pair an annotator sees on the left: by a hash, so that neither place is liked more."""
        return "a" if share("left", by, item) < 0.5 else "b"

    def decisions_on(self, item: str) -> dict[str, Event]:
        with self._lock:
            return self.standing.decisions(item)

    def own_decision(self, by: str, item: str) -> Event | None:
        """What stands of a person's own decisions; of an adjudicator's the last adjudication."""
        with self._lock:
            adjudicates = self.annotators[by].role == "adjudicator"
            return self.standing.final(item, by) if adjudicates else self.standing.decision(item, by)

    def final(self, item: str) -> Event | None:
        """The adjudication that stands, whoever made it."""
        with self._lock:
            return self.standing.final(item)

    def decisions(self) -> dict[str, dict[str, Event]]:
        """By item and annotator, what stands; adjudications left out."""
        with self._lock:
            return {item: found for item in self.standing.items() if (found := self.standing.decisions(item))}

    # What is written.

    def write_review(self) -> None:
        """review.jsonl, as it follows from the log now."""
        with self._lock:
            if self.settings.work == "review":
                directory.write_review(self.place, review_rows(self.standing))

    def _write_later(self) -> None:
        with self._lock:
            self._timer = None
            self.write_review()

    def close(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self.write_review()
            self.chain.close()

"""One item as the page shows it: its text in parts, what was changed, the verdicts, other candidates of its problem."""

from __future__ import annotations

from typing import Any

from cogitate.apps.studio.grading import is_ungraded, language_of
from cogitate.apps.studio.queue import Entry, shown_as
from cogitate.apps.studio.reading import read, word_diff
from cogitate.apps.studio.sources import Item, text_of
from cogitate.apps.studio.studio import Studio
from cogitate.recipe.data.decisions.chain import Event

FACTS = (
    "source",
    "model",
    "prompt",
    "task",
    "language",
    "finish_reason",
    "tokens",
    "verdict",
    "reason",
    "extracted",
    "rule",
    "kept",
)
MOST_OTHERS = 20  # candidates of the same problem
SNIPPET = 140  # characters of a question in a list
OF_A_DECISION = ("do", "n", "at", "by", "text", "contested", "final", "verdict_after")
OF_A_HISTORY = (*OF_A_DECISION, "of", "active_seconds", "note", "tags", "guidelines")


def item_view(studio: Studio, by: str, name: str) -> dict[str, Any]:
    """What an annotator sees of an item. What others decided is shown to adjudicators alone: decisions are independent."""
    item = studio.item(name)
    adjudicates = studio.annotators[by].role == "adjudicator"
    view: dict[str, Any] = {
        "id": name,
        "question": item["question"],
        "turns": item.get("turns") or [],
        "gold": None if item.get("gold") is None else str(item["gold"]),
        **({} if studio.settings.work == "pairs" else {key: item.get(key) for key in FACTS}),
        "mine": own(studio, by, name),
        "closed": studio.why_not_to_decide(by, name),
    }
    if adjudicates:
        final = studio.final(name)
        of_others = [final] if final is not None and final["by"] != by else []
        view["decisions"] = [
            decision(event)
            | {"choice": event.get("choice"), "read": read_edit(item, event), **remarks(studio, event["by"], name)}
            for event in [*studio.decisions_on(name).values(), *of_others]
        ]
    if studio.settings.work == "pairs":
        first = studio.shown_first(by, name)
        left, right = (item["a"], item["b"]) if first == "a" else (item["b"], item["a"])
        view |= {"left": read_text(item, left), "right": read_text(item, right), "left_is": first if adjudicates else None}
        return view
    completion, text = item.get("completion") or "", item.get("text")
    view |= {
        "text": text,
        "ungraded": is_ungraded(item),
        "read": read(text_of(item), language=language(item), faults=item.get("faults") or (), extracted=item.get("extracted")),
        "faults": item.get("faults") or [],
        "diff": word_diff(completion, text) if text is not None and completion and completion != text else None,
        "completion": completion if completion != text else None,
        "others": others(studio, by, item),
    }
    return view


def read_text(item: Item, text: str) -> dict[str, Any]:
    return read(text, language=language(item))


def read_edit(item: Item, event: Event) -> list[tuple[int, str]] | None:
    """How somebody's edit differs from the text they were given."""
    return word_diff(text_of(item), event["text"]) if event.get("text") else None


def language(item: Item) -> str:
    return language_of(item) or "en"


def own(studio: Studio, by: str, name: str) -> dict[str, Any]:
    """What stands of an annotator's own actions on an item."""
    standing, event = studio.standing, studio.own_decision(by, name)
    return {
        "decision": None if event is None else decision(event),
        "side": None if event is None else shown_as(event),
        **remarks(studio, by, name),
        "can_undo": standing.next_undo(by, name) is not None,
        "can_redo": standing.next_redo(by, name) is not None,
    }


def remarks(studio: Studio, by: str, name: str) -> dict[str, Any]:
    note, tags = studio.standing.last(name, by, "note"), studio.standing.last(name, by, "tags")
    return {"note": note["note"] if note else "", "tags": tags["tags"] if tags else []}


def decision(event: Event) -> dict[str, Any]:
    """Without its choice, which would tell whose answer stands where."""
    return {key: event[key] for key in OF_A_DECISION if key in event}


def others(studio: Studio, by: str, item: Item) -> list[dict[str, Any]]:
    """The other candidates of the item's problem, with what the annotator decided on them."""
    names = studio.of_problem[studio.entries[item["id"]].problem]
    found = []
    for name in [name for name in names if name != item["id"]][:MOST_OTHERS]:
        other = studio.items[name]
        mine = studio.standing.decision(name, by)
        found.append(
            {
                "id": name, "source": other.get("source"), "verdict": other.get("verdict"), "faults": other.get("faults") or [],
                "decision": shown_as(mine) if mine else None, "text": text_of(other), "words": studio.entries[name].words,
            }
        )  # fmt: skip
    return found


def row(studio: Studio, by: str, entry: Entry) -> dict[str, Any]:
    """One line of a list."""
    question = " ".join(studio.items[entry.id]["question"].split())
    stands = studio.final(entry.id) if studio.annotators[by].role == "adjudicator" else studio.own_decision(by, entry.id)
    return {
        "id": entry.id,
        "question": question if len(question) <= SNIPPET else f"{question[:SNIPPET]}...",
        "source": entry.source,
        "verdict": entry.verdict,
        "faults": len(entry.faults),
        "words": entry.words,
        "decision": None if stands is None else shown_as(stands, studio.shown_first(by, entry.id)),
    }


def history(studio: Studio, by: str, name: str) -> list[dict[str, Any]]:
    """Every event on an item, those undone included: an annotator's own, for adjudicators everybody's."""
    studio.item(name)
    everybody, left = studio.annotators[by].role == "adjudicator", studio.shown_first(by, name)
    return [
        {key: event[key] for key in OF_A_HISTORY if key in event} | {"side": shown_as(event, left)}
        for event in studio.chain.events
        if event.get("item") == name and (everybody or event["by"] == by)
    ]


def facets(studio: Studio) -> dict[str, list[str]]:
    """The values that filters can ask for."""
    entries = studio.entries.values()
    return {
        "source": sorted({one.source for one in entries if one.source}),
        "verdict": sorted({one.verdict for one in entries if one.verdict}),
        "fault": sorted({fault for one in entries for fault in one.faults}),
        "language": sorted({one.language for one in entries if one.language}),
    }

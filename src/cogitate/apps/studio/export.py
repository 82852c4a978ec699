"""What people decided, as rows that others read: our review.jsonl, TRL's formats, Argilla's JSON.

| form | rows |
|---|---|
| `review` | decisions by item, as `cold_start.review` reads them |
| `conversations` | `messages` of what was accepted or edited: TRL's conversational format |
| `prompt_completion` | the same as `prompt` and `completion` |
| `preferences` | `prompt`, `chosen`, `rejected`; ties and pairs of two bad answers have none and are counted |
| `labels` | `prompt`, `completion`, `label`: true is safe |
| `argilla` | a directory that Argilla's `Dataset.from_disk` reads: one record for each item, with all responses |
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from cogitate.apps.studio.sources import Item, Work
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.data.decisions.chain import Event
from cogitate.recipe.data.decisions.standing import Standing
from cogitate.runtime import write_json
from cogitate.tasks.files.datasets import write_rows

Form = Literal["review", "conversations", "prompt_completion", "preferences", "labels", "argilla"]
FORMS: tuple[Form, ...] = get_args(Form)
OF_WORK: dict[Work, tuple[Form, ...]] = {
    "review": ("review", "conversations", "prompt_completion", "argilla"),
    "pairs": ("preferences", "argilla"),
    "safety": ("labels", "argilla"),
}
TEXTS: tuple[Form, ...] = ("conversations", "prompt_completion")  # of which contested ones may be a part
LABELS: dict[Work, tuple[str, ...]] = {
    "review": ("accept", "edit", "reject"), "pairs": ("a", "b", "tie", "both_bad"), "safety": ("safe", "unsafe"),
}  # fmt: skip
FIELDS: dict[Work, tuple[str, ...]] = {
    "review": ("earlier_turns", "question", "completion", "text"), "pairs": ("earlier_turns", "question", "a", "b"),
    "safety": ("earlier_turns", "question", "completion", "text"),
}  # fmt: skip
TEXT = {"type": "text", "use_markdown": False}
USERS = uuid.UUID("5c1f3f0e-6a0c-5d0a-9f57-0d7f0f5b7a11")  # of annotators' names, since Argilla wants ids for its users

Row = dict[str, Any]


class Exported(NamedTuple):
    """The rows, and how many items have none, by reason."""

    rows: list[Row]
    left_out: dict[str, int]


def export(
    form: Form,
    path: Path,
    work: Work,
    items: Mapping[str, Item],
    standing: Standing,
    *,
    contested: bool = False,
    guidelines: str = "",
) -> Exported:
    """Write one form to a file, or to a directory for Argilla.

    Args:
        contested: with texts that were kept against the grader's verdict.

    Raises:
        ConfigError: the form does not fit the work, or the directory has something in it.
        DataError: nothing is decided yet that it could hold.
    """
    if form not in OF_WORK[work]:
        raise ConfigError(f"export {form}: a studio for {work} has {', '.join(OF_WORK[work])}")
    found = FIND[form](items, standing, contested)
    if not found.rows:
        raise DataError(f"export {form}: nothing to write: {counted(found.left_out)}")
    in_one_form(found.rows)
    if form == "argilla":
        write_argilla(path, found.rows, work, guidelines)
    else:
        write_rows(path, found.rows)
    return found


def in_one_form(rows: list[Row]) -> None:
    """Texts become messages where another row has messages: a column of a data set has one type."""
    for key, role in (("prompt", "user"), ("completion", "assistant"), ("chosen", "assistant"), ("rejected", "assistant")):
        if any(isinstance(row.get(key), list) for row in rows):
            for row in rows:
                if isinstance(row.get(key), str):
                    row[key] = [{"role": role, "content": row[key]}]


def counted(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "no item left out"


def review_rows(standing: Standing) -> list[Row]:
    """The decisions that stand, in the order of items; `note` is that of who decided."""
    rows = []
    for item in sorted(standing.items()):
        event = standing.outcome(item).event
        if event is None:
            continue
        note = standing.last(item, event["by"], "note")
        rows.append(
            {
                "id": item,
                "decision": event["do"],
                **{key: event[key] for key in ("text", "contested") if key in event},
                "reviewer": event["by"],
                **({"note": note["note"]} if note and note["note"] else {}),
            }
        )
    return rows


def reviews(items: Mapping[str, Item], standing: Standing, contested: bool) -> Exported:
    rows = review_rows(standing)
    return Exported(rows, {"undecided": len(items) - len(rows)})


def conversations(items: Mapping[str, Item], standing: Standing, contested: bool) -> Exported:
    return kept(items, standing, contested, lambda item, text: {"messages": [*prompt_of(item), answer(item, text)]})


def prompt_completion(items: Mapping[str, Item], standing: Standing, contested: bool) -> Exported:
    def texts(item: Item, text: str) -> Row:
        return {"prompt": plain_prompt(item), "completion": said(item, text)}

    return kept(items, standing, contested, texts)


def kept(items: Mapping[str, Item], standing: Standing, contested: bool, row_of: Callable[[Item, str], Row]) -> Exported:
    """Rows of accepted and edited items, with where each comes from."""
    rows: list[Row] = []
    left_out = {"undecided": 0, "disagreed": 0, "rejected": 0, "contested": 0}
    for name, item in items.items():
        outcome = standing.outcome(name)
        event = outcome.event
        if event is None:
            left_out[outcome.state] += 1
        elif event["do"] == "reject":
            left_out["rejected"] += 1
        elif event.get("contested") and not contested:
            left_out["contested"] += 1
        else:
            rows.append({**row_of(item, event.get("text") or item["text"]), **origin(item, event)})
    return Exported(rows, left_out)


def origin(item: Item, event: Event) -> Row:
    """From a row to its decision: the hash stands in the log."""
    facts = {key: item[key] for key in ("source", "model", "task", "problem_id", "language") if item.get(key)}
    contested = {"contested": event["contested"]} if event.get("contested") else {}
    return {"id": item["id"], **facts, "decision": event["do"], "event": event["hash"], "reviewer": event["by"], **contested}


def preferences(items: Mapping[str, Item], standing: Standing, contested: bool) -> Exported:
    rows: list[Row] = []
    left_out = {"undecided": 0, "disagreed": 0, "tie": 0, "both_bad": 0}
    for name, item in items.items():
        outcome = standing.outcome(name)
        event = outcome.event
        if event is None:
            left_out[outcome.state] += 1
        elif event["choice"] in left_out:
            left_out[event["choice"]] += 1
        else:
            chosen, rejected = ("a", "b") if event["choice"] == "a" else ("b", "a")
            texts = {"prompt": plain_prompt(item), "chosen": said(item, item[chosen]), "rejected": said(item, item[rejected])}
            rows.append({**texts, **origin({**item, "source": "people"}, event)})
    return Exported(rows, left_out)


def labels(items: Mapping[str, Item], standing: Standing, contested: bool) -> Exported:
    rows: list[Row] = []
    left_out = {"undecided": 0, "disagreed": 0}
    for name, item in items.items():
        outcome = standing.outcome(name)
        if outcome.event is None:
            left_out[outcome.state] += 1
        else:
            texts = {"prompt": plain_prompt(item), "completion": said(item, item["text"] or item.get("completion") or "")}
            made = origin({**item, "source": "people"}, outcome.event)
            rows.append({**texts, "label": outcome.event["choice"] == "safe", **made})
    return Exported(rows, left_out)


def argilla(items: Mapping[str, Item], standing: Standing, contested: bool) -> Exported:
    """Records with the model's text as field, the verdict and the outcome as metadata, everybody's decision as response."""
    rows: list[Row] = []
    for name, item in items.items():
        decisions = standing.decisions(name)
        if not decisions:
            continue
        fields = {key: str(item[key]) for key in ("question", "completion", "text", "a", "b") if item.get(key) is not None}
        if item.get("turns"):
            fields["earlier_turns"] = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in item["turns"])
        known = ("source", "model", "task", "problem_id", "language", "verdict")
        outcome = standing.outcome(name).event
        metadata = {key: item[key] for key in known if item.get(key) is not None}
        rows.append(
            {
                "id": name,
                "fields": fields,
                "metadata": metadata | ({"outcome": outcome.get("choice") or outcome["do"]} if outcome else {}),
                "suggestions": {},
                "responses": responses(name, decisions, standing),
                "vectors": {},
            }
        )
    return Exported(rows, {"undecided": len(items) - len(rows)})


def responses(item: str, decisions: Mapping[str, Event], standing: Standing) -> dict[str, list[Row]]:
    """By question, what each annotator answered."""
    found: dict[str, list[Row]] = {}
    for by, event in decisions.items():
        note = standing.last(item, by, "note")
        said = {
            "decision": event.get("choice") or event["do"],
            "edited_text": event["text"] if event["do"] == "edit" else "",
            "contested": event.get("contested", ""),
            "note": note["note"] if note else "",
        }
        for question, value in said.items():
            if value:
                answer = {"value": value, "user_id": user_of(by), "status": "submitted"}
                found.setdefault(question, []).append(answer)
    return found


def user_of(annotator: str) -> str:
    """The id that Argilla's user of this name must have: it refuses responses of users whom it does not know."""
    return str(uuid.uuid5(USERS, annotator))


def write_argilla(path: Path, rows: Sequence[Row], work: Work, guidelines: str) -> None:
    """What Argilla's `Dataset.to_disk` would write."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise ConfigError(f"--out {path}: the form argilla is a directory, which must be new or empty")
    terms = {"settings": {"type": "terms", "values": None, "visible_for_annotators": True}, "visible_for_annotators": True}
    labels = [{"text": name, "value": name} for name in LABELS[work]]
    questions = [asked("decision", {"type": "label_selection", "options": labels}, required=True)]
    further = ("edited_text", "contested", "note") if work == "review" else ("note",)
    settings = {
        "guidelines": guidelines or None,
        "fields": [asked(name, TEXT, required=name == "question") for name in FIELDS[work]],
        "questions": [*questions, *(asked(name, TEXT, required=False) for name in further)],
        "metadata": [{"name": name, "title": name, **terms} for name in ("source", "language", "verdict", "outcome")],
        "vectors": [],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }
    (path / ".argilla").mkdir(parents=True, exist_ok=True)
    write_json(path / ".argilla" / "settings.json", settings)
    shared = {key: settings[key] for key in ("guidelines", "allow_extra_metadata", "distribution")}
    write_json(path / ".argilla" / "dataset.json", {"name": path.resolve().name, **shared})
    write_json(path / "records.json", rows)


def asked(name: str, settings: Mapping[str, Any], *, required: bool) -> Row:
    """A field or a question of Argilla's."""
    return {"name": name, "title": name.replace("_", " "), "required": required, "type": settings["type"], "settings": settings}


FIND: dict[Form, Callable[[Mapping[str, Item], Standing, bool], Exported]] = {
    "review": reviews,
    "conversations": conversations,
    "prompt_completion": prompt_completion,
    "preferences": preferences,
    "labels": labels,
    "argilla": argilla,
}


def prompt_of(item: Item) -> list[Row]:
    """The turns up to the question; those of the assistant's that are only read stay so."""
    turns = [
        {"role": turn["role"], "content": turn["content"], **({} if turn.get("learn", True) else {"weight": 0})}
        for turn in item.get("turns") or ()
    ]
    role = item.get("asked_by", "user")
    return [*turns, {"role": role, "content": item["question"]}] if role else turns


def plain_prompt(item: Item) -> str | list[Row]:
    """A text, or messages where that does not say it all."""
    return item["question"] if is_plain(item) else prompt_of(item)


def said(item: Item, text: str) -> str | list[Row]:
    return text if is_plain(item) else [answer(item, text)]


def is_plain(item: Item) -> bool:
    """Whether one text of the user's is all that was asked."""
    return not item.get("turns") and "asked_by" not in item


def answer(item: Item, text: str) -> Row:
    """The assistant's last turn; one that was only read stays so."""
    return {"role": "assistant", "content": text, **({} if item.get("learn", True) else {"weight": 0})}

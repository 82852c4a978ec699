"""What the studio shows, read from an artifact or a file: candidates of cold-start data, conversations, pairs, completions.

An item is one JSON object a line of the studio's own items.jsonl. All have `id` and `question`; `turns` are a system prompt and
earlier turns, `asked_by` is the question's role where it is not the user ("" where nothing was asked). `kind`, `gold` and
`fields` are what the grader needs, where they are known.

| work | further keys |
|---|---|
| `review` | `text`: what would be learnt (null where no rule could rewrite it), `completion`: as written, `verdict` ... |
| `pairs` | `a`, `b`: two completions |
| `safety` | `text`: a completion |

Of a conversation whose last turn is only read (`weight` 0) `learn` is false.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from cogitate.errors import ConfigError, DataError
from cogitate.json_lines import RowFaults, read_objects, shown
from cogitate.rewards.fields import Field, is_integer, is_text, is_yes_or_no
from cogitate.rewards.kinds import check_fields
from cogitate.tasks.files.datasets import data_file, read_conversation, read_rows
from cogitate.tasks.files.pairs import read_labelled, read_preference
from cogitate.types import PLACE, Message, Problem

Work = Literal["review", "pairs", "safety"]
WORKS: tuple[Work, ...] = get_args(Work)
ITEMS = "items.jsonl"
Item = dict[str, Any]
Read = Callable[[Mapping[str, Any], str], Item]  # a row and its place
LONGEST_ID = 500  # characters

SHOWN_FACTS = (
    "source", "model", "prompt", "task", "problem_id", "language", "completion", "contract", "finish_reason", "tokens",
    "verdict", "reason", "extracted", "text", "faults", "kept", "rule",
)  # fmt: skip
FIELDS = {  # of the facts, what is no text
    "tokens": Field(is_integer, "an integer"),
    "faults": Field(lambda value: isinstance(value, list) and all(map(is_text, value)), "a list of texts"),
    "kept": Field(is_yes_or_no, "true or false"),
}
TEXT = Field(lambda value: is_text(value) or is_integer(value) or (isinstance(value, float) and isfinite(value)), "a text")
OF_THE_PROBLEM = ("question", "turns", "task", "problem_id", "language", "kind", "gold", "fields")


def read_source(path: Path, work: Work, say: Callable[[str], None] = print) -> list[Item]:
    """The items of an artifact directory, of an items.jsonl, or of a file of conversations, pairs or labelled completions.

    Args:
        say: gets a line on candidates that are in no pair.

    Raises:
        DataError: it cannot be read or is empty, or two items have one id: names file and line.
        ConfigError: the settings of the run it stands in cannot be read.
    """
    file = path / ITEMS if path.is_dir() and (path / ITEMS).is_file() else data_file(path)
    if is_items(file):
        candidates = read_candidates(file)
        items = pairs_of(candidates) if work == "pairs" else candidates
        if work == "pairs" and (left := len(candidates) - 2 * len(items)):
            say(f"{file}: {left} of {len(candidates)} candidates are in no pair: no other text of their problem is left")
    elif work == "pairs":
        items = read_each(file, without_nulls(of_pair))
    elif work == "safety" and is_labelled(file):
        items = read_each(file, without_nulls(of_labelled))
    else:
        items = read_each(file, without_nulls(of_conversation))
    if not items:
        raise DataError(f"{file}: nothing in it to {work}")
    names: set[str] = set()
    for item in items:
        if item["id"] in names:
            raise DataError(f"{file}: two items have the id {item['id']!r}; ids must differ")
        names.add(item["id"])
        if len(item["id"]) > LONGEST_ID:
            raise DataError(f"{file}: the id {item['id'][:40]!r}... has over {LONGEST_ID} characters; shorten it")
    return items


def read_each(file: Path, read: Read) -> list[Item]:
    """Every row as an item. Raises DataError for an empty file and for rows that are none: names file and line."""
    faults = RowFaults(file)
    items = []
    for place, found in read_rows(file, faults):
        with faults.at(place):
            items.append(as_json(read(found, place)))
    faults.check()
    if not items:
        raise DataError(f"{file}: no row in it")
    return items


def without_nulls(read: Read) -> Read:
    """A reader that gets the keys that have a value: a Parquet file has every key in every row."""
    return lambda found, place: read({key: value for key, value in found.items() if value is not None}, place)


def is_items(file: Path) -> bool:
    """Whether the rows are candidates of a cold_start."""
    return {"problem_id", "completion", "question"} <= keys_of_first(file)


def is_labelled(file: Path) -> bool:
    return {"prompt", "completion", "label"} <= keys_of_first(file)


def keys_of_first(file: Path) -> set[str]:
    if file.suffix != ".jsonl":
        return set()
    faults = RowFaults(file)
    for _, found in read_objects(file, faults):
        return set(found)
    return set()


def read_candidates(file: Path) -> list[Item]:
    """Candidates with the problems that they answer, which the settings of their run give."""
    problem_of = problems_beside(file)

    def of_candidate(found: Mapping[str, Any], place: str) -> Item:
        missing = {"id", "question", "completion", "text", "verdict"} - found.keys()
        if missing:
            raise DataError(f"no item: the key {min(missing)!r} is missing; give a cold_start's items.jsonl")
        facts = {**dict.fromkeys(SHOWN_FACTS), **shown_facts(found)}
        name = own_id(found)
        for key, value in {"id": name, "question": found["question"], "completion": found["completion"]}.items():
            if not is_text(value):
                raise DataError(f"{key} must be a text, got {shown(value)}")
        return {"id": name, "question": found["question"], **facts, **problem_of({**found, **facts})}

    return read_each(file, of_candidate)


def shown_facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of those keys that the page shows; numbers become texts. Raises DataError for what is of another type."""
    facts = {}
    for key in SHOWN_FACTS:
        value, field = found.get(key), FIELDS.get(key, TEXT)
        if value is not None:
            if not field.fits(value):
                raise DataError(f"{key} must be {field.wanted}, got {shown(value)}")
            facts[key] = str(value) if field is TEXT else value
    return facts


def own_id(found: Mapping[str, Any]) -> str | None:
    """The id that a row names; None where it names none. Raises DataError for one that is no text or integer."""
    name = found.get("id")
    if name is None or name == "":
        return None
    if not is_text(name) and not is_integer(name):
        raise DataError(f"id must be a text or an integer, got {shown(name)}")
    return str(name)


def as_json(item: Item) -> Item:
    """The item, if it can be written. Raises DataError for dates, bytes and numbers that are none: Parquet may hold them."""
    for key, value in {**(item.get("fields") or {}), **item}.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise DataError(f"{key} = {shown(value)} cannot be kept as JSON: make it a text, or leave the key out") from error
    return item


def problems_beside(file: Path) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What gives the grader's part of an item: by the settings of the run that the artifact stands in, or by its own keys."""
    from cogitate.recipe.problems import training_problems  # tasks and their tools: only a new studio waits for them
    from cogitate.recipe.settings import make_config

    settings = Path(os.path.abspath(file)).parent.parent / "config.json"  # not resolved: a link stands in its run, too
    if not settings.is_file():
        return graded_by
    try:
        config = make_config(json.loads(settings.read_text(encoding="utf-8-sig")))
    except ValueError as error:
        raise ConfigError(f"{settings}: cannot be used: {error}") from error
    by_name = {(problem.task, problem.id): problem for problem in training_problems(config)}

    def of_item(found: Mapping[str, Any]) -> dict[str, Any]:
        task, name = str(found.get("task")), str(found.get("problem_id"))
        problem = by_name.get((task, name))
        if problem is None:
            raise DataError(f"problem {name!r} of {task} is no training problem of the run in {settings.parent}")
        return of_problem(problem)

    return of_item


def of_problem(problem: Problem) -> dict[str, Any]:
    fields = {key: value for key, value in problem.fields.items() if key != PLACE}
    turns = [asdict(turn) for turn in problem.conversation[:-1]]
    return {"kind": problem.kind, "gold": problem.gold, "fields": fields, "turns": turns}


def graded_by(found: Mapping[str, Any]) -> dict[str, Any]:
    """The grader's part of a row that names it, as a line for `cogitate grade` does; nothing where it does not."""
    if "kind" not in found:
        return {}
    if not is_text(found["kind"]):
        raise DataError(f"kind must be a text, got {shown(found['kind'])}")
    check_fields(found["kind"], found)
    fields = {key: value for key, value in found.items() if key not in SHOWN_FACTS and key not in ("id", "question", "kind")}
    fields.setdefault("weaker_tests", True)  # of programs: as `cogitate grade` judges a file
    return {"kind": found["kind"], "gold": found.get("gold"), "fields": fields}


def of_conversation(found: Mapping[str, Any], place: str) -> Item:
    """The last turn of the assistant's is read; a row's `id`, `source`, `language`, `kind`, `gold` ... are used."""
    conversation = read_conversation(found)
    facts = shown_facts({key: value for key, value in conversation.facts.items() if key not in ("text", "completion")})
    last = conversation.messages[-1]
    known = {**facts, "text": last.content, "completion": last.content, "verdict": facts.get("verdict")}
    known |= graded_by(conversation.facts)
    made = named(row(conversation.messages[:-1], place, **known), conversation.facts)
    return made if last.learn else {**made, "learn": False}


def of_pair(found: Mapping[str, Any], place: str) -> Item:
    pair = read_preference(found)
    a, b = said(pair.chosen, "chosen"), said(pair.rejected, "rejected")
    return named(row(pair.prompt, place, a=a, b=b, source=pair.source), found)


def of_labelled(found: Mapping[str, Any], place: str) -> Item:
    one = read_labelled(found)
    return named(row(one.prompt, place, text=said(one.completion, "completion"), source=one.source), found)


def named(made: Item, found: Mapping[str, Any]) -> Item:
    """The item with the id that its row names, if it names one."""
    name = own_id(found)
    return made if name is None else {**made, "id": name}


def row(prompt: Iterable[Message], place: str, **facts: Any) -> Item:
    """An item; its id is a hash of its content, and of its place in the file, since rows may be equal."""
    turns = list(prompt)
    question = turns[-1].content if turns else ""
    content = json.dumps([place.rpartition(", ")[2], question, facts], sort_keys=True, ensure_ascii=False, default=str)
    name = f"row-{hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    role = turns[-1].role if turns else ""
    asked = {} if role == "user" else {"asked_by": role}
    return {"id": name, "question": question, "turns": [asdict(turn) for turn in turns[:-1]], **asked, **facts}


def said(turns: Sequence[Message], key: str) -> str:
    """Raises DataError for several turns: as one text they would lose whose they are."""
    if len(turns) > 1:
        raise DataError(f"{key} has {len(turns)} turns, and an item is one text: cut it to one answer, or leave the row out")
    return turns[0].content


def pairs_of(items: Iterable[Item]) -> list[Item]:
    """Candidates of one problem, two by two in their order; equal texts are no pair."""
    of_problem: dict[tuple[Any, Any], list[Item]] = defaultdict(list)
    for item in items:
        of_problem[item.get("task"), item.get("problem_id")].append(item)
    pairs = []
    for group in of_problem.values():
        different = list({text_of(item): item for item in group}.values())
        for first, second in zip(different[::2], different[1::2], strict=False):
            shared = {key: first.get(key) for key in OF_THE_PROBLEM}
            texts = {"a": text_of(first), "b": text_of(second), "sources": [first.get("source"), second.get("source")]}
            pairs.append({"id": f"{first['id']}+{second['id']}", **shared, **texts})
    return pairs


def is_candidate(item: Mapping[str, Any]) -> bool:
    """Whether its text is to be thinking and a summary, as the rows of a cold_start are."""
    return "rule" in item


def text_of(item: Item) -> str:
    """What a reader judges: the rewritten text where there is one."""
    return str(item["text"] if item.get("text") is not None else item.get("completion", ""))

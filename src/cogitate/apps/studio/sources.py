"""What the studio shows, read from an artifact or a file: candidates of cold-start data, conversations, pairs, completions.

An item is one JSON object a line of the studio's own items.jsonl. All have `id` and `question`; `turns` are a system prompt and
earlier turns, `asked_by` is the question's role where it is not the user ("" where nothing was asked). `kind`, `gold` and
`fields` are what the grader needs, where they are known.

| work | further keys |
|---|---|
| `review` | `text`: what would be learnt (null where no rule could rewrite it), `completion`: as written, `verdict` ... |
| `pairs` | `a`, `b`: two completions |
| `safety` | `text`: a completion |
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

from cogitate.errors import ConfigError, DataError
from cogitate.json_lines import RowFaults, read_objects
from cogitate.rewards.kinds import check_fields
from cogitate.tasks.files.datasets import load_conversations, load_labelled, load_preferences
from cogitate.types import PLACE, Conversation, Message, Problem

Work = Literal["review", "pairs", "safety"]
WORKS: tuple[Work, ...] = get_args(Work)
ITEMS = "items.jsonl"
Item = dict[str, Any]
LONGEST_ID = 500  # characters

SHOWN_FACTS = (
    "source", "model", "prompt", "task", "problem_id", "language", "completion", "contract", "finish_reason", "tokens",
    "verdict", "reason", "extracted", "text", "faults", "kept", "rule",
)  # fmt: skip
OF_THE_PROBLEM = ("question", "turns", "task", "problem_id", "language", "kind", "gold", "fields")


def read_source(path: Path, work: Work) -> list[Item]:
    """The items of an artifact directory, of an items.jsonl, or of a file of conversations, pairs or labelled completions.

    Raises:
        DataError: it cannot be read or is empty, or two items have one id: names file and line.
        ConfigError: the settings of the run it stands in cannot be read.
    """
    file = path / ITEMS if path.is_dir() and (path / ITEMS).is_file() else path
    if is_items(file):
        items = read_candidates(file)
        items = pairs_of(items) if work == "pairs" else items
    elif work == "pairs":
        items = [
            row(pair.prompt, pair.place, a=said(pair.chosen), b=said(pair.rejected), source=pair.source)
            for pair in load_preferences(file)
        ]
    elif work == "safety" and is_labelled(file):
        items = [row(one.prompt, one.place, text=said(one.completion), source=one.source) for one in load_labelled(file)]
    else:
        items = [of_conversation(one) for one in load_conversations(file)]
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
    faults = RowFaults(file)
    items = []
    for place, found in read_objects(file, faults):
        with faults.at(place):
            missing = {"id", "question", "completion", "text", "verdict"} - found.keys()
            if missing:
                raise DataError(f"no item: the key {min(missing)!r} is missing; give a cold_start's items.jsonl")
            facts = {key: found.get(key) for key in SHOWN_FACTS}
            problem = problem_of(found)
            items.append({"id": found["id"], "question": found["question"], **facts, **problem})
    faults.check()
    return items


def problems_beside(file: Path) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What gives the grader's part of an item: by the settings of the run that the artifact stands in, or by its own keys."""
    from cogitate.recipe.problems import training_problems  # tasks and their tools: only a new studio waits for them
    from cogitate.recipe.settings import make_config

    settings = file.parent.parent / "config.json"
    if not settings.is_file():
        return graded_by
    try:
        config = make_config(json.loads(settings.read_text(encoding="utf-8-sig")))
    except ValueError as error:
        raise ConfigError(f"{settings}: cannot be used: {error}") from error
    by_name = {(problem.task, problem.id): problem for problem in training_problems(config)}

    def of_item(found: Mapping[str, Any]) -> dict[str, Any]:
        problem = by_name.get((found["task"], found["problem_id"]))
        if problem is None:
            raise DataError(
                f"problem {found['problem_id']!r} of {found['task']} is no training problem of the run in {settings.parent}"
            )
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
    check_fields(found["kind"], found)
    fields = {key: value for key, value in found.items() if key not in SHOWN_FACTS and key not in ("id", "question", "kind")}
    fields.setdefault("weaker_tests", True)  # of programs: as `cogitate grade` judges a file
    return {"kind": found["kind"], "gold": found.get("gold"), "fields": fields}


def of_conversation(conversation: Conversation) -> Item:
    """The last turn of the assistant's is read; a row's `id`, `source`, `language`, `kind`, `gold` ... are used."""
    facts = {
        key: value for key, value in conversation.facts.items() if key in SHOWN_FACTS and key not in ("text", "completion")
    }
    text = conversation.messages[-1].content
    known = {**facts, "text": text, "completion": text, "verdict": facts.get("verdict")}
    try:
        known |= graded_by(conversation.facts)
    except DataError as error:
        raise DataError(f"{conversation.place}: {error}") from error
    name = conversation.facts.get("id")
    made = row(conversation.messages[:-1], conversation.place, **known)
    return {**made, "id": name} if isinstance(name, str) and name else made


def row(prompt: Iterable[Message], place: str, **facts: Any) -> Item:
    """An item; its id is a hash of its content, and of its place in the file, since rows may be equal."""
    turns = list(prompt)
    question = turns[-1].content if turns else ""
    content = json.dumps([place.rpartition(", ")[2], question, facts], sort_keys=True, ensure_ascii=False, default=str)
    name = f"row-{hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    role = turns[-1].role if turns else ""
    asked = {} if role == "user" else {"asked_by": role}
    return {"id": name, "question": question, "turns": [asdict(turn) for turn in turns[:-1]], **asked, **facts}


def said(turns: Iterable[Message]) -> str:
    return "\n\n".join(turn.content for turn in turns)


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


def text_of(item: Item) -> str:
    """What a reader judges: the rewritten text where there is one."""
    return str(item["text"] if item.get("text") is not None else item.get("completion", ""))

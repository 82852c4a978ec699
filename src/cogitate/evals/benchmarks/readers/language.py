"""Rows of reading, instructions, reasoning in words, puzzles, and requests that a judge compares answers to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cogitate.errors import DataError
from cogitate.evals.benchmarks.files import PublishedRow
from cogitate.evals.benchmarks.readers.maths import Own, first_of, identity


def drop(row: PublishedRow) -> Iterator[Own]:
    """One question with `passage`, `answer` and `validated_answers`; or the original: a passage with `qa_pairs`.

    Each annotator's answer is a reference of its own, which may have several spans.
    """
    passage = first_of(row, "passage")
    if "qa_pairs" in row.row:
        for pair in first_of(row, "qa_pairs"):
            answers = [answer_spans(answer) for answer in (pair["answer"], *(pair.get("validated_answers") or []))]
            yield drop_question(str(pair["query_id"]), passage, pair["question"], answers)
        return
    if "answers_spans" in row.row:
        raise DataError(
            "answers_spans has the spans of all annotators in one list, which hides what is one answer; get EleutherAI/drop, "
            "or the original drop_dataset_dev.json"
        )
    answers = [answer_spans(answer) for answer in (first_of(row, "answer"), *validated(row.row.get("validated_answers") or []))]
    yield drop_question(identity(row, "query_id"), passage, first_of(row, "question"), answers)


def validated(answers: Any) -> list[Mapping[str, Any]]:
    """A list of answers; or, as data frames have it, one object with a list for each part of an answer."""
    if not isinstance(answers, Mapping):
        return list(answers)
    parts = {part: answers[part] for part in ("number", "date", "spans")}
    return [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]


def drop_question(name: str, passage: Any, question: Any, answers: list[list[str]]) -> Own:
    found = [spans for spans in answers if any(span.strip() for span in spans)]
    asked = f"{passage}\n\n{question}"
    worked = f"The answer is {'; '.join(found[0])}." if found else ""
    return {
        "id": name,
        "question": asked,
        "answers": list(map(list, dict.fromkeys(map(tuple, found)))),
        "kind": "drop",
        "worked": worked,
    }


def answer_spans(answer: Mapping[str, Any]) -> list[str]:
    """An answer of the original file: a number, spans, or a date."""
    if str(answer.get("number") or ""):
        return [str(answer["number"])]
    if answer.get("spans"):
        return [str(span) for span in answer["spans"]]
    date = answer.get("date") or {}
    return [" ".join(str(date.get(part) or "") for part in ("day", "month", "year")).strip()]


def ifeval(row: PublishedRow) -> Iterator[Own]:
    """`prompt`, `instruction_id_list`, `kwargs`: the arguments of each instruction, null for those it has not."""
    names = list(first_of(row, "instruction_id_list"))
    given = [{key: value for key, value in one.items() if value is not None} for one in first_of(row, "kwargs")]
    groups = {name.partition(":")[0] for name in names}
    yield {
        "id": identity(row, "key", "id"), "question": first_of(row, "prompt"), "kind": "ifeval", "partial": True,
        "instruction_id_list": names, "kwargs": given, "category": groups.pop() if len(groups) == 1 else "several groups",
    }  # fmt: skip


def bbh(row: PublishedRow) -> Iterator[Own]:
    """`input` and `target`, a file for each of the 27 tasks; how an answer is judged follows from its form."""
    question, target = str(first_of(row, "input", "question")), str(first_of(row, "target", "answer")).strip()
    task = row.file.parent.name if row.file.name.startswith("test-") else row.file.name.split(".")[0].removeprefix("bbh_")
    own: Own = {"id": f"{task}-{row.number}", "question": question, "answer": target, "category": task}
    if re.fullmatch(r"\([A-Z]\)", target):
        own |= {"kind": "choice"}
    elif re.fullmatch(r"-?\d+", target):
        own |= {"kind": "math"}
    else:
        own |= {"kind": "exact", "literal": re.search(r"\w", target) is None}
    yield own


def countdown(row: PublishedRow) -> Iterator[Own]:
    """`nums` and `target`; the question is ours."""
    numbers = [int(number) for number in first_of(row, "nums", "numbers")]
    target = int(first_of(row, "target"))
    yield {
        "id": identity(row, "id"),
        "numbers": numbers,
        "target": target,
        "kind": "countdown",
        "category": f"{len(numbers)} numbers",
    }


def knights(row: PublishedRow) -> Iterator[Own]:
    """`quiz`, `names`, and `solution`: true for a knight, in the order of the names."""
    names, solution = list(first_of(row, "names")), list(first_of(row, "solution"))
    if len(names) != len(solution):
        raise DataError(f"{len(names)} names and {len(solution)} roles")
    own = {"id": f"{len(names)}-{identity(row, 'id', 'index')}", "question": first_of(row, "quiz"), "kind": "logic"}
    yield own | {"answer": dict(zip(names, map(bool, solution), strict=True)), "category": f"{len(names)} people"}


def arena_hard(row: PublishedRow) -> Iterator[Own]:
    """`prompt`, or `turns` of one turn; `category` (v2) or `cluster` (v0.1)."""
    turns = row.row.get("turns")
    question = turns[0]["content"] if turns else first_of(row, "prompt")
    own = {"id": identity(row, "uid", "question_id", "id"), "question": question, "kind": "general"}
    yield own | {"category": str(row.row.get("category") or "arena-hard-v0.1")}


def alpaca(row: PublishedRow) -> Iterator[Own]:
    """`instruction`, and `output`: the baseline's answer; `dataset`: which of the five collections it comes from."""
    own = {"id": f"alpaca-{row.number}", "question": first_of(row, "instruction"), "kind": "general"}
    yield own | {"baseline": str(first_of(row, "output")), "category": str(row.row.get("dataset") or "")}

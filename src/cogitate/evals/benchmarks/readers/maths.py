"""Rows of mathematics benchmarks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cogitate.errors import DataError
from cogitate.evals.benchmarks.files import PublishedRow
from cogitate.tasks.files.answers import answer_text

Own = dict[str, Any]  # a row as tasks.files.rows reads it
CALCULATOR = re.compile(r"<<[^<>]*>>")
DEGREES = re.compile(r"\s*(?:\^\s*(?:\\circ|\{\s*\\circ\s*\})|°)$")
LANGUAGES = {"en", "zh", "ja", "fr", "de", "es", "ru", "bn", "sw", "te", "th"}


def first_of(row: PublishedRow, *keys: str) -> Any:
    """The value of the first key that the row has. Raises DataError where it has none."""
    for key in keys:
        if row.row.get(key) is not None:
            return row.row[key]
    raise DataError(f"{' or '.join(keys)} is missing; its keys are {', '.join(map(str, row.row))}")


def identity(row: PublishedRow, *keys: str) -> str:
    """The row's own id, else its file and number."""
    found = next((row.row[key] for key in keys if row.row.get(key) not in (None, "")), None)
    return str(found) if found is not None else f"{row.file.name.split('.')[0]}-{row.number}"


def stated(solution: str, answer: str) -> str:
    """A worked answer that ends with what the answer is."""
    return f"{solution.strip()}\nThe answer is {answer}."


def gsm8k(row: PublishedRow) -> Iterator[Own]:
    """`question`, `answer` with the steps and `#### 18`; also with the steps apart, as `solution`."""
    whole = str(first_of(row, "answer"))
    steps, mark, final = str(row.row.get("solution") or whole).rpartition("####")
    answer = answer_text((final if mark else whole).strip())
    yield {
        "id": identity(row, "id"), "question": first_of(row, "question"), "answer": answer, "kind": "math",
        "worked": stated(CALCULATOR.sub("", steps), answer),
    }  # fmt: skip


def math(row: PublishedRow) -> Iterator[Own]:
    """MATH-500: `problem`, `answer`, `solution`, `subject`, `level`, `unique_id`."""
    own = {"id": identity(row, "unique_id", "id"), "question": first_of(row, "problem", "question")}
    own |= {"answer": str(first_of(row, "answer")), "category": str(first_of(row, "subject", "type"))}
    yield own | ({"worked": row.row["solution"]} if row.row.get("solution") else {})


def aime(row: PublishedRow) -> Iterator[Own]:
    """Whole numbers from 0 to 999, some in dollars or with a sign of degrees; the keys are written small or with a capital."""
    question, given = first_of(row, "problem", "Problem", "question"), str(first_of(row, "answer", "Answer")).strip()
    answer = DEGREES.sub("", given.strip("$").strip())
    if not re.fullmatch(r"\d{1,3}", answer):
        raise DataError(f"answer {given!r} is no whole number from 0 to 999")
    yield {"id": identity(row, "ID", "id", "problem_idx"), "question": question, "answer": answer, "kind": "math"}


def svamp(row: PublishedRow) -> Iterator[Own]:
    """`Body` and `Question`, `Answer`, `Type`; also joined, as `question`."""
    body = str(row.row.get("Body") or "").strip()
    question = f"{body}{'' if not body or body.endswith(('.', '?', '!', ',')) else '.'} {first_of(row, 'Question', 'question')}"
    answer = answer_text(first_of(row, "Answer", "answer"))
    yield {
        "id": identity(row, "ID", "id"), "question": question.strip(), "answer": answer, "kind": "math",
        "category": str(first_of(row, "Type", "type")),
    }  # fmt: skip


def mawps(row: PublishedRow) -> Iterator[Own]:
    """`input`, `target`, `type`: which of the four collections it comes from."""
    answer = answer_text(first_of(row, "target", "answer"))
    question, part = first_of(row, "input", "question"), str(row.row.get("type") or "")
    yield {"id": identity(row, "id"), "question": question, "answer": answer, "kind": "math", "category": part}


def cmath(row: PublishedRow) -> Iterator[Own]:
    """`input`, `golden`, `grade`, in Chinese."""
    answer = answer_text(first_of(row, "golden", "answer"))
    own = {"id": identity(row, "id"), "question": first_of(row, "input", "question"), "answer": answer, "kind": "math"}
    yield own | {"language": "zh", "category": f"grade {first_of(row, 'grade')}"}


def mgsm(row: PublishedRow) -> Iterator[Own]:
    """A file for each language, `mgsm_LANGUAGE.tsv` of question and answer; or rows with the question in several languages."""
    language = row.file.name.split(".")[0].rpartition("_")[2]
    if language in LANGUAGES:
        question, answer = first_of(row, "0", "question"), first_of(row, "1", "answer_number")
        asked = {language: question}
    else:
        answer = first_of(row, "answer")
        asked = {name: str(text) for name, text in row.row.items() if name in LANGUAGES and text}
    for name, question in asked.items():
        own = {"id": f"{name}-{row.row.get('id', row.number)}", "question": question, "answer": answer_text(answer)}
        yield own | {"kind": "math", "language": name, "category": name}

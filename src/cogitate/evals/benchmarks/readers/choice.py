"""Rows of multiple choice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from cogitate.errors import DataError
from cogitate.evals.benchmarks.files import PublishedRow
from cogitate.evals.benchmarks.readers.ceval_subjects import CATEGORY_OF
from cogitate.evals.benchmarks.readers.maths import Own, first_of, identity
from cogitate.runtime import derive_seed
from cogitate.tasks.files.rows import LETTERS


def chosen(options: Sequence[Any], answer: Any) -> str:
    """The letter of an answer that is a letter or an index from 0. Raises DataError where it is neither."""
    letter = LETTERS[answer] if isinstance(answer, int) and 0 <= answer < len(options) else str(answer).strip()
    if len(letter) != 1 or letter not in LETTERS[: len(options)]:
        raise DataError(f"answer {answer!r} is none of the {len(options)} options")
    return letter


def worked(letter: str, steps: str = "") -> str:
    return f"{steps.strip()}\nThe answer is {letter}.".strip()


def mmlu_pro(row: PublishedRow) -> Iterator[Own]:
    """Up to ten `options`, `answer` a letter, `category`, and in the validation split `cot_content`."""
    options = [option for option in first_of(row, "options") if str(option).strip() != "N/A"]
    letter = chosen(options, first_of(row, "answer"))
    steps = str(row.row.get("cot_content") or "").removeprefix("A: Let's think step by step.")
    yield {
        "id": identity(row, "question_id"), "question": first_of(row, "question"), "choices": options, "answer": letter,
        "kind": "choice", "category": str(first_of(row, "category")), "worked": worked(letter, steps),
    }  # fmt: skip


def gpqa(row: PublishedRow) -> Iterator[Own]:
    """The right answer and three wrong ones, put in an order that depends on the question alone."""
    texts = [str(first_of(row, key)).strip() for key in ("Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3)))]
    question = str(first_of(row, "Question")).strip()
    order = random.Random(derive_seed("gpqa", question)).sample(range(4), 4)
    letter = LETTERS[order.index(0)]
    yield {
        "id": identity(row, "Record ID"), "question": question, "choices": [texts[index] for index in order], "answer": letter,
        "kind": "choice", "category": str(first_of(row, "High-level domain")),
    }  # fmt: skip


def ceval(row: PublishedRow) -> Iterator[Own]:
    """A file for each subject, SUBJECT_val.csv or SUBJECT/val-*.parquet: `question`, `A` to `D`, `answer`."""
    subject = row.file.stem.rpartition("_")[0] or row.file.parent.name
    if subject not in CATEGORY_OF:
        raise DataError(f"{subject!r} is no subject of C-Eval")
    options = [str(first_of(row, letter)) for letter in "ABCD"]
    letter = chosen(options, first_of(row, "answer"))
    yield {
        "id": f"{subject}-{identity(row, 'id')}", "question": first_of(row, "question"), "choices": options, "answer": letter,
        "kind": "choice", "language": "zh", "category": CATEGORY_OF[subject], "subject": subject,
        "worked": worked(letter, str(row.row.get("explanation") or "")),
    }  # fmt: skip


def mmlu(row: PublishedRow) -> Iterator[Own]:
    """`question`, four `choices`, `answer` an index or a letter, `subject`."""
    options = first_of(row, "choices", "options")
    letter = chosen(options, first_of(row, "answer"))
    subject = str(first_of(row, "subject"))
    yield {
        "id": f"{subject}-{identity(row, 'id')}", "question": first_of(row, "question"), "choices": list(options),
        "answer": letter, "kind": "choice", "category": subject, "worked": worked(letter),
    }  # fmt: skip


def arc(row: PublishedRow) -> Iterator[Own]:
    """`choices` with texts and labels, which are letters or numbers; `answerKey` is one of the labels."""
    choices, key = first_of(row, "choices"), str(first_of(row, "answerKey", "answer"))
    labels, texts = [str(label) for label in choices["label"]], list(choices["text"])
    if key not in labels:
        raise DataError(f"answerKey {key!r} is none of the labels {', '.join(labels)}")
    letter = LETTERS[labels.index(key)]
    own = {"id": identity(row, "id"), "question": first_of(row, "question"), "choices": texts, "answer": letter}
    yield own | {"kind": "choice", "worked": worked(letter)}


def aqua(row: PublishedRow) -> Iterator[Own]:
    """`options` that begin with their letter ("A)21"), `correct` a letter, `rationale`."""
    options = [str(option).partition(")")[2].strip() for option in first_of(row, "options")]
    letter = chosen(options, first_of(row, "correct", "answer"))
    own = {"id": identity(row, "id"), "question": first_of(row, "question"), "choices": options, "answer": letter}
    yield own | {"kind": "choice", "worked": worked(letter, str(row.row.get("rationale") or ""))}

"""Users' own problems: JSON Lines or Parquet, rows with `question` and `answer`. What a row may hold: `rows`.

A problem's id is the row's `id`, else a hash of the row. Rows of equal id and content are one problem and kept once; rows of
equal id and other content are an error.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, first_and_number, shown
from cogitate.tasks.files.datasets import data_file, read_rows
from cogitate.tasks.files.rows import read_row
from cogitate.types import PLACE, Problem


def load_problems(path: str | Path, *, task_name: str | None = None) -> list[Problem]:
    """All problems of a JSON Lines or Parquet file, in its order.

    Args:
        path: the file.
        task_name: the task that results are reported under; by default the file's name without its ending.

    Raises:
        DataError: the file cannot be read or has no problem, or lines are wrong: names the file and the first of them, and says
            how many there are.
    """
    task, path = task_name or Path(path).stem, data_file(path)
    faults = RowFaults(path)
    rows = read_rows(path, faults)
    if path.suffix == ".parquet":
        rows = ((place, without_nulls(row)) for place, row in rows)
    problems = problems_of_rows(rows, task, faults)
    faults.check()
    if not problems:
        raise DataError(f"{path}: no problem in it; write one JSON object a line with the keys question and answer")
    return problems


def problems_of_rows(rows: Iterable[tuple[str, Mapping[str, Any]]], task: str, faults: RowFaults) -> list[Problem]:
    """The different problems of (place, row); `faults` gets the rows that are none."""
    problems: dict[str, Problem] = {}
    for place, row in rows:
        with faults.at(place):
            problem = read_problem(row, task, place)
            known = problems.setdefault(problem.id, problem)
            if not same_content(known, problem):
                raise DataError(
                    f"the id {problem.id!r} is also that of another problem, in {known.fields[PLACE]}; make ids unique"
                )
    return list(problems.values())


def check_disjoint(train: Sequence[Problem], evaluation: Sequence[Problem]) -> None:
    """Refuse a problem that is in both: the same question, case, width and white space aside.

    Raises:
        DataError: names both places of the first few, and says how many there are.
    """
    trained = {canonical(problem.question): problem for problem in train}
    shared = [(other, problem) for problem in evaluation if (other := trained.get(canonical(problem.question))) is not None]
    if shared:
        places = [f"{other.place} and {problem.place}: {shown(problem.question)}" for other, problem in shared]
        what = "the same problem is" if len(shared) == 1 else f"{len(shared)} problems are"
        raise DataError(
            f"{what} in the training and in the evaluation set: {first_and_number(places, len(places))}; remove "
            f"{'it' if len(shared) == 1 else 'them'} from one of them"
        )


def canonical(question: str) -> str:
    """A question without differences of case, character width and white space."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())


def read_problem(row: Mapping[str, Any], task: str, place: str) -> Problem:
    """One row as a problem.

    Raises:
        DataError: what is wrong with it, without its place.
    """
    meaning = read_row(row)
    language = row.get("language", "zh" if is_chinese(meaning.question) else "en")
    if not isinstance(language, str) or not re.fullmatch("[a-z]{2,3}", language):
        raise DataError(f"language must be a code such as en or zh, got {shown(language)}")
    identity = row.get("id")
    if identity is None:
        digest = hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode())
        identity = f"{task}:{digest.hexdigest()[:16]}"
    elif isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        raise DataError(f"id must be text or a whole number, got {shown(identity)}")
    return Problem(
        id=str(identity),
        task=task,
        kind=meaning.kind,
        question=meaning.question,
        gold=meaning.gold,
        language=language,
        fields={**meaning.fields, PLACE: place},
        turns=meaning.turns,
    )


def without_nulls(value: Any) -> Any:
    """A value of Parquet without the keys that its row lacks: there, every object has the keys of all."""
    if isinstance(value, Mapping):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def is_chinese(text: str) -> bool:
    """Are there more Chinese characters than words in Latin script?"""
    return len(re.findall(r"[\u4e00-\u9fff]", text)) > len(re.findall(r"[A-Za-z]+", text))


def same_content(one: Problem, other: Problem) -> bool:
    """Equal in everything but the place."""
    return (one.kind, one.question, one.gold, one.language, {**one.fields, PLACE: ""}) == (
        other.kind, other.question, other.gold, other.language, {**other.fields, PLACE: ""},
    )  # fmt: skip

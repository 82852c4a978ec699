"""Users' own problems: JSON Lines, one object a line with `question` and `answer`. What a row may hold: `rows`.

Files are UTF-8; a byte-order mark, CRLF and empty lines are accepted. A problem's id is the row's `id`, else a hash of the
row. Rows of equal id and content are one problem and kept once; rows of equal id and other content are an error.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cogitate.errors import DataError
from cogitate.tasks.files.rows import read_row, shown
from cogitate.types import PLACE, Problem


def load_problems(path: str | Path, *, task_name: str | None = None) -> list[Problem]:
    """All problems of a JSON Lines file, in its order.

    Args:
        path: the file.
        task_name: the task that results are reported under; by default the file's name without its ending.

    Raises:
        DataError: the file cannot be read, is not UTF-8, has no problem, or a line is wrong: names file and line.
    """
    path = Path(path)
    task = task_name or path.stem
    problems: dict[str, Problem] = {}
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        try:
            problem = read_problem(line, task, place)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        known = problems.setdefault(problem.id, problem)
        if not same_content(known, problem):
            raise DataError(
                f"{place}: the id {problem.id!r} is also that of another problem, in {known.fields[PLACE]}; make ids unique"
            )
    if not problems:
        raise DataError(f"{path}: no problem in it; write one JSON object a line with the keys question and answer")
    return list(problems.values())


def check_disjoint(train: Sequence[Problem], evaluation: Sequence[Problem]) -> None:
    """Refuse a problem that is in both: the same question, case, width and white space aside.

    Raises:
        DataError: names both places.
    """
    trained = {canonical(problem.question): problem for problem in train}
    for problem in evaluation:
        other = trained.get(canonical(problem.question))
        if other is not None:
            raise DataError(
                f"the same problem is in the training and in the evaluation set: {other.place} and {problem.place}: "
                f"{shown(problem.question)}; remove it from one of them"
            )


def canonical(question: str) -> str:
    """A question without differences of case, character width and white space."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of each line that is not blank."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    content = content.removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            message = f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
            raise DataError(f"{path}, line {number}: {message}") from error
        if text:
            yield number, text


def read_problem(line: str, task: str, place: str) -> Problem:
    """One line as a problem.

    Raises:
        DataError: what is wrong with it, without its place.
    """
    row = parse_object(line)
    kind, question, gold, fields = read_row(row)
    language = row.get("language", "zh" if is_chinese(question) else "en")
    if not isinstance(language, str) or not re.fullmatch("[a-z]{2,3}", language):
        raise DataError(f"language must be a code such as en or zh, got {shown(language)}")
    identity = row.get("id")
    if identity is None:
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode())
        identity = f"{task}:{digest.hexdigest()[:16]}"
    elif isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        raise DataError(f"id must be text or a whole number, got {shown(identity)}")
    return Problem(
        id=str(identity), task=task, kind=kind, question=question, gold=gold, language=language, fields={**fields, PLACE: place}
    )


def parse_object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=refuse_constant)
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} at character {error.pos + 1}; write one object a line") from error
    except UnicodeEncodeError as error:
        raise DataError("a text holds half of a character (a lone surrogate)") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"not usable JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"a JSON object is needed, one a line, got {shown(row)}")
    return row


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def is_chinese(text: str) -> bool:
    """Are there more Chinese characters than words in Latin script?"""
    return len(re.findall(r"[\u4e00-\u9fff]", text)) > len(re.findall(r"[A-Za-z]+", text))


def same_content(one: Problem, other: Problem) -> bool:
    """Equal in everything but the place."""
    return (one.kind, one.question, one.gold, one.language, {**one.fields, PLACE: ""}) == (
        other.kind, other.question, other.gold, other.language, {**other.fields, PLACE: ""},
    )  # fmt: skip

"""Rows of programming benchmarks."""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import re
import zlib
from collections.abc import Iterator
from typing import Any

from cogitate.errors import DataError
from cogitate.evals.benchmarks.files import PublishedRow
from cogitate.evals.benchmarks.readers.maths import Own, first_of, identity

MBPP_TEST = range(11, 511)  # task ids of the test split; 1 to 10 are for prompts (arXiv:2108.07732, section 2.1)
MOST_BYTES = 1 << 29  # of the tests of one problem, unpacked: some have inputs of many megabytes
STDIN = "Write a whole Python program that reads standard input and prints to standard output."


def humaneval(row: PublishedRow) -> Iterator[Own]:
    """`prompt`: a function's head and its docstring; `test` with check(candidate); `entry_point`.

    What the prompt has before that function (imports, helpers that its docstring or the tests use) runs before the program, so
    that an answer with the whole function need not repeat it.
    """
    head = str(first_of(row, "prompt"))
    question = f"Complete this function:\n```python\n{head.strip()}\n```"
    own = {key: first_of(row, key) for key in ("test", "entry_point")}
    start = re.search(rf"^def {re.escape(str(own['entry_point']))}\b", head, re.MULTILINE)
    if start is None:
        raise DataError(f"its prompt has no function {own['entry_point']!r}, which is its entry_point")
    before = head[: start.start()].strip()
    own |= {"id": identity(row, "task_id", "id"), "question": question, "prompt": head, "kind": "code"}
    yield own | {"weaker_tests": True} | ({"prelude": f"{before}\n"} if before else {})


def mbpp(row: PublishedRow) -> Iterator[Own]:
    """`text`, three assertions in `test_list`, `test_setup_code`; rows outside the test split are left out."""
    number = int(str(first_of(row, "task_id", "id")).rpartition("-")[2])
    if number in MBPP_TEST:
        yield mbpp_task(row, number)


def mbpp_prompts(row: PublishedRow) -> Iterator[Own]:
    """The ten tasks that the authors keep for prompts, with their programs."""
    number = int(str(first_of(row, "task_id", "id")).rpartition("-")[2])
    if number < MBPP_TEST.start:
        yield mbpp_task(row, number) | {"worked": f"```python\n{str(first_of(row, 'code')).strip()}\n```"}


def mbpp_task(row: PublishedRow, number: int) -> Own:
    tests = [str(test) for test in first_of(row, "test_list")]
    question = f"{first_of(row, 'text', 'prompt')}\nYour code must pass these tests:\n" + "\n".join(tests)
    source = "\n".join(part for part in (str(row.row.get("test_setup_code") or ""), *tests) if part)
    return {"id": f"mbpp-{number}", "question": question, "tests": source, "kind": "code", "weaker_tests": True}


def livecodebench(row: PublishedRow) -> Iterator[Own]:
    """`question_content`, `starter_code`, tests in `public_test_cases` and `private_test_cases`, `contest_date`."""
    public, private = read_tests(first_of(row, "public_test_cases")), read_tests(first_of(row, "private_test_cases"))
    tests = [*public, *private]
    if not tests:
        raise DataError("it has no tests")
    content, starter = str(first_of(row, "question_content")), str(row.row.get("starter_code") or "")
    own = {
        "id": identity(row, "question_id"), "kind": "code", "category": str(first_of(row, "difficulty")),
        "date": str(first_of(row, "contest_date")), "platform": str(row.row.get("platform") or ""),
    }  # fmt: skip
    if tests[0].get("testtype") == "functional":
        name = json.loads(str(first_of(row, "metadata")))["func_name"]
        pairs = [{"args": arguments(test["input"]), "expected": json.loads(test["output"])} for test in tests]
        question = f"{content}\n\nBegin with this code:\n```python\n{starter.strip()}\n```"
        yield own | {"question": question, "mode": "function", "entry_point": name, "tests": pairs, "prelude": "leetcode"}
    else:
        cases = [{"input": test["input"], "output": test["output"]} for test in tests]
        yield own | {"question": f"{content}\n\n{STDIN}", "mode": "stdin", "tests": cases}


def arguments(text: str) -> list[Any]:
    """One JSON value a line."""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


# Beside the errors of its decoders what a damaged pickle raises: pickle names no single class for it.
UNREADABLE = (
    ValueError, TypeError, EOFError, LookupError, AttributeError, OverflowError, RecursionError, binascii.Error, zlib.error,
    pickle.UnpicklingError,
)  # fmt: skip


def read_tests(packed: str) -> list[dict[str, Any]]:
    """A JSON list of tests, each an object; the private ones are packed: base64 of zlib of a pickle that holds the JSON text.

    Raises:
        DataError: it is neither, or the pickle holds anything but a text.
    """
    try:
        if packed.lstrip().startswith("["):
            return list(json.loads(packed))
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(base64.b64decode(packed, validate=True), MOST_BYTES)
        if not unpacking.eof:
            raise DataError(f"its tests are truncated, or more than {MOST_BYTES >> 20} MiB")
        return list(json.loads(TextUnpickler(io.BytesIO(content)).load()))
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"its tests cannot be read: {error}") from error


class TextUnpickler(pickle.Unpickler):
    """Reads texts and plain containers: a pickle that names any class or function is refused, so that it can run nothing."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, which a text does not")

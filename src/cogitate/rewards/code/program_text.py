"""The program in an answer: fenced code blocks, or the answer itself."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Sequence

PYTHON_LABELS = ("python", "python3", "py", "py3")
UNFENCED_LIMIT = 50_000  # characters

_FENCE = re.compile(r"^(?P<before>[^`~]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[^\s`{]*)[^`\n]*$")


def extract_program(text: str) -> str | None:
    """The last Python code block of an answer: the last labelled one, else the last without a label.

    An answer without any block that is Python as it stands is the program itself. A last block that is never closed
    reaches to the end. Where a program stands before the first fence, and no block holds one, the prompt had opened a block
    that this fence closes.
    """
    blocks = code_blocks(text)
    if not blocks:
        return as_python(text)
    program = last_python(blocks)
    head, rest = split_at_bare_fence(text)
    opened = as_python(head)
    if opened is None or not does_something(opened) or (program is not None and does_something(program)):
        return program
    return last_python([("python", opened), *code_blocks(rest)])


def last_python(blocks: Sequence[tuple[str, str]]) -> str | None:
    labelled, unlabelled = None, None
    for label, body in blocks:
        if label.lower() in PYTHON_LABELS:
            labelled = body
        elif not label:
            unlabelled = body
    return labelled if labelled is not None else unlabelled


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Fenced blocks of Markdown as (label, body), in order.

    More lenient than Markdown: a fence may open behind other words of its line, and close behind the last line of code.
    """
    blocks: list[tuple[str, str]] = []
    opened: re.Match[str] | None = None
    body: list[str] = []
    for line in text.split("\n"):  # not splitlines: a string of the program may hold other line ends
        if opened is None:
            opened, body = _FENCE.match(line), []
            continue
        code, closed = before_closing(line, opened["fence"])
        if not closed or code.strip():
            body.append(code)
        if closed:
            blocks.append(_block(opened, body))
            opened = None
    if opened is not None:
        blocks.append(_block(opened, body))
    return blocks


def before_closing(line: str, fence: str) -> tuple[str, bool]:
    """The code of a line inside a block, and whether the block ends with it."""
    stripped = line.rstrip()
    code = stripped.rstrip(fence[0])
    closed = len(stripped) - len(code) >= len(fence) and fence[0] not in code
    return (code, True) if closed else (line, False)


def _block(opened: re.Match[str], body: list[str]) -> tuple[str, str]:
    code = "\n".join(body) + "\n"
    indented = opened["before"] and not opened["before"].strip()
    return opened["label"], textwrap.dedent(code) if indented else code


def split_at_bare_fence(text: str) -> tuple[str, str]:
    """What stands before the first fence and after its line, where that fence has no label and nothing behind it.

    A first line that is a label belongs to a fence of the prompt, and is left out. ("", "") where the fence has a label.
    """
    lines = text.split("\n")
    number = next(number for number, line in enumerate(lines) if _FENCE.match(line))
    before = lines[number].rstrip().rstrip("`~")
    if lines[number][len(before) :].strip("`~ \t\r"):
        return "", ""
    head = "\n".join([*lines[:number], before])
    first, _, others = head.lstrip().partition("\n")
    return others if first.strip().lower() in PYTHON_LABELS else head, "\n".join(lines[number + 1 :])


def as_python(text: str) -> str | None:
    """The text as a program, with blanks before it taken off where they hinder; None where it is empty, long or not Python."""
    if not text.strip() or len(text) > UNFENCED_LIMIT:
        return None
    return next((form for form in (text, text.lstrip(), textwrap.dedent(text)) if parse(form) is not None), None)


def does_something(program: str) -> bool:
    """Whether it has a statement with an effect. Words such as "Answer" or "Note: yes" are Python too, but have none."""
    tree = parse(program) if len(program) <= UNFENCED_LIMIT else None
    return tree is not None and any(map(has_effect, tree.body))


def has_effect(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return any(isinstance(node, ast.Call) for node in ast.walk(statement))
    return not isinstance(statement, ast.AnnAssign) or statement.value is not None


def parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in a model's strings
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None

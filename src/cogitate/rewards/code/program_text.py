"""The program in an answer: fenced code blocks, or the answer itself."""

from __future__ import annotations

import ast
import re
import textwrap

PYTHON_LABELS = ("python", "python3", "py", "py3")
UNFENCED_LIMIT = 50_000  # characters

_FENCE = re.compile(r"^(?P<before>[^`~]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[^\s`{]*)[^`\n]*$")


def extract_program(text: str) -> str | None:
    """The last Python code block of an answer: the last labelled one, else the last without a label.

    An answer without any block that is Python as it stands is the program itself. A last block that is never closed
    reaches to the end.
    """
    labelled, unlabelled = None, None
    blocks = code_blocks(text)
    for label, body in blocks:
        if label.lower() in PYTHON_LABELS:
            labelled = body
        elif not label:
            unlabelled = body
    if blocks:
        return labelled if labelled is not None else unlabelled
    return text if text.strip() and len(text) <= UNFENCED_LIMIT and is_python(text) else None


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


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True

"""The program in an answer: fenced code blocks, or the answer itself."""

from __future__ import annotations

import ast
import re
import textwrap

PYTHON_LABELS = ("python", "python3", "py", "py3")
UNFENCED_LIMIT = 50_000  # characters

_FENCE = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[^\s`{]*)[^`\n]*$")


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
    """Fenced blocks of Markdown as (label, body), in order."""
    blocks: list[tuple[str, str]] = []
    fence, label, body = "", "", list[str]()
    for line in text.split("\n"):  # not splitlines: a string of the program may hold other line ends
        match = _FENCE.match(line)
        if not fence:
            if match:
                fence, label, body = match["fence"], match["label"], []
        elif line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            blocks.append((label, textwrap.dedent("\n".join(body)) + "\n"))
            fence = ""
        else:
            body.append(line)
    if fence:
        blocks.append((label, textwrap.dedent("\n".join(body)) + "\n"))
    return blocks


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True

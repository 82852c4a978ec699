"""What the site needs beyond MkDocs: formulas as MathML (no script, no network), and links to files outside docs/.

On a forge a link such as ../src/cogitate/types.py opens the file. The site holds no sources, so there it becomes the file's
name; one that does not exist fails a strict build like any other broken link.
"""

from __future__ import annotations

import html
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

log = logging.getLogger("mkdocs.hooks.site")

LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+(?:src|tests|benchmarks|README)[^)#\s]*)\)")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.+?)\\[)\]]</\1>', re.DOTALL)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Links that leave docs/ become code."""
    docs = Path(config.docs_dir)

    def name(match: re.Match[str]) -> str:
        text, target = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), target))
        if not (docs / path).exists():
            log.warning("%s links to %s, which does not exist", page.file.src_uri, target)
        return text if text.startswith("`") else f"`{text}`"

    return LINK.sub(name, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """What pymdownx.arithmatex has marked, as MathML."""

    def formula(match: re.Match[str]) -> str:
        display = "block" if match[2] == "[" else "inline"
        return convert(html.unescape(match[3]), display=display)

    return FORMULA.sub(formula, content)

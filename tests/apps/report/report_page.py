"""A report as tests read it."""

import json
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Elements, attributes, visible text and the embedded data of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[tuple[str | None, str]] = []
        self._inside: str | None = None
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.data = json.loads("".join(text for where, text in self.texts if where == "script:data"))
        self.visible = " ".join(text for where, text in self.texts if where not in ("script", "script:data", "style")).replace(
            "\xa0", " "
        )

    def values(self, name: str) -> list[str]:
        """Of every attribute of that name."""
        return [value for key, value in self.attributes if key == name and value is not None]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attributes
        if tag in ("script", "style"):
            self._inside = "script:data" if ("id", "data") in attributes else tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        self.texts.append((self._inside, data))

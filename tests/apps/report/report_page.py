"""A report as tests read it."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements, attributes, visible text and the embedded data of a page."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.attributes, self.texts, self._inside = [], [], [], None
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.data = json.loads("".join(text for where, text in self.texts if where == "script:data"))
        self.visible = " ".join(text for where, text in self.texts if where not in ("script", "script:data", "style")).replace(
            "\xa0", " "
        )

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes
        if tag in ("script", "style"):
            self._inside = "script:data" if ("id", "data") in attributes else tag

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data):
        self.texts.append((self._inside, data))

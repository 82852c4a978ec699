"""The chat page: served from the package, with nothing from elsewhere."""

import re
from pathlib import Path

import pytest

from cogitate.apps.serve import pages
from tests.apps.serve.conftest import Client
from tests.web.served import ask

OWN = [path for path in pages.HERE.iterdir() if path.is_file()]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_pages_and_their_files_are_served(client: Client, path: str) -> None:
    status, headers, text = ask(client.url, path)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', text):
        assert ask(client.url, name)[0] == 200, name


@pytest.mark.parametrize("name", ["../model.py", "%2e%2e/model.py", "vendor", "vendor/", "nothing.js"])
def test_no_other_file_is_served(client: Client, name: str) -> None:
    assert ask(client.url, f"/page/{name}")[0] == 404


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_of_the_page_names_an_outside_address_or_sets_html(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"https?://(?!\S*w3\.org)", text) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(| style=| on[a-z]+=", text) == []


def test_each_library_is_named_with_its_licence() -> None:
    licences = (pages.HERE / "vendor" / "LICENSES.md").read_text(encoding="utf-8")
    for name in ("markdown-it", "dompurify", "katex"):
        assert re.search(rf"^## {name} \d+\.\d+\.\d+$", licences, re.MULTILINE)

"""Pairs, adjudication, and what people who use a screen reader or no pointer need."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogitate.recipe.data.decisions.chain import read_chain
from cogitate.recipe.data.review import read_review
from tests.apps.studio.items import candidate, write
from tests.apps.studio.pages.browser import Page, chromium, studio_process

pytestmark = [pytest.mark.pages, pytest.mark.timeout(600)]


def faults(page: Page) -> list[str]:
    """What axe-core finds, as `rule: element`."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra pages is not installed")
    found: dict[str, Any] = axe.Axe().run(page.page).response
    return [f"{one['id']}: {node['html'][:120]}" for one in found["violations"] for node in one["nodes"]]


def test_axe_finds_no_fault_in_light_and_dark_with_panels_and_dialogs(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in range(6)])
    with studio_process(items, "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        found: list[str] = []
        for scheme in ("light", "dark"):
            page.page.emulate_media(color_scheme=scheme)
            found += faults(page)
            page.press("e")
            page.page.locator(".panel .badge").first.wait_for()
            found += faults(page)
            page.picture(f"edit_{scheme}")
            page.press("Escape", "Escape", "/")
            page.page.locator("#filters input").first.wait_for()
            found += faults(page)
            page.picture(f"find_{scheme}")
            page.press("Escape", "/", "?")
            page.page.locator("dialog[open]").wait_for()
            found += faults(page)
            page.picture(f"keys_{scheme}")
            page.press("Escape")
        assert found == []


def test_pairs_are_compared_with_digits_and_no_side_is_liked_more(tmp_path: Path) -> None:
    pairs = [{"prompt": f"Poem {n}", "chosen": f"chosen {n}", "rejected": f"rejected {n}"} for n in range(20)]
    items = write(tmp_path / "pairs.jsonl", pairs)
    with studio_process(items, "--annotators", "eva", "--work", "pairs") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        assert faults(page) == []
        page.picture("pairs")
        sides = []
        for number in range(20):
            sides.append(page.text(".pair section").endswith(f"chosen {number}"))
            page.press("1" if sides[-1] else "2")
            page.says(f"Item {number + 2} of" if number < 19 else "Nothing is left")
        assert page.errors == []
    assert 3 < sum(sides) < 17
    events = read_chain(tmp_path / "pairs-studio" / "events.jsonl")[1:]
    assert {event["choice"] for event in events} == {"a"}
    assert {event["shown_first"] for event in events} == {"a", "b"}


def test_an_adjudicator_takes_over_a_decision_by_its_digit(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    said = {"role": "assistant", "content": candidate(1)["text"]}
    chat = {"messages": [*turns, {"role": "user", "content": candidate(1)["question"]}, said], "kind": "math", "gold": "5"}
    items = write(tmp_path / "items.jsonl", [{**chat, "id": "direct-0001"}, {**chat, "id": "direct-0003"}])
    people = ("--annotators", "eva,li", "--adjudicators", "mo", "--overlap", "1")
    with studio_process(items, *people) as process, chromium() as browser:
        for name, key in (("eva", "a"), ("li", "r")):
            page = Page(browser, process.links[name])
            page.press(key)
            page.says("Item 2 of")
        page = Page(browser, process.links["mo"])
        assert page.text("#place") == "1 of 1"
        assert "Before the question (2)" in page.text("#item")
        page.page.locator("#graded .badge.right").first.wait_for()  # of a row that names its grader
        assert faults(page) == []
        page.picture("adjudication")
        page.press("2")
        page.says("Nothing is left")
        assert page.errors == []
    assert read_review(tmp_path / "items-studio" / "events.jsonl")["direct-0001"].kind == "reject"
    (row,) = [json.loads(line) for line in (tmp_path / "items-studio" / "review.jsonl").read_text().splitlines()]
    assert (row["id"], row["reviewer"]) == ("direct-0001", "mo")

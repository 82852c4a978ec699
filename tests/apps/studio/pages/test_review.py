"""Reviews in a browser, by keyboard alone: fifty items with a kill in between, what is trained from them; two at once."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cogitate.recipe.data.decisions.chain import read_chain
from cogitate.recipe.data.review import read_review
from cogitate.recipe.run_directory.store import SHIPPED
from tests.apps.studio.items import HOSTILE, candidate, write
from tests.apps.studio.pages.browser import Page, chromium, cogitate, studio_process

pytestmark = [pytest.mark.pages, pytest.mark.timeout(1800)]

BASE = str(SHIPPED / "base")
SHORT = (
    f"inputs.base={BASE}", f"inputs.r1_zero={BASE}", "cold_start.problems=12", "cold_start.samples=2",
    "cold_start.max_new_tokens=128", "r1_dev1.rows=2", "r1_dev1.epochs=1", "r1_dev1.warmup_steps=2",
)  # fmt: skip
ITEMS, KILLED_AT = 50, 25
FIGURES = {
    "items of several people": "150", "decided alike": "133", "Krippendorff's alpha": "0.7178",
    "alpha of kept against rejected": "0.7178", "Cohen's kappa, eva and li": "0.7213",
}  # fmt: skip


def decide(page: Page, number: int, of: int) -> str:
    """One item, as a person would who believes the grader; every tenth right one is edited. What was decided."""
    right = page.page.locator("#item .badge.right").count() > 0
    accept = page.page.locator("#actions button.main")
    if not right or accept.is_disabled():
        page.press("r")
    elif number % 10 == 9:
        page.press("e")
        area = page.page.locator("textarea.text")
        area.wait_for()
        page.press("Control+Home", *["ArrowRight"] * len("<think> "))
        page.page.keyboard.type("Checked. ")
        page.press("Control+Enter")
    else:
        page.press("a")
    page.says(f"Item {number + 2} of {of}")
    return page.text("#status")


def test_fifty_items_by_keyboard_with_a_kill_and_an_undo_and_r1_dev1_trained_from_them(tmp_path: Path) -> None:
    cogitate("run", "tiny", "--only", "cold_start", *SHORT, "--out", "run", cwd=tmp_path)
    with studio_process(tmp_path / "run" / "cold_start", "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        page.picture("review")
        of = int(page.text("#place").split()[-1])
        first_item = page.text("#question")
        for number in range(ITEMS):
            if number == KILLED_AT:
                process.kill()
                page.press("r")
                page.page.locator("#trouble", has_text="Not saved yet").wait_for(timeout=60_000)
                page.picture("not_saved_yet")
                process.start()
                page.says(f"Item {number + 2} of {of}")
            else:
                said = decide(page, number, of)
                assert said.startswith(f"Saved as number {number + 2}:"), said
        for place in reversed(range(ITEMS)):
            page.press("k")
            page.says(f"Item {place + 1} of {of}")
        assert page.text("#question") == first_item
        page.press("Shift+U")
        page.says("taken back")
        assert page.errors == []
    studio = tmp_path / "run" / "cold_start-studio"
    events = read_chain(studio / "events.jsonl")
    assert [event["do"] for event in events[1:]].count("undo") == 1
    assert len(events) == 1 + ITEMS + 1
    assert events[-1]["of"] == 2
    decisions = read_review(studio / "events.jsonl")
    assert len(decisions) == ITEMS - 1
    assert {item: one.kind for item, one in read_review(studio / "review.jsonl").items()} == {
        item: one.kind for item, one in decisions.items()
    }

    given = ("cold_start.review=run/cold_start-studio", "cold_start.items=run/cold_start/items.jsonl")
    for stage in ("cold_start", "r1_dev1"):
        cogitate("run", "tiny", "--only", stage, *SHORT, *given, "--out", "reviewed", cwd=tmp_path)
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "reviewed" / "cold_start" / "data.parquet").to_pylist()}
    provenance = tmp_path / "reviewed" / "cold_start" / "provenance.jsonl"
    assert_provenance(provenance, rows, {event["hash"]: event for event in events}, decisions)
    summary = json.loads((tmp_path / "reviewed" / "r1_dev1" / "manifest.json").read_text())["summary"]
    assert summary["conversations"] == len(rows)


def assert_provenance(path: Path, rows: dict[str, Any], events: dict[str, Any], decisions: dict[str, Any]) -> None:
    """Each decision says which row it made, and each row that a person decided on has its decision."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert {one["id"] for one in found} == set(decisions)
    assert all(events[one["event"]]["item"] == one["id"] for one in found)
    assert {one["id"] for one in found if one["row"]} == set(decisions) & set(rows)
    edited = [one for one in found if one["decision"] == "edit"]
    assert edited
    assert all("Checked" in one["delta"] for one in edited)
    assert all(one["active_seconds"] >= 0 for one in found)
    for one in edited:
        assert rows[one["id"]]["messages"][-1]["content"].startswith("<think> Checked. ")


def test_two_people_in_two_browser_sessions_lose_no_decision(tmp_path: Path) -> None:
    """Of 200 items li skips 50; of the others both accept 33, both reject 100, and li alone accepts 17.

    Cohen: observed 133/150; eva accepts 33, li 50, so expected (33*50 + 117*100) / 150^2 = 0.59333. Kappa = 0.29333/0.40667.
    Krippendorff: 83 accept, 217 reject. Observed 17/150; expected 1 - (83*82 + 217*216) / (300*299) = 0.40158.
    Alpha = 1 - 0.11333/0.40158.
    """
    count = 200
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in range(count)])
    people = ("--annotators", "eva,li", "--adjudicators", "mo", "--overlap", "1")
    with studio_process(items, *people) as process, chromium() as browser:
        eva, li = Page(browser, process.links["eva"]), Page(browser, process.links["li"])
        for number in range(count):
            eva.press("a" if number % 6 == 3 else "r")
            li.press("s" if number % 4 == 0 else "a" if number % 3 == 0 else "r")
            eva.page.locator("#place", has_text=f"{min(number + 2, count)} of").wait_for(timeout=60_000)
            question = candidate((number + 1) % count)["question"]  # at last the first one that li put off
            li.page.locator("#question", has_text=question).wait_for(timeout=60_000)
        eva.says("Nothing is left")
        assert li.text("#place") == "151 of 200"
        eva.press("p")
        eva.page.locator("dialog[open] table").first.wait_for()
        assert eva.errors == li.errors == []
        lines = [line.split("\t") for line in eva.text("#dialog-text").splitlines() if "\t" in line]
        assert {name: figure for name, figure in lines if name in FIGURES} == FIGURES
    events = read_chain(tmp_path / "items-studio" / "events.jsonl")
    assert len(events) == 1 + 2 * count
    assert {(event["by"], event["item"]) for event in events[1:]} == {
        (by, f"direct-{number:04d}") for by in ("eva", "li") for number in range(count)
    }


def test_a_models_markup_is_text_and_what_goes_against_a_verdict_is_asked_for(tmp_path: Path) -> None:
    rows = [
        candidate(2),
        candidate(1, question=HOSTILE, text=f"<think> {HOSTILE} 1 + 4 = 5. </think>\nThe answer is \\boxed{{5}}."),
    ]
    with studio_process(write(tmp_path / "items.jsonl", rows), "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        page.press("a")
        page.page.locator("textarea").wait_for()
        page.page.keyboard.type("urea: no key acts here")
        page.picture("contest")
        page.press("Control+Enter")
        page.says("Item 2 of")
        assert page.text("#question") == HOSTILE
        assert page.page.title() == "Cogitate studio"
        assert page.page.locator("#item script, #item img").count() == 0
        page.picture("markup")
        assert page.errors == []
    decision = read_review(tmp_path / "items-studio" / "events.jsonl")["direct-0002"]
    assert (decision.kind, decision.contested) == ("accept", "urea: no key acts here")


def test_pages_fit_a_phone_in_light_and_dark_and_ten_thousand_items_open_at_once(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in range(10_000)])
    with studio_process(items, "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"], color_scheme="dark")
        page.picture("dark")
        took = page.page.evaluate("() => Math.max(...performance.getEntriesByType('resource').map((one) => one.responseEnd))")
        print(f"ten thousand items: shown after {took:.0f} ms")
        page.page.set_viewport_size({"width": 390, "height": 844})
        assert page.page.evaluate("() => document.documentElement.scrollWidth") == 390
        page.picture("phone_dark")
        page.page.emulate_media(color_scheme="light")
        page.picture("phone")
        assert page.errors == []

"""What is being written in the page, and keys: nothing is lost by a wrong key, a click, a reload or another person's link."""

from pathlib import Path
from typing import Any

import pytest

from cogitate.recipe.data.decisions.chain import Event, read_chain
from tests.apps.studio.items import candidate, write
from tests.apps.studio.pages.browser import Page, chromium, studio_process

pytestmark = [pytest.mark.pages, pytest.mark.timeout(600)]

TYPED = "Look here. "


def written(tmp_path: Path) -> list[Event]:
    return read_chain(tmp_path / "items-studio" / "events.jsonl")[1:]


def area(page: Page) -> Any:
    found = page.page.locator("textarea.text")
    found.wait_for()
    return found


def begin_an_edit(page: Page) -> None:
    page.press("e")
    area(page)
    page.press("Control+Home", *["ArrowRight"] * len("<think> "))
    page.page.keyboard.type(TYPED)


def test_what_is_written_is_lost_by_no_key_click_or_reload(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in (1, 3, 4)])
    with studio_process(items, "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        begin_an_edit(page)
        page.press("Escape")  # leaves the field; the panel stays
        page.press("a", "r", "s", "u", "n", "1", "j", "ArrowRight")
        assert page.page.locator("#actions button:enabled").count() == 0
        page.page.locator("#list button").nth(1).click()
        page.page.locator("#trouble", has_text="Save or cancel what you are writing first").wait_for()
        page.page.locator("#filters select[name=order]").evaluate(
            "(select) => { select.value = 'longest'; select.dispatchEvent(new Event('change', { bubbles: true })); }"
        )
        assert TYPED in area(page).input_value()
        page.press("Escape")  # cancels
        page.page.locator("textarea.text").wait_for(state="detached")
        page.press("e")
        assert TYPED in area(page).input_value()
        page.press("Escape", "Escape")
        page.page.reload()
        page.says("Item 1 of 3")
        page.press("e")
        assert TYPED in area(page).input_value()
        page.page.get_by_role("button", name="Start again from the saved text").click()
        assert TYPED not in area(page).input_value()
        page.press("Escape", "Escape")
        assert written(tmp_path) == []
        begin_an_edit(page)
        page.press("Control+Enter")
        page.says("Item 2 of 3")
        page.press("k")
        page.says("Item 1 of 3")
        page.press("e")
        assert area(page).input_value().count(TYPED) == 1  # of the decision: the draft is gone
        assert page.page.get_by_role("button", name="Start again").count() == 0
        assert page.errors == []
    assert [event["do"] for event in written(tmp_path)] == ["edit"]


def test_a_skipped_item_comes_again_at_the_end_with_what_was_written_of_it(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in (1, 3, 4)])
    with studio_process(items, "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        first = page.text("#question")
        begin_an_edit(page)
        page.press("Escape", "Escape", "s")
        page.says("Saved as number 2: skipped. Item 1 of 3")
        for place in (2, 3):
            page.press("r")
            page.says(f"Item {place} of 3")
        assert page.text("#question") == first
        page.press("e")
        assert TYPED in area(page).input_value()
        page.press("Escape", "Escape", "j")
        page.says("This is the end of the queue")
        assert "1 item is open" in page.text("#item")
        page.press("k")
        page.says("Item 3 of 3")
        page.press("r")
        page.says("Nothing is left")
        assert page.errors == []


def test_an_edit_against_the_verdict_comes_back_when_its_reason_is_cancelled(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(2), candidate(3)])
    with studio_process(items, "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        begin_an_edit(page)
        page.press("Control+Enter")
        page.page.get_by_label("Why the grader's verdict is wrong").wait_for()
        page.press("Escape", "Escape")
        assert TYPED in area(page).input_value()
        page.press("Control+Enter")
        page.page.get_by_label("Why the grader's verdict is wrong").wait_for()
        page.page.keyboard.type("the reference is wrong")
        page.press("Control+Enter")
        page.says("Item 2 of 2")
        assert page.errors == []
    (event,) = written(tmp_path)
    assert (event["do"], event["contested"]) == ("edit", "the reference is wrong")
    assert TYPED in event["text"]


def test_keys_do_the_same_with_caps_lock_and_on_a_cyrillic_keyboard(tmp_path: Path) -> None:
    press = "(key) => dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, ...key }))"
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in (1, 3, 4, 6)])
    with studio_process(items, "--annotators", "eva") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        keys: list[tuple[dict[str, Any], str]] = [
            ({"key": "A", "code": "KeyA"}, "Item 2 of"),  # Caps Lock
            ({"key": "к", "code": "KeyR"}, "Item 3 of"),
            ({"key": "U", "code": "KeyU"}, "Item 2 of"),  # Caps Lock: undo, which takes one back to the item
            ({"key": "a", "code": "KeyQ"}, "Item 3 of"),  # AZERTY: the letter counts where it is a Latin one
            ({"key": "R", "code": "KeyR", "repeat": True}, "Item 3 of"),  # a key that is held
            ({"key": "r", "code": "KeyR", "ctrlKey": True}, "Item 3 of"),
            ({"key": "U", "code": "KeyU", "shiftKey": True}, "Item 3 of"),  # nothing to undo here
        ]
        for key, says in keys:
            page.page.evaluate(press, key)
            page.says(says)
        assert page.errors == []
    assert [event["do"] for event in written(tmp_path)] == ["accept", "reject", "undo", "accept"]


def test_another_persons_link_in_the_same_tab_opens_their_queue(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in (1, 3)])
    with studio_process(items, "--annotators", "eva,li", "--overlap", "1") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        page.press("a")
        page.says("Item 2 of")
        page.page.goto(process.links["li"])
        page.page.locator("#who", has_text="li").wait_for()
        page.says("Item 1 of 2")
        assert "key=" not in page.page.url
        page.press("r")
        page.says("Item 2 of")
        page.page.evaluate("() => sessionStorage.clear()")
        page.page.goto(process.links["li"].split("#")[0])
        page.page.get_by_label("Your key").wait_for()
        page.page.get_by_label("Your key").fill("not a key")
        page.press("Enter")
        page.page.wait_for_function("() => document.querySelector('[aria-label=\"Your key\"]')?.value === ''")  # asked again
        page.page.get_by_label("Your key").fill(process.links["eva"].partition("key=")[2])
        page.press("Enter")
        page.page.locator("#who", has_text="eva").wait_for()
        assert page.errors == []
    assert [(event["by"], event["do"]) for event in written(tmp_path)] == [("eva", "accept"), ("li", "reject")]


def test_an_item_of_somebody_else_is_only_read_and_a_pair_is_told_by_its_sides(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in range(8)])
    with studio_process(items, "--annotators", "eva,li") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        page.press("/")
        page.page.locator("#filters select[name=state]").select_option("all")
        page.says("Item 1 of 8")
        page.page.locator("[data-do=filters]", has_text="(1)").wait_for()  # what is set is said also when the form is closed
        page.page.evaluate("() => document.activeElement.blur()")
        while "in the queue of li" not in page.text("#item .card"):
            place = int(page.text("#place").split()[0])
            page.press("j")
            page.says(f"Item {place + 1} of 8")
        assert page.page.get_by_role("button", name="Accept").is_disabled()
        page.press("a", "r", "s")
        page.page.get_by_role("button", name="Clear").click()
        page.page.locator("#place", has_text="1 of").wait_for()
        assert page.page.locator("[data-do=filters]", has_text="(").count() == 0
        assert page.errors == []
    assert written(tmp_path) == []
    pairs = write(tmp_path / "pairs.jsonl", [{"prompt": f"Poem {n}", "chosen": "yes", "rejected": "no"} for n in range(6)])
    with studio_process(pairs, "--annotators", "eva", "--work", "pairs") as process, chromium() as browser:
        page = Page(browser, process.links["eva"])
        for number in range(6):
            page.press("1")
            page.says(f"Item {number + 2} of" if number < 5 else "Nothing is left")
        page.page.locator("#list li", has_text="left is better").nth(5).wait_for()
        page.press("p")
        page.page.locator("dialog[open]").wait_for()
        assert "left is better\t6" in page.text("#dialog-text")
        assert page.errors == []

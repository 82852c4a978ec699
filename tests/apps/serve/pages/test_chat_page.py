"""The chat page in a browser, in front of a server with two models of the same random weights."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cogitate.apps.serve.command import OPEN_PATHS
from cogitate.web.rules import Rules
from tests.apps.serve.conftest import Client, start, wait_until
from tests.apps.studio.pages.browser import chromium

pytestmark = [pytest.mark.pages, pytest.mark.timeout(600)]

SCREENSHOTS = os.environ.get("COGITATE_SCREENSHOTS", "")
KEY = "a-key-of-the-tests"
# Keeps what the block of thinking showed, each time that it changed: open or not, its summary, the answer's text.
WATCH = """() => {
  window.states = [];
  const look = () => {
    const block = document.querySelector("details.thinking");
    if (block && !block.hidden) {
      const answer = document.querySelector(".answer").textContent;
      window.states.push([block.open, block.querySelector("summary").textContent, answer]);
    }
  };
  new MutationObserver(look).observe(document.getElementById("turns"), { subtree: true, childList: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def two(long_model: Path) -> Iterator[Client]:
    work, running = start({"micro": long_model, "other": long_model})
    with running as url:
        wait_until(lambda: work.models is not None)
        yield Client(url, work)


class Chat:
    """Somebody at the page; what it logs as an error, and requests to other places, fail the test."""

    def __init__(self, browser: Any, url: str, *, ready: bool = True, **options: Any):
        self.context = browser.new_context(
            viewport=options.pop("viewport", {"width": 1200, "height": 800}),
            permissions=["clipboard-read", "clipboard-write"], **options,
        )  # fmt: skip
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)
        self.url = url
        self.page.route("**/v1/chat/completions", self._without_end)
        self.page.goto(url)
        if ready:
            self.page.locator("#model option").first.wait_for(state="attached")

    def _note(self, request: Any) -> None:
        self.hosts.add(urlsplit(request.url).netloc)
        if request.method == "POST":
            self.bodies.append(json.loads(request.post_data))

    def _without_end(self, route: Any) -> None:
        """A model of random weights may end at any token; here it ends where the page tells it to."""
        body = json.loads(route.request.post_data)
        route.continue_(post_data=json.dumps({**body, "ignore_eos": True}))

    def set(self, **settings: str) -> None:
        self.page.locator("#settings").evaluate("(element) => { element.open = true; }")
        for name, value in settings.items():
            self.page.fill(f"#{name}", value)

    def ask(self, question: str) -> None:
        self.page.fill("#question", question)
        self.page.keyboard.press("Enter")

    def complete(self) -> None:
        self.page.locator("#status", has_text="The reply is complete.").wait_for(timeout=60_000)

    def texts(self, selector: str) -> list[str]:
        return [str(each) for each in self.page.locator(selector).all_inner_texts()]

    def clipboard(self) -> str:
        return str(self.page.evaluate("navigator.clipboard.readText()"))

    def faults(self) -> list[str]:
        """What axe-core finds, as `rule: element`."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra pages is not installed")
        found: dict[str, Any] = axe.Axe().run(self.page).response
        return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]

    def picture(self, name: str) -> None:
        """A screenshot, where COGITATE_SCREENSHOTS names a directory for them."""
        if SCREENSHOTS:
            self.page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"))

    def close(self) -> None:
        assert not self.errors
        assert self.hosts == {urlsplit(self.url).netloc}
        self.context.close()


def test_thinking_opens_while_it_runs_and_folds_when_the_answer_starts(two: Client, browser: Any) -> None:
    chat = Chat(browser, two.url)
    chat.page.evaluate(WATCH)
    chat.set(budget="400", max_tokens="600", seed="5")
    chat.ask("Say a number.")
    chat.complete()
    (body,) = chat.bodies
    _, whole = two.post("/v1/chat/completions", {**body, "stream": False, "stream_options": None, "ignore_eos": True})
    usage, states = whole["usage"], chat.page.evaluate("window.states")
    thinking = [state for state in states if state[1].startswith("Thinking for ") and not state[2]]
    assert thinking
    assert all(is_open for is_open, _, _ in thinking)
    assert chat.page.locator("details.thinking[open]").count() == 0
    (summary,) = chat.texts("details.thinking summary")
    assert summary.startswith("Thought for ")
    assert summary.endswith(f"s · {usage['completion_tokens_details']['reasoning_tokens']} tokens")
    assert chat.page.locator(".reply").get_attribute("aria-busy") == "false"
    chat.page.locator("details.thinking summary").click()
    assert chat.page.locator("details.thinking[open]").count() == 1
    assert (body["thinking_token_budget"], body["max_tokens"], body["seed"]) == (400, 600, 5)
    chat.close()


@pytest.mark.parametrize("way", ["Escape", "Stop"])
def test_a_reply_is_stopped_by_key_and_by_button_and_keeps_what_it_has(two: Client, browser: Any, way: str) -> None:
    chat = Chat(browser, two.url)
    chat.ask("Say a number.")
    chat.page.locator("details.thinking").wait_for()
    if way == "Escape":
        chat.page.keyboard.press("Escape")
    else:
        chat.page.click("#stop")
    chat.page.locator(".note", has_text="Stopped.").wait_for()
    wait_until(lambda: not two.model.loop.load.running)
    assert chat.page.locator("details.thinking div").text_content()
    assert chat.page.locator("#send").is_enabled()
    assert chat.page.locator("#stop").is_hidden()
    chat.close()


def test_a_retry_with_the_same_seed_says_the_same_and_drops_what_followed(two: Client, browser: Any) -> None:
    chat = Chat(browser, two.url)
    chat.set(budget="5", max_tokens="40", seed="7")
    for question in ("one", "two"):
        chat.ask(question)
        chat.complete()
        chat.page.locator(".question", has_text=question).wait_for()
    before = chat.texts(".answer")
    assert len(before) == 2
    chat.page.get_by_role("button", name="Retry").first.click()
    chat.page.locator(".question", has_text="two").wait_for(state="detached")
    chat.complete()
    assert chat.texts(".answer") == before[:1]
    chat.set(seed="8")
    chat.page.get_by_role("button", name="Retry").click()
    wait_until(lambda: len(chat.bodies) == 4)
    chat.complete()
    assert chat.bodies[-1]["seed"] == 8
    chat.close()


def test_two_models_answer_side_by_side_with_the_same_seed(two: Client, browser: Any) -> None:
    chat = Chat(browser, two.url)
    chat.page.select_option("#second", "other")
    chat.set(budget="5", max_tokens="40")
    chat.ask("Say a number.")
    chat.complete()
    assert chat.texts(".reply h2") == ["micro", "other"]
    first, second = chat.texts(".answer")
    assert first == second  # the weights are the same
    assert chat.bodies[0]["seed"] == chat.bodies[1]["seed"]
    left, right = (each.bounding_box() for each in chat.page.locator(".reply").all())
    assert left["y"] == right["y"]
    assert left["x"] < right["x"]
    chat.picture("side_by_side")
    chat.close()


def test_an_answer_is_copied_with_and_without_its_thinking(two: Client, browser: Any) -> None:
    chat = Chat(browser, two.url)
    chat.set(budget="5", max_tokens="40", seed="5")
    chat.ask("Say a number.")
    chat.complete()
    thinking = chat.page.locator("details.thinking div").text_content()
    chat.page.get_by_role("button", name="Copy answer").click()
    chat.page.locator("#status", has_text="Copied.").wait_for()
    answer = chat.clipboard()
    chat.page.get_by_role("button", name="Copy with thinking").click()
    wait_until(lambda: chat.clipboard() != answer)
    assert answer
    assert chat.clipboard() == f"<think>\n{thinking}\n</think>\n\n{answer}"
    chat.close()


def test_chats_stay_in_the_browser_and_are_opened_and_deleted(two: Client, browser: Any) -> None:
    chat = Chat(browser, two.url)
    chat.set(budget="5", max_tokens="40")
    chat.ask("Say a number to keep.")
    chat.complete()
    said = chat.texts(".answer")
    chat.page.reload()
    chat.page.locator("#chats").get_by_role("button", name="Say a number to keep.", exact=True).click()
    assert chat.texts(".answer") == said
    chat.page.click("#new")
    assert chat.texts(".answer") == []
    chat.page.get_by_role("button", name="Delete Say a number to keep.").click()
    assert chat.texts("#chats li") == []
    chat.page.reload()
    chat.page.locator("#model option").first.wait_for(state="attached")
    assert chat.texts("#chats li") == []
    chat.close()


def test_all_is_done_by_keyboard_alone(two: Client, browser: Any) -> None:
    chat = Chat(browser, two.url)
    focused = "document.activeElement.id"
    wait_until(lambda: bool(chat.page.evaluate(focused) == "question"))
    chat.set(budget="5", max_tokens="40")
    chat.page.focus("#question")
    chat.page.keyboard.type("one")
    chat.page.keyboard.press("Shift+Enter")
    chat.page.keyboard.type("two")
    chat.page.keyboard.press("Tab")
    assert chat.page.evaluate(focused) == "send"
    chat.page.keyboard.press("Enter")
    chat.complete()
    assert chat.texts(".question") == ["one\ntwo"]
    chat.page.focus("#turns")
    seen = []
    for _ in range(4):
        chat.page.keyboard.press("Tab")
        seen.append(str(chat.page.evaluate("document.activeElement.innerText")).partition(" for")[0])
    assert seen == ["Thought", "Copy answer", "Copy with thinking", "Retry"]
    chat.page.keyboard.press("Shift+Tab")
    chat.page.keyboard.press("Shift+Tab")
    chat.page.keyboard.press("Shift+Tab")
    chat.page.keyboard.press("Enter")
    assert chat.page.locator("details.thinking[open]").count() == 1
    outline = chat.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    chat.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_axe_finds_no_fault_and_nothing_is_wider_than_the_screen(two: Client, browser: Any, scheme: str, width: int) -> None:
    chat = Chat(browser, two.url, color_scheme=scheme, viewport={"width": width, "height": 760})
    assert chat.faults() == []
    chat.page.select_option("#second", "other")
    chat.set(budget="5", max_tokens="60")
    chat.ask("Say a number, and then say it again in many more words than are needed to see where a line is broken. " * 2)
    chat.complete()
    chat.page.locator("details.thinking summary").first.click()
    assert chat.faults() == []
    chat.picture(f"chat_{scheme}_{width}")
    ground = chat.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 24, 27)"}[scheme]
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= width
    chat.page.goto(f"{two.url}/docs")
    chat.page.locator("summary", has_text="/v1/chat/completions").click()
    assert "temperature" in chat.texts("th")
    assert chat.faults() == []
    chat.picture(f"docs_{scheme}_{width}")
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= width
    chat.close()


def test_a_key_stays_in_the_tab(long_model: Path, browser: Any) -> None:
    work, running = start({"micro": long_model}, rules=Rules(keys={"api": KEY}, key_required=True, open_paths=OPEN_PATHS))
    with running as url:
        wait_until(lambda: work.models is not None)
        chat = Chat(browser, url, ready=False)
        chat.page.locator("#api_key").wait_for()
        assert chat.faults() == []
        chat.page.fill("#api_key", "another-key-than-that")
        chat.page.keyboard.press("Enter")
        wait_until(lambda: chat.page.input_value("#api_key") == "")
        assert chat.page.locator("#key").is_visible()
        chat.page.fill("#api_key", KEY)
        chat.page.keyboard.press("Enter")
        chat.page.locator("#model option").first.wait_for(state="attached")
        assert chat.page.locator("#key").is_hidden()
        stored = "JSON.stringify([Object.values(sessionStorage), Object.values(localStorage), location.href, document.cookie])"
        session, local, *others = json.loads(chat.page.evaluate(stored))
        assert session == [KEY]
        assert KEY not in json.dumps([local, others])
        chat.page.goto(f"{url}/docs")
        chat.page.locator("summary", has_text="/v1/chat/completions").wait_for()
        other = chat.context.new_page()
        other.goto(url)
        other.locator("#api_key").wait_for()
        chat.close()

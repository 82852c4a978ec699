"""A studio that is killed (SIGKILL) while two people decide at once: what was answered is there, and the chain holds."""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from cogitate.recipe.data.decisions.chain import Event, read_chain
from cogitate.recipe.data.decisions.standing import Standing
from cogitate.recipe.data.review import read_review
from tests.apps.studio.items import candidate, write
from tests.apps.studio.pages.browser import StudioProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ITEMS, KILLS = 60, 6


class Client(threading.Thread):
    """Decides, takes back and decides again, as the page does: a request is sent until it is answered.

    Attributes:
        answered: the number in the log of each request that was answered with 200, by its name.
    """

    def __init__(self, name: str, key: str, port: int, stop: threading.Event):
        super().__init__()
        self.by, self._key, self._url, self._stop_asked = name, key, f"http://127.0.0.1:{port}", stop
        self.answered: dict[str, int] = {}
        self.failed: list[Any] = []

    def run(self) -> None:
        draw = random.Random(self.by)
        number = 0
        while not self._stop_asked.is_set():
            name = f"{self.by}-{number}"
            number += 1
            item = f"direct-{draw.randrange(ITEMS):04d}"
            what = draw.choice(("reject", "reject", "skip", "note", "undo"))
            body = {"note": f"note {number}"} if what == "note" else {}
            path = "/api/undo" if what == "undo" else "/api/act"
            sent = {} if what == "undo" else {"do": what, "item": item, **body}
            self._save(path, {**sent, "request": name})

    def _save(self, path: str, body: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, json.dumps(body).encode(), headers)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    self.answered[body["request"]] = json.load(response)["saved"]["n"]
                return
            except urllib.error.HTTPError as error:
                if error.code != 409:  # there may be nothing to take back
                    self.failed.append((body, error.code))
                return
            except (OSError, ValueError, HTTPException):  # it was killed: before, while or after it saved
                if self._stop_asked.is_set():
                    return
                time.sleep(0.02)


def test_a_kill_at_any_moment_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", [candidate(number) for number in range(ITEMS)])
    log = tmp_path / "items-studio" / "events.jsonl"
    draw = random.Random(1)
    process = StudioProcess(items, "--annotators", "eva,li", "--overlap", "1")
    stop = threading.Event()
    people = [Client(name, process.links[name].partition("key=")[2], process.port, stop) for name in ("eva", "li")]
    before: list[Event] = []
    try:
        for client in people:
            client.start()
        for _ in range(KILLS):
            count = sum(len(client.answered) for client in people)
            while sum(len(client.answered) for client in people) < count + 25:
                time.sleep(0.01)
                assert all(client.is_alive() for client in people)
            time.sleep(draw.random() * 0.05)
            process.kill()
            found = read_chain(log)
            assert found[: len(before)] == before  # what was written is never changed
            before = found
            process.start()
        stop.set()
        for client in people:
            client.join()
    finally:
        stop.set()
        process.stop()
    events = read_chain(log)
    by_request = {event["request"]: event for event in events if "request" in event}
    assert len(by_request) == sum("request" in event for event in events)  # none was saved twice
    for client in people:
        assert client.failed == []
        assert {name: by_request[name]["n"] for name in client.answered} == client.answered
        assert all(by_request[name]["by"] == client.by for name in client.answered)
    standing = Standing(events)
    outcomes = {item: standing.outcome(item).event for item in standing.items()}
    review = read_review(log.with_name("review.jsonl"))
    assert {item: one.kind for item, one in review.items()} == {item: one["do"] for item, one in outcomes.items() if one}

"""The studio on a real socket: what it refuses, what it answers, and two people who decide at once."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cogitate.apps import studio
from cogitate.apps.studio.api import PAGE, make_app
from cogitate.apps.studio.directory import Role
from cogitate.apps.studio.grading import Regrading
from cogitate.apps.studio.studio import Studio
from cogitate.recipe.data.decisions.chain import read_chain
from cogitate.web.rules import Rules
from tests.apps.studio.items import HOSTILE, candidate, made, opened
from tests.web.served import ask, served

FOLDER = Path(studio.__file__).parent / "page"
RIGHT, WRONG = "direct-0001", "direct-0002"


class Served(NamedTuple):
    """A studio on a socket."""

    url: str
    studio: Studio

    def ask(self, path: str, body: Any = None, by: str = "eva", **headers: str) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {self.studio.annotators[by].key}", **headers}
        status, _, text = ask(self.url, path, body, headers=sent)
        return status, json.loads(text)


def serve(place: Path, grading: Regrading) -> Iterator[Served]:
    studio = opened(place, grading)
    keys = {one.name: one.key for one in studio.annotators.values()}
    app = make_app(studio, Rules(keys=keys, key_required=True, open_paths=("/", "/static/")))
    with served(app) as url:
        yield Served(url, studio)
    studio.close()


@pytest.fixture
def one(tmp_path: Path, grading: Regrading) -> Iterator[Served]:
    rows = [candidate(number) for number in range(4)]
    rows[3] |= {"question": HOSTILE, "completion": HOSTILE, "text": f"<think> {HOSTILE} </think>\n{HOSTILE}", "source": HOSTILE}
    yield from serve(made(tmp_path, rows), grading)


@pytest.fixture
def two(tmp_path: Path, grading: Regrading) -> Iterator[Served]:
    people: dict[str, Role] = {"eva": "annotator", "li": "annotator", "mo": "adjudicator"}
    yield from serve(made(tmp_path, [candidate(number) for number in range(40)], people, overlap=1.0), grading)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": ""}, 401),
    ],
)
def test_foreign_pages_names_bodies_and_keys_are_refused_and_change_nothing(
    one: Served, headers: dict[str, str], status: int
) -> None:
    found, answer = one.ask("/api/act", {"do": "accept", "item": RIGHT}, **headers)
    assert found == status
    assert answer["error"]["message"]
    assert len(read_chain(one.studio.place / "events.jsonl")) == 1


def test_the_page_needs_no_key_and_forbids_scripts_of_others(one: Served) -> None:
    assert {name for name, _ in PAGE.values()} == {file.name for file in FOLDER.iterdir()}
    for path in PAGE:
        status, headers, text = ask(one.url, path)
        assert (status, bool(text)) == (200, True)
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "innerHTML" not in text
    assert ask(one.url, "/static/../api.py")[0] in (401, 404)


def test_a_models_text_goes_out_as_json_and_in_pieces_that_are_no_markup(one: Served) -> None:
    status, view = one.ask("/api/item?id=direct-0003")
    assert status == 200
    assert view["question"] == HOSTILE
    assert view["read"]["thinking"] == [[HOSTILE, ""]]


def test_a_decision_is_on_the_disk_when_it_is_answered(one: Served) -> None:
    status, answer = one.ask("/api/act", {"do": "accept", "item": RIGHT, "request": "r1", "active_seconds": 3})
    assert (status, answer["saved"]["n"], answer["progress"]["decided"]) == (200, 2, 1)
    assert read_chain(one.studio.place / "events.jsonl")[-1]["hash"] == answer["saved"]["hash"]
    assert one.ask("/api/act", {"do": "accept", "item": RIGHT, "request": "r1"})[1]["saved"] == answer["saved"]
    status, answer = one.ask("/api/undo", {})
    assert (status, answer["saved"]["do"], answer["saved"]["item"], answer["progress"]["decided"]) == (200, "undo", RIGHT, 0)
    assert one.ask("/api/redo", {})[0] == 200
    assert one.ask("/api/redo", {})[0] == 409
    assert [event["do"] for event in one.ask(f"/api/history?id={RIGHT}")[1]] == ["accept", "undo", "redo"]


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("/api/act", {"do": "accept", "item": WRONG}, 409, "contest the verdict"),
        ("/api/act", {"do": "accept"}, 422, "item: Field required"),
        ("/api/act", {"do": "dance", "item": RIGHT}, 422, "do: "),
        ("/api/act", {"do": "accept", "item": RIGHT, "final": True}, 422, "final: Extra inputs"),
        ("/api/act", {"do": "accept", "item": "nothing"}, 404, "there is no item 'nothing'"),
        ("/api/act", b"{", 422, "JSON decode error"),
        ("/api/act", {"do": "note", "item": RIGHT, "note": "\ud800"}, 422, "note: "),  # half of a character
        ("/api/act", {"do": "skip", "item": RIGHT, "guidelines": "none"}, 422, "no guidelines here had the version 'none'"),
        ("/api/open?least=-1", None, 422, "least: "),
        ("/api/open?tag=x", None, 422, "tag: Extra inputs"),
        ("/api/check", {"item": RIGHT, "text": "x" * 200_001}, 422, "text: "),
        ("/api/queue?state=mine", None, 422, "state: "),
        ("/api/nothing", None, 404, "there is no such address"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(one: Served, path: str, body: Any, status: int, why: str) -> None:
    found, answer = one.ask(path, body)
    assert found == status
    assert why in answer["error"]["message"]
    assert "\n" not in answer["error"]["message"]


def test_a_text_is_graded_while_it_is_edited(one: Served) -> None:
    status, found = one.ask("/api/check", {"item": RIGHT, "text": "<think> 1 + 4 = 6. </think>\nThe answer is \\boxed{6}."})
    assert (status, found["verdict"], found["form"]) == (200, "wrong", "")
    assert [-1, "5"] in found["diff"]
    assert [1, "6"] in found["diff"]
    assert one.ask("/api/check", {"item": RIGHT, "text": "The answer is 5."})[1]["form"] == "there is no <think>"


def test_graders_that_cannot_start_are_said_and_not_asked_for_again(tmp_path: Path) -> None:
    function = tmp_path / "judge.py"
    function.write_text("def judge(completion, problem):\n    return 1.0\n")
    grading = Regrading(custom=f"{function}:judge")
    grading.close()
    function.unlink()
    for one in serve(made(tmp_path, [candidate(1, kind="custom")]), grading):
        status, answer = one.ask("/api/act", {"do": "accept", "item": RIGHT})
        assert status == 422  # the page sends again what is answered with 5xx
        assert "write it as file.py:function, the file must exist" in answer["error"]["message"]


def test_two_people_decide_on_the_same_items_at_once_and_nothing_is_lost(two: Served) -> None:
    failures: list[Any] = []

    def decide(by: str, rejected: int) -> None:
        for number in range(40):
            body: dict[str, Any] = {"do": "reject" if number % rejected == 0 else "skip", "item": f"direct-{number:04d}"}
            status, answer = two.ask("/api/act", body, by)
            if status != 200:
                failures.append(answer)

    threads = [threading.Thread(target=decide, args=pair) for pair in (("eva", 2), ("li", 4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    events = read_chain(two.studio.place / "events.jsonl")
    assert len(events) == 81
    assert sorted((event["by"], event["item"]) for event in events[1:]) == sorted(
        (by, f"direct-{number:04d}") for by in ("eva", "li") for number in range(40)
    )
    assert two.ask("/api/session")[1]["progress"]["decided"] == 20
    assert two.ask("/api/session", by="li")[1]["progress"]["decided"] == 10
    assert two.ask("/api/agreement") == (200, None)  # it would say what li decided
    found = two.ask("/api/agreement", by="mo")[1]
    assert (found["items"], found["same"]) == (10, 10)


def test_nobody_sees_what_others_decided(two: Served) -> None:
    two.ask("/api/act", {"do": "reject", "item": RIGHT}, "li")
    view = two.ask(f"/api/item?id={RIGHT}")[1]
    assert "decisions" not in view
    assert view["mine"]["decision"] is None
    assert two.ask(f"/api/history?id={RIGHT}")[1] == []


def test_a_name_of_a_request_is_its_annotators_own(two: Served) -> None:
    """Whoever guesses the name of another's request neither reads what it saved nor has it taken for saved."""
    body = {"do": "reject", "item": RIGHT, "request": "r1"}
    first = two.ask("/api/act", body)[1]["saved"]
    second = two.ask("/api/act", {**body, "do": "skip"}, "li")[1]["saved"]
    assert (first["do"], second["do"], second["n"]) == ("reject", "skip", first["n"] + 1)
    assert two.ask("/api/undo", {"request": "r2"})[1]["saved"]["of"] == first["n"]
    assert two.ask("/api/undo", {"request": "r2"}, "li")[1]["saved"]["of"] == second["n"]


def test_a_page_opens_with_one_answer_that_does_not_grow_with_the_queue(tmp_path: Path, grading: Regrading) -> None:
    for one in serve(made(tmp_path, [candidate(number) for number in range(300)]), grading):
        found = one.ask("/api/open")[1]
        assert (found["count"], len(found["items"]), len(found["rows"])) == (300, 200, 40)
        assert found["item"] == one.ask(f"/api/item?id={found['items'][0]}")[1]
        assert found["session"] == one.ask("/api/session")[1]
        assert one.ask("/api/queue")[1]["items"][:200] == found["items"]
        assert one.ask("/api/open?search=nothing")[1]["item"] is None

"""A studio's directory: items that come later, whenever a kill comes, and which guidelines a decision was made under."""

import json
from pathlib import Path

import pytest

from cogitate.apps.studio import directory
from cogitate.apps.studio.grading import Regrading
from cogitate.apps.studio.queue import Filter
from cogitate.apps.studio.studio import Refused
from cogitate.errors import DataError
from cogitate.recipe.data.decisions.chain import Chain, read_chain
from cogitate.recipe.data.review import read_review
from tests.apps.studio.items import candidate, made, opened, write

KNOWN, NEW = "direct-0001", "direct-0007"


@pytest.fixture
def place(tmp_path: Path, grading: Regrading) -> Path:
    """A studio of four items, with a decision on one of them."""
    place = made(tmp_path, [candidate(number) for number in range(4)])
    studio = opened(place, grading)
    studio.act("eva", {"do": "accept", "item": KNOWN})
    studio.close()
    return place


def longer(tmp_path: Path) -> Path:
    return write(tmp_path / "items.jsonl", [candidate(number) for number in range(8)])


def test_items_that_come_later_join_the_queue_and_leave_decisions_alone(
    place: Path, tmp_path: Path, grading: Regrading
) -> None:
    assert directory.add_items(place, longer(tmp_path), "review") == (4, 4)
    assert directory.add_items(place, longer(tmp_path), "review") == (0, 8)
    studio = opened(place, grading)
    assert list(studio.items) == [f"direct-{number:04d}" for number in range(8)]
    assert len(studio.select("eva", Filter())) == 7
    studio.act("eva", {"do": "accept", "item": NEW})
    studio.close()
    assert set(read_review(place / "events.jsonl")) == {KNOWN, NEW}
    added = [event for event in read_chain(place / "events.jsonl") if event["do"] == "add"]
    assert [(event["count"], event["source"]) for event in added] == [(4, str(tmp_path / "items.jsonl"))]


def test_an_item_with_the_id_of_another_is_refused(place: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "items.jsonl", [candidate(1, question="What is it?")])
    with pytest.raises(DataError, match=r"item 'direct-0001' is in .* already with another content"):
        directory.add_items(place, source, "review")
    assert [event["do"] for event in read_chain(place / "events.jsonl")] == ["begin", "accept"]


def test_a_kill_while_items_are_added_leaves_all_of_them_or_none(place: Path, tmp_path: Path, grading: Regrading) -> None:
    before = (place / "items.jsonl").read_bytes()
    directory.add_items(place, longer(tmp_path), "review")
    after, log = (place / "items.jsonl").read_bytes(), (place / "events.jsonl").read_bytes()
    (place / "items.next.jsonl").write_bytes(after)
    (place / "items.jsonl").write_bytes(before)  # as a kill behind the log's line leaves it
    assert len(opened(place, grading).items) == 8
    directory.settle_items(place, read_chain(place / "events.jsonl"))
    assert ((place / "items.jsonl").read_bytes(), (place / "items.next.jsonl").exists()) == (after, False)
    (place / "items.next.jsonl").write_bytes(after)
    (place / "items.jsonl").write_bytes(before)
    (place / "events.jsonl").write_bytes(b"".join(log.splitlines(keepends=True)[:-1]))  # as one before it
    assert len(opened(place, grading).items) == 4
    directory.settle_items(place, read_chain(place / "events.jsonl"))
    assert ((place / "items.jsonl").read_bytes(), (place / "items.next.jsonl").exists()) == (before, False)


def test_a_log_that_is_empty_is_refused(place: Path) -> None:
    (place / "events.jsonl").write_bytes(b"")
    directory.settle_items(place, [])
    with pytest.raises(DataError, match="not the file that decisions were made on"):
        directory.read_own_items(place, read_chain(place / "events.jsonl"))


def test_a_decision_names_the_guidelines_that_its_page_showed_and_the_log_has_their_text(
    place: Path, grading: Regrading
) -> None:
    old = directory.guidelines(place)
    (place / "guidelines.md").write_text("Accept everything.\n")
    studio = opened(place, grading)
    assert studio.version != old[1]
    decided = {"do": "reject", "item": "direct-0000"}
    assert studio.act("eva", {**decided, "guidelines": old[1]})["guidelines"] == old[1]  # of a page that is open still
    assert studio.act("eva", decided)["guidelines"] == studio.version
    with pytest.raises(Refused, match="no guidelines here had the version 'other'"):
        studio.act("eva", {**decided, "guidelines": "other"})
    studio.close()
    opened(place, grading).close()
    texts = {event["guidelines"]: event["text"] for event in read_chain(place / "events.jsonl") if "text" in event}
    assert texts == {old[1]: old[0], studio.version: "Accept everything.\n"}
    (place / "guidelines.md").write_text(old[0])  # back to the first ones
    for _ in range(2):
        opened(place, grading).close()
    assert [event["do"] for event in Chain(place / "events.jsonl").events].count("guidelines") == 2


def test_a_key_that_is_taken_out_of_the_file_opens_nothing_and_its_decisions_stay(place: Path, grading: Regrading) -> None:
    directory.add_annotators(place, {"li": "annotator"})
    people = [one for one in json.loads((place / "annotators.json").read_text()) if one["name"] == "li"]
    (place / "annotators.json").write_text(json.dumps(people))
    studio = opened(place, grading)
    assert set(studio.annotators) == {"li"}
    assert list(studio.decisions()) == [KNOWN]
    assert len(studio.mine["li"]) == 3  # nobody decides again what stands
    studio.close()

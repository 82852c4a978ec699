"""What people do in a studio: decide, contest, undo; what the log and review.jsonl get; who may decide what."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.studio import directory
from cogitate.apps.studio.grading import Regrading
from cogitate.apps.studio.queue import Filter
from cogitate.apps.studio.studio import Refused, Studio
from cogitate.apps.studio.view import history, item_view, row
from cogitate.errors import DataError, RunInUseError
from cogitate.recipe.data.review import disagreements, read_review
from tests.apps.studio.items import candidate, made, opened

RIGHT, WRONG = "direct-0001", "direct-0002"
EDITED = "<think> 2 + 5 = 7, and 7 - 5 = 2. </think>\nThe answer is \\boxed{7}."
HOLDER = """
import fcntl, os, sys
lock = open(sys.argv[1], "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print(os.getpid(), file=lock, flush=True)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def studio(tmp_path: Path, grading: Regrading) -> Iterator[Studio]:
    studio = opened(made(tmp_path, [candidate(number) for number in range(6)]), grading)
    yield studio
    studio.close()


def act(studio: Studio, do: str, item: str, by: str = "eva", **more: Any) -> Any:
    return studio.act(by, {"do": do, "item": item, **more})


def test_a_decision_records_who_when_how_long_and_both_verdicts(studio: Studio) -> None:
    event = act(studio, "edit", WRONG, text=EDITED, active_seconds=12.5, opened_at="2026-11-29T10:00:00Z", session="s")
    assert (event["by"], event["do"], event["active_seconds"], event["session"]) == ("eva", "edit", 12.5, "s")
    assert event["verdict_before"]["verdict"] == "wrong"
    assert event["verdict_after"]["verdict"] == "right"
    assert event["verdict_after"]["form"] == ""
    assert event["delta"].startswith("=16\t")
    assert event["guidelines"] == directory.guidelines(studio.place)[1]


def test_decisions_reach_the_stage_that_reads_a_review(studio: Studio) -> None:
    act(studio, "accept", RIGHT)
    act(studio, "note", RIGHT, note="good")
    act(studio, "edit", WRONG, text=EDITED)
    act(studio, "reject", "direct-0003")
    studio.close()
    by_log, by_file = read_review(studio.place / "events.jsonl"), read_review(studio.place / "review.jsonl")
    assert {item: decision.kind for item, decision in by_log.items()} == {
        RIGHT: "accept", WRONG: "edit", "direct-0003": "reject",
    }  # fmt: skip
    assert by_log[WRONG].text == EDITED
    assert {item: (one.kind, one.text) for item, one in by_file.items()} == {
        item: (one.kind, one.text) for item, one in by_log.items()
    }  # fmt: skip
    rows = [json.loads(line) for line in (studio.place / "review.jsonl").read_text().splitlines()]
    assert rows[0] == {"id": RIGHT, "decision": "accept", "reviewer": "eva", "note": "good"}


def test_an_accept_against_the_verdict_needs_a_reason(studio: Studio) -> None:
    with pytest.raises(Refused, match=r"the grader says wrong: .* contest the verdict") as refused:
        act(studio, "accept", WRONG)
    assert refused.value.status == 409
    event = act(studio, "accept", WRONG, contested="the reference is for another base")
    assert event["contested"] == "the reference is for another base"
    studio.close()
    assert read_review(studio.place / "events.jsonl")[WRONG].contested == "the reference is for another base"


def test_an_edit_that_no_longer_holds_is_refused_or_contested(studio: Studio) -> None:
    with pytest.raises(Refused, match="the form does not hold: there is no <think>"):
        act(studio, "edit", RIGHT, text="The answer is \\boxed{5}.")
    with pytest.raises(Refused, match="the grader says wrong"):
        act(studio, "edit", RIGHT, text="<think> 1 + 4 = 6. </think>\nThe answer is \\boxed{6}.")
    assert studio.chain.events[-1]["do"] == "begin"


@pytest.mark.parametrize(
    ("do", "item", "more", "why"),
    [
        ("accept", RIGHT, {"contested": "x"}, "no verdict speaks against this text"),
        ("reject", WRONG, {"contested": "x"}, "a rejected item needs no verdict"),
        ("edit", RIGHT, {"text": " "}, "an edit needs a text"),
        ("edit", RIGHT, {"text": candidate(1)["text"]}, "the text is as it was: accept it"),
        ("prefer", RIGHT, {"choice": "left"}, "'prefer' is no decision here"),
        ("accept", "direct-9999", {}, "there is no item 'direct-9999'"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_not_logged(
    studio: Studio, do: str, item: str, more: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        act(studio, do, item, **more)
    assert len(studio.chain.events) == 1


def test_an_item_that_no_rule_could_rewrite_cannot_be_accepted(tmp_path: Path, grading: Regrading) -> None:
    studio = opened(made(tmp_path, [candidate(1, text=None, rule="no answer")]), grading)
    with pytest.raises(Refused, match=r"no rule could rewrite it \(no answer\)"):
        act(studio, "accept", RIGHT)
    assert act(studio, "edit", RIGHT, text="<think> 1 + 4 = 5. </think>\nThe answer is \\boxed{5}.")["n"] == 2
    studio.close()


def test_undo_and_redo_survive_a_restart(studio: Studio) -> None:
    act(studio, "accept", RIGHT)
    act(studio, "reject", "direct-0003")
    assert studio.undo("eva", RIGHT)["of"] == 2
    studio.close()
    again = opened(studio.place, studio.grading)
    assert [item for item, found in again.decisions().items()] == ["direct-0003"]
    assert again.redo("eva")["item"] == RIGHT
    with pytest.raises(Refused, match="there is nothing to redo"):
        again.redo("eva")
    again.undo("eva")
    again.undo("eva")
    with pytest.raises(Refused, match="there is nothing to undo"):
        again.undo("eva")
    again.close()


def test_a_request_that_is_sent_twice_is_saved_once_also_after_a_restart(studio: Studio) -> None:
    first = act(studio, "accept", RIGHT, request="r-1")
    assert act(studio, "accept", RIGHT, request="r-1") == first
    studio.close()
    again = opened(studio.place, studio.grading)
    assert again.act("eva", {"do": "accept", "item": RIGHT, "request": "r-1"})["n"] == first["n"]
    assert len(again.chain.events) == 2
    again.close()


def test_a_request_that_was_saved_is_not_judged_again(tmp_path: Path, grading: Regrading) -> None:
    people: dict[str, directory.Role] = {"eva": "annotator", "li": "annotator", "mo": "adjudicator"}
    studio = opened(made(tmp_path, [candidate(1)], people, overlap=1.0), grading)
    act(studio, "accept", RIGHT)
    act(studio, "reject", RIGHT, by="li")
    first = act(studio, "accept", RIGHT, by="mo", request="r-1")
    studio.undo("mo")
    studio.undo("li")  # so that there is nothing to adjudicate any more
    assert act(studio, "accept", RIGHT, by="mo", request="r-1") == first
    with pytest.raises(Refused, match="there is nothing to adjudicate"):
        studio.redo("mo")
    act(studio, "reject", RIGHT, by="li")
    assert studio.redo("mo")["of"] == first["n"]
    studio.close()


def test_an_adjudicator_sees_every_choice_on_their_own_sides_and_others_adjudications_as_theirs(
    tmp_path: Path, grading: Regrading
) -> None:
    people: dict[str, directory.Role] = {
        "eva": "annotator", "li": "annotator", **{f"mo{number}": "adjudicator" for number in range(6)},
    }  # fmt: skip
    studio = opened(
        made(tmp_path, [{"prompt": "A poem.", "chosen": "a", "rejected": "b"}], people, work="pairs", overlap=1.0), grading
    )
    (item,) = studio.items
    left = {by: studio.shown_first(by, item) for by in people}
    for by, wanted in (("eva", "a"), ("li", "b"), ("mo0", "a")):
        act(studio, "prefer", item, by=by, choice="left" if left[by] == wanted else "right")
    assert set(left.values()) == {"a", "b"}
    for by in ("mo0", "mo1", "mo2", "mo3", "mo4", "mo5"):
        sides = ["left" if left[by] == choice else "right" for choice in ("a", "b", "a")]
        assert [event["side"] for event in history(studio, by, item)] == sides
        view = item_view(studio, by, item)
        assert row(studio, by, studio.entries[item])["decision"] == sides[2]
        if by == "mo0":
            assert (view["mine"]["side"], [one["by"] for one in view["decisions"]]) == (sides[2], ["eva", "li"])
        else:
            assert view["mine"]["decision"] is None
            assert [(one["by"], one["choice"]) for one in view["decisions"]] == [("eva", "a"), ("li", "b"), ("mo0", "a")]
    studio.close()


def test_nobody_decides_on_an_item_of_another_queue(tmp_path: Path, grading: Regrading) -> None:
    both: dict[str, directory.Role] = {"eva": "annotator", "li": "annotator"}
    studio = opened(made(tmp_path, [candidate(number) for number in range(6)], both), grading)
    queues = {by: {entry.id for entry in studio.select(by, Filter())} for by in ("eva", "li")}
    assert queues["eva"] | queues["li"] == set(studio.items)
    assert not queues["eva"] & queues["li"]
    with pytest.raises(Refused, match="this item is in the queue of li"):
        act(studio, "reject", min(queues["li"]))
    studio.close()


def test_a_disagreement_has_no_outcome_until_it_is_adjudicated(tmp_path: Path, grading: Regrading) -> None:
    people: dict[str, directory.Role] = {"eva": "annotator", "li": "annotator", "mo": "adjudicator"}
    studio = opened(made(tmp_path, [candidate(1), candidate(3)], people, overlap=1.0), grading)
    act(studio, "accept", RIGHT)
    with pytest.raises(Refused, match="there is nothing to adjudicate"):
        act(studio, "accept", RIGHT, by="mo")
    act(studio, "reject", RIGHT, by="li")
    act(studio, "accept", "direct-0003")
    assert [entry.id for entry in studio.select("mo", Filter())] == [RIGHT]
    assert studio.progress("mo")["disagreed"] == 1
    assert studio.select("eva", Filter(state="disagreed")) == []  # it would say what li decided
    assert studio.progress("eva")["disagreed"] == 0
    studio.write_review()
    assert disagreements(studio.place / "events.jsonl") == [RIGHT]
    assert set(read_review(studio.place / "events.jsonl")) == {"direct-0003"}
    act(studio, "accept", RIGHT, by="mo")
    assert studio.select("mo", Filter()) == []
    studio.close()
    assert read_review(studio.place / "events.jsonl")[RIGHT].kind == "accept"
    assert disagreements(studio.place / "events.jsonl") == []


def test_a_studio_is_held_by_one_server(studio: Studio) -> None:
    command = [sys.executable, "-c", HOLDER, str(studio.place / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunInUseError, match=f"in use by process {other.pid}"), directory.held(studio.place):
            pass
        other.communicate()
    with directory.held(studio.place):
        pass


def test_a_second_start_while_a_studio_is_made_or_held_leaves_its_log_alone(studio: Studio, tmp_path: Path) -> None:
    act(studio, "accept", RIGHT)
    log = (studio.place / "events.jsonl").read_bytes()
    directory.create(tmp_path / "items.jsonl", studio.place, "review", 0)  # it was made meanwhile
    assert (studio.place / "events.jsonl").read_bytes() == log
    command = [sys.executable, "-c", HOLDER, str(studio.place / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunInUseError, match=f"in use by process {other.pid}"):
            directory.create(tmp_path / "items.jsonl", studio.place, "review", 0)
        other.communicate()
    assert (studio.place / "events.jsonl").read_bytes() == log


def test_items_that_changed_are_refused(studio: Studio) -> None:
    studio.close()
    path = studio.place / "items.jsonl"
    path.write_text(path.read_text().replace("What is 1", "What is 2"))
    with pytest.raises(DataError, match="not the file that decisions were made on"):
        opened(studio.place, studio.grading)


def test_keys_are_for_their_owner_alone(studio: Studio) -> None:
    assert (studio.place / "annotators.json").stat().st_mode & 0o777 == 0o600
    keys = [one.key for one in directory.add_annotators(studio.place, {"li": "annotator"})]
    assert len(set(keys)) == 2
    assert keys[0] == studio.annotators["eva"].key

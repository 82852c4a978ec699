"""What stands of a log after every undo and redo, and what all annotators together decided."""

from typing import Any

import pytest

from cogitate.recipe.data.decisions.standing import Standing


class Log:
    """Numbers events as a chain would, and keeps what stands."""

    def __init__(self) -> None:
        self.standing, self.count = Standing(), 0
        self.events: list[dict[str, Any]] = []

    def do(self, by: str, do: str, item: str, **more: Any) -> None:
        self.count += 1
        event = {"n": self.count, "do": do, "by": by, "item": item, **more}
        self.events.append(event)
        self.standing.apply(event)

    def undo(self, by: str, item: str | None = None) -> str:
        event = self.standing.next_undo(by, item)
        assert event is not None
        self.do(by, "undo", event["item"], of=event["n"])
        return str(event["item"])

    def redo(self, by: str, item: str | None = None) -> str:
        event = self.standing.next_redo(by, item)
        assert event is not None
        self.do(by, "redo", event["item"], of=event["n"])
        return str(event["item"])

    def decision(self, item: str, by: str = "eva") -> str | None:
        event = self.standing.decision(item, by)
        return None if event is None else event["do"]


def test_undo_and_redo_have_no_limit() -> None:
    log = Log()
    for number in range(50):
        log.do("eva", "accept", f"i{number}")
    assert [log.undo("eva") for _ in range(50)] == [f"i{number}" for number in reversed(range(50))]
    assert log.standing.next_undo("eva") is None
    assert log.standing.items() == []
    assert [log.redo("eva") for _ in range(50)] == [f"i{number}" for number in range(50)]
    assert log.standing.next_redo("eva") is None
    assert all(log.decision(f"i{number}") == "accept" for number in range(50))


def test_an_undo_brings_back_the_decision_before() -> None:
    log = Log()
    log.do("eva", "accept", "x")
    log.do("eva", "reject", "x")
    assert log.decision("x") == "reject"
    log.undo("eva")
    assert log.decision("x") == "accept"
    log.undo("eva")
    assert log.decision("x") is None
    log.redo("eva")
    log.redo("eva")
    assert log.decision("x") == "reject"


def test_the_first_decision_can_be_taken_back_alone() -> None:
    log = Log()
    for name in "xyz":
        log.do("eva", "accept", name)
    assert log.undo("eva", "x") == "x"
    assert [log.decision(name) for name in "xyz"] == [None, "accept", "accept"]
    log.redo("eva")
    assert [log.decision(name) for name in "xyz"] == ["accept"] * 3


def test_a_new_action_on_an_item_ends_what_could_be_redone_there_and_nowhere_else() -> None:
    log = Log()
    log.do("eva", "accept", "x")
    log.do("eva", "accept", "y")
    log.undo("eva")
    log.undo("eva")
    log.do("eva", "reject", "x")
    assert log.standing.next_redo("eva", "x") is None
    assert log.redo("eva") == "y"
    assert [log.decision("x"), log.decision("y")] == ["reject", "accept"]


def test_people_undo_their_own_actions_alone() -> None:
    log = Log()
    log.do("eva", "accept", "x")
    log.do("li", "reject", "x")
    assert log.undo("eva") == "x"
    assert log.standing.next_undo("eva") is None
    assert (log.decision("x"), log.decision("x", "li")) == (None, "reject")


def test_notes_and_skips_are_no_decisions_and_can_be_undone() -> None:
    log = Log()
    log.do("eva", "accept", "x")
    log.do("eva", "note", "x", note="hm")
    log.do("eva", "skip", "x")
    assert log.decision("x") == "accept"
    log.undo("eva")
    log.undo("eva")
    assert log.standing.last("x", "eva", "note") is None


def test_an_outcome_needs_agreement_or_an_adjudication() -> None:
    log = Log()
    assert log.standing.outcome("x").state == "undecided"
    log.do("eva", "edit", "x", text="a")
    assert log.standing.outcome("x").state == "decided"
    log.do("li", "edit", "x", text="b")
    assert log.standing.outcome("x").state == "disagreed"
    assert log.standing.outcome("x").deciders == ("eva", "li")
    log.do("mo", "edit", "x", text="c", final=True)
    outcome = log.standing.outcome("x")
    assert outcome.event is not None
    assert (outcome.state, outcome.event["text"], outcome.deciders) == ("decided", "c", ("eva", "li"))
    log.undo("mo")
    assert log.standing.outcome("x").state == "disagreed"
    log.do("li", "edit", "x", text="a")
    assert log.standing.outcome("x").state == "decided"


def test_a_log_read_again_stands_as_it_stood() -> None:
    log = Log()
    for name in "xyz":
        log.do("eva", "accept", name)
    log.undo("eva", "y")
    log.do("eva", "reject", "y")
    log.undo("eva")
    log.redo("eva")
    again = Standing(log.events)
    assert again.items() == log.standing.items()
    assert [again.decision(name, "eva") for name in "xyz"] == [log.standing.decision(name, "eva") for name in "xyz"]
    assert again.next_undo("eva") == log.standing.next_undo("eva")


def test_an_undo_of_what_does_not_stand_is_an_error() -> None:
    log = Log()
    log.do("eva", "accept", "x")
    log.undo("eva")
    with pytest.raises(ValueError, match="not in list"):
        log.do("eva", "undo", "x", of=1)

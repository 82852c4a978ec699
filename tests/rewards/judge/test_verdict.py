"""Which replies of a judge are a verdict."""

import pytest

from cogitate.errors import EndpointError
from cogitate.replies import Reply
from cogitate.rewards.judge.prompts import Form
from cogitate.rewards.judge.verdict import CUT, FAILED, NOT_THERE, STILL_THINKING, TWICE, read_verdict

FORM = Form((), "123456", {"A": "first", "B": "second", "tie": "tie"})


@pytest.mark.parametrize(
    "text",
    ["Verdict 123456: A", "Better.\nVerdict 123456: A\n", "<think> Verdict 123456: B? No. </think>\nVerdict 123456: A"],
)
def test_one_last_line_of_the_form_is_a_verdict(text: str) -> None:
    assert read_verdict(Reply(text, "stop"), FORM).meaning == "first"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", NOT_THERE),
        ("A", NOT_THERE),
        ("Verdict: A", NOT_THERE),
        ("Verdict 123457: A", NOT_THERE),
        ("Verdict 123456: X", NOT_THERE),
        ("Verdict 123456: a", NOT_THERE),
        ("verdict 123456: A", NOT_THERE),
        (" Verdict 123456: A", NOT_THERE),
        ("Verdict 123456: A.", NOT_THERE),
        ("**Verdict 123456: A**", NOT_THERE),
        ("Verdict 123456: A\nNo, wait.", NOT_THERE),
        ("So Verdict 123456: A", NOT_THERE),
        ("Verdict 123456: A\nVerdict 123456: B", TWICE),
        ("Verdict 123456: A\nVerdict 123456: A", TWICE),
        ("<think> It may be A.\nVerdict 123456: A", STILL_THINKING),
        ("<think> It may be A. </think> <think> Or B.\nVerdict 123456: B", STILL_THINKING),
        ("So\u2028Verdict 123456: A", NOT_THERE),
        ("Verdict １２３４５６: A", NOT_THERE),
        ("Verdict 123456:\u00a0A", NOT_THERE),
    ],
)
def test_anything_else_is_none(text: str, fault: str) -> None:
    reading = read_verdict(Reply(text, "stop"), FORM)
    assert (reading.choice, reading.fault) == (None, fault)


def test_a_cut_reply_and_no_reply_are_none() -> None:
    assert read_verdict(Reply("Verdict 123456: A", "length"), FORM).fault == CUT
    assert read_verdict(EndpointError("timed out"), FORM).fault == FAILED

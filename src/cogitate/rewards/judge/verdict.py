"""What a judge's reply says: one last line of one form, or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cogitate.errors import EndpointError
from cogitate.replies import Reply
from cogitate.rewards.judge.prompts import Form
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN

FAILED, CUT, NOT_THERE, TWICE = "no answer", "cut off", "no verdict in the last line", "more than one verdict"
STILL_THINKING = "its thinking does not end"


@dataclass(frozen=True, slots=True)
class Reading:
    """One judgement.

    Attributes:
        choice: as the judge wrote it; None where it gave no verdict.
        meaning: what it stands for.
        fault: why there is none.
    """

    choice: str | None
    meaning: str | None
    fault: str = ""


def read_verdict(reply: Reply | EndpointError, form: Form) -> Reading:
    """The verdict in the last line of a reply.

    Whatever is not exactly `Verdict TICKET: CHOICE` there, with the ticket of this one question, is none, and so are two
    verdicts. What the judge has thought before `</think>` is not read, nor thinking that it has begun and not ended.
    """
    if isinstance(reply, EndpointError):
        return Reading(None, None, FAILED)
    if reply.finish_reason == "length":
        return Reading(None, None, CUT)
    said = reply.text.rpartition(THINK_CLOSE)[2]
    if said.lstrip().startswith(THINK_OPEN):
        return Reading(None, None, STILL_THINKING)
    said = said.rstrip()
    choices = "|".join(map(re.escape, form.meanings))
    found = re.fullmatch(rf"Verdict {form.ticket}: ({choices})", said.rpartition("\n")[2])
    if found is None:
        return Reading(None, None, NOT_THERE)
    if said.count(f"Verdict {form.ticket}") > 1:
        return Reading(None, None, TWICE)
    return Reading(found[1], form.meanings[found[1]])

"""`judge` with the fields of a kind as keywords, for tests that look at one grader: no row is read, no worker is started."""

from __future__ import annotations

from typing import Any

from cogitate.rewards.answer import Contract
from cogitate.rewards.grade import judge
from cogitate.rewards.graders.custom import CustomReward
from cogitate.types import Verdict


def grade(
    kind: str,
    prediction: str,
    *,
    contract: Contract = "r1",
    custom: CustomReward | None = None,
    **fields: Any,
) -> Verdict:
    """The verdict on a completion."""
    return judge(kind, prediction, contract, fields, custom=custom)

"""A user's own reward: `rewards.custom = "file.py:function"`, called in a confined worker process.

The function gets `(completion, problem)`, the completion's text and a mapping (`id`, `question`, `gold`, `language` and the
problem's other fields), and returns a number from 0 to 1, true or false. An exception in it is a fault of ours: no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cogitate.rewards.user_function import load_function
from cogitate.rewards.verdicts import clip, no_verdict
from cogitate.types import Verdict

CustomReward = Callable[[str, Mapping[str, Any]], float | bool]


def load_custom(location: str) -> CustomReward:
    """The function named by "file.py:function". Raises what load_function does."""
    return load_function("rewards.custom", location)


def grade_custom(prediction: str, problem: Mapping[str, Any], function: CustomReward) -> Verdict:
    """The function's number as a verdict: right from 0.5 upwards."""
    try:
        value = function(prediction, problem)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's function may raise anything
        return no_verdict(f"the custom reward raised {type(error).__name__}: {clip(str(error))}")
    if not isinstance(value, (bool, int, float)) or not 0 <= value <= 1:
        return no_verdict(f"the custom reward returned {clip(repr(value))}, not a number from 0 to 1")
    return Verdict("right" if value >= 0.5 else "wrong", float(value), f"the custom reward gave {float(value):g}", None)

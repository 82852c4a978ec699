"""A part of the reward that takes away what R1-Zero finds: to reject a try and go on."""

from typing import Any

from cogitate.evals.steps.counts import count_steps


def no_rejecting(completion: Any) -> float:
    """-1 of a completion that rejects a try and makes another one, 0 of any other."""
    steps = count_steps(completion.text, completion.problem)
    return -1.0 if steps is not None and steps.rejects else 0.0

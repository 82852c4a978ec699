"""What a verdict costs grows with the length of what is judged and no faster, whatever it is made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from cogitate.rewards.grade import grade

SHORT, LONG = 2_000, 16_000  # characters, about
GROWTH = 8 * 3  # eight times the length may cost so many times as much; quadratic readers would take 64 times

SHAPES: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: "(" * (n // 2) + "1" + ")" * (n // 2),
    "braces": lambda n: "{" * (n // 2) + "1" + "}" * (n // 2),
    "sized brackets": lambda n: r"\left(" * (n // 12) + "1" + r"\right)" * (n // 12),
    "mixed brackets": lambda n: "[(" * (n // 4) + "1" + ")]" * (n // 4),
    "fractions": lambda n: r"\frac{" * (n // 6),
    "texts": lambda n: r"\text{" * (n // 6) + "1" + "}" * (n // 6),
    "powers": lambda n: "x^{" * (n // 3) + "2" + "}" * (n // 3),
    "commas": lambda n: "1," * (n // 2),
    "digits": lambda n: "1" * n,
    "letters": lambda n: "a" * n,
    "spaces": lambda n: " " * n,
    "dollars": lambda n: "$" * n,
    "line breaks": lambda n: r"\\" * (n // 2),
    "sums": lambda n: "x+" * (n // 2) + "1",
    "boxes": lambda n: r"\boxed{" * (n // 7),
    "answer tags": lambda n: "<answer>" * (n // 8),
    "thinking tags": lambda n: "<think></think>" * (n // 15),
    "fences": lambda n: "```\n" * (n // 4),
    "words": lambda n: "the answer is " * (n // 14),
    "negations": lambda n: "not A, " * (n // 7),
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "math": {"gold": "1"},
    "choice": {"gold": "A"},
    "exact": {"gold": "one"},
    "language": {"language": "en"},
    "format": {"format_contract": "think_text"},
}


def cost(kind: str, completion: str) -> float:
    """Processor seconds of the quickest of three verdicts."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        grade(kind, completion, contract="free", **KINDS[kind])
        seconds.append(time.process_time() - started)
    return min(seconds)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frame", ["{}", "<think>w</think> \\boxed{{{}}}", "<think>{}</think> The answer is 1."])
def test_a_longer_completion_costs_no_more_than_its_length(kind: str, shape: str, frame: str) -> None:
    grade(kind, "<think>w</think> 1", contract="free", **KINDS[kind])  # what is loaded at the first verdict
    short, long = (cost(kind, frame.format(SHAPES[shape](length))) for length in (SHORT, LONG))
    assert long < max(0.02, GROWTH * short)
    assert long < 0.5

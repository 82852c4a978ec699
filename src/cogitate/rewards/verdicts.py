"""Short ways to make a Verdict; the pool fills in `seconds`."""

from __future__ import annotations

from cogitate.types import Verdict


def right(reason: str, extracted: str | None = None) -> Verdict:
    return Verdict("right", 1.0, reason, extracted)


def wrong(reason: str, extracted: str | None = None, *, score: float = 0.0) -> Verdict:
    return Verdict("wrong", score, reason, extracted)


def no_verdict(reason: str, extracted: str | None = None) -> Verdict:
    """For faults of ours or of the reference alone, never of the completion."""
    return Verdict("none", 0.0, reason, extracted)


def judged(is_right: bool, reason: str, extracted: str | None = None) -> Verdict:
    return right(reason, extracted) if is_right else wrong(reason, extracted)


def clip(text: str, length: int = 80) -> str:
    """Text shortened for a reason: one line, at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."

"""Rejection sampling's rules (R1, section 2.3.3): which completions are worth learning from, and which of them differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from cogitate.evals.text_metrics import readability_faults
from cogitate.recipe.data.candidates import Candidate
from cogitate.rewards.format import grade_format
from cogitate.tasks.files.decontaminate import EvaluationIndex, decontaminate, ngrams
from cogitate.tasks.files.jsonl import canonical
from cogitate.tokenizer.thinking import split_thinking

TRUNCATED, WRONG, NO_VERDICT, ILL_FORMED = "truncated", "wrong answer", "no verdict", "not thinking and summary"
DUPLICATE, ENOUGH = "duplicate", "enough of its problem"
PIECE = 3  # words; how alike two texts are is the share of such pieces they have in common

Dropped = list[tuple[Candidate, str]]
Choose = Callable[[Sequence[Candidate], int], list[Candidate]]  # at most so many of a problem's, of one or more


def reject(
    candidates: Sequence[Candidate],
    evaluation: EvaluationIndex,
    *,
    per_problem: int,
    smallest_kept_share: float,
    choose: Choose,
) -> tuple[list[Candidate], Dropped]:
    """(the rows, every other candidate with the first rule that dropped it).

    Rules in their order: truncated, wrong, ill-formed, unreadable (`text_metrics.readability_faults`), said twice,
    contaminated, and more than `per_problem` of a problem, where those stay that `choose` takes.

    Raises:
        DataError: decontamination leaves too few.
    """
    dropped: Dropped = []
    good: list[Candidate] = []
    seen: set[tuple[str, str]] = set()
    for candidate in candidates:
        said = (canonical(candidate.problem.question), " ".join(candidate.text.split()))
        rule = fault_of(candidate) or (DUPLICATE if said in seen else None)
        if rule is None:
            seen.add(said)
            good.append(candidate)
        else:
            dropped.append((candidate, rule))
    clean, contaminated = decontaminate(
        good, evaluation, lambda candidate: (candidate.problem, candidate.text), smallest_kept_share=smallest_kept_share
    )
    by_problem: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in clean:
        by_problem[canonical(candidate.problem.question)].append(candidate)
    kept = {c.id for group in by_problem.values() for c in choose(group, per_problem)}
    too_many = [(candidate, ENOUGH) for candidate in clean if candidate.id not in kept]
    return [candidate for candidate in clean if candidate.id in kept], [*dropped, *contaminated, *too_many]


def fault_of(candidate: Candidate) -> str | None:
    """The first rule that a completion breaks by itself, or None."""
    if candidate.finish_reason != "stop":
        return TRUNCATED
    if candidate.verdict != "right":
        return NO_VERDICT if candidate.verdict == "none" else WRONG
    if grade_format(candidate.text, "think_text").value != "right":
        return ILL_FORMED
    faults = readability_faults(split_thinking(candidate.text).thinking or "", candidate.problem.language)
    return faults[0] if faults else None


def most_different(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """At most `count`: the first, then again and again the one that is least like any already taken."""
    left = list(candidates)
    taken = left[:1]
    del left[:1]
    while left and len(taken) < count:
        next_one = min(left, key=lambda candidate: max(likeness(candidate.text, other.text) for other in taken))
        left.remove(next_one)
        taken.append(next_one)
    return taken


def shortest(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """At most `count` with the fewest tokens; the first of equals."""
    return sorted(candidates, key=lambda candidate: candidate.tokens)[:count]


def likeness(one: str, other: str) -> float:
    """Shared pieces of three words, as a share of all pieces of both; 0..1, 1 for two texts too short to have any."""
    ours, theirs = ngrams(one, PIECE), ngrams(other, PIECE)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0

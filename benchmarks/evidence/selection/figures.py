"""From graded completions to figures: pass@k, votes, searching, and what one model solves and another does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.evidence.drawing import Groups, Rows, right
from benchmarks.evidence.pool import paired
from benchmarks.evidence.puzzles import LEVELS, of_family, of_levels
from cogitate.evals.evaluate import vote_of
from cogitate.evals.metrics import consensus, pass_at_k, pool_seeds
from cogitate.rewards.kinds import kind_of
from cogitate.types import Problem

KS = (1, 4, 16, 64)
VOTERS = 16
BASE, SEARCHER, ZERO = "base", "base after a searcher", "R1-Zero"
LESS = {f"{first} less {second}": (first, second) for first, second in ((ZERO, BASE), (ZERO, SEARCHER), (SEARCHER, BASE))}


@dataclass(frozen=True, slots=True)
class Solved:
    """One model's completions of all problems: for each problem a row, with a value for each completion.

    Attributes:
        right: 1 or 0, of completions with a verdict.
        votes: whether the most frequent answer of each VOTERS completions is right (ties are split); an empty row where
            answers cannot be compared.
        rejects: whether a try is rejected and another one follows; an empty row where there are no candidates to try.
        cut_off: whether the limit ended it.
    """

    right: Rows
    votes: Rows
    rejects: Rows
    cut_off: Rows


Ways = Mapping[str, Sequence[Solved]]  # BASE, SEARCHER and ZERO -> by seed; of a base that all seeds share as often the same


def solved(groups: Groups) -> Solved:
    """What figures need of completions."""
    return Solved(
        right(groups),
        [
            votes([vote_of(each.extracted) for each in group], [each.right for each in group])
            if kind_of(group[0].problem.kind).can_vote
            else []
            for group in groups
        ],
        [[float(each.steps.rejects) for each in group if each.steps and each.steps.searched] for group in groups],
        [[float(not each.finished) for each in group] for group in groups],
    )


def votes(answers: Sequence[str | None], verdicts: Sequence[bool | None]) -> list[float]:
    """cons@k of each VOTERS completions, of all together where there are fewer; those without any verdict are left out."""
    size = min(VOTERS, len(answers))
    parts = [slice(start, start + size) for start in range(0, len(answers) - size + 1, size)]
    return [consensus(answers[part], verdicts[part]) for part in parts if any(each is not None for each in verdicts[part])]


def figures(problems: Sequence[Problem], ways: Ways, samples: int) -> dict[str, Any]:
    """All that the page shows of `samples` completions of each problem."""
    chosen = {
        "all": of_family("all"),
        **{name: of_levels(levels) for name, levels in LEVELS.items()},
        **{family: of_family(family) for family in dict.fromkeys(problem.task for problem in problems)},
    }
    kept = {
        name: [number for number, problem in enumerate(problems) if keep((problem.task, problem.id))]
        for name, keep in chosen.items()
    }
    kept = {name: numbers for name, numbers in kept.items() if numbers}
    ks = sorted({*(k for k in KS if k <= samples), samples})
    return {
        "pass@k": {name: passes(ways, numbers, ks) for name, numbers in kept.items()},
        "votes": {"k": min(VOTERS, samples), **voted(ways)},
        "searching": {name: searching(by_seed) for name, by_seed in ways.items()},
        "one and not the other": {
            name: one_and_not_the_other(ways, numbers, samples) for name, numbers in kept.items() if name in ("all", *LEVELS)
        },
    }


def passes(ways: Ways, numbers: Sequence[int], ks: Sequence[int]) -> dict[str, Any]:
    """{"problems", way: {"pass@1", ...}, "way less way": the paired differences} of some of the problems.

    At k a problem with fewer than k verdicts is left out.
    """
    found: dict[str, Any] = {"problems": len(numbers), **{name: {} for name in (*ways, *LESS)}}
    for k in ks:
        rows = {name: [at_k([each.right[n] for n in numbers], k) for each in by_seed] for name, by_seed in ways.items()}
        for name in ways:
            found[name][f"pass@{k}"] = pool_seeds(rows[name]).as_json()
        for name, (first, second) in LESS.items():
            found[name][f"pass@{k}"] = paired(rows[first], rows[second]).as_json()
    return found


def at_k(rows: Rows, k: int) -> Rows:
    """pass@k of each problem."""
    return [[pass_at_k(len(row), round(sum(row)), k)] if len(row) >= k else [] for row in rows]


def voted(ways: Ways) -> dict[str, Any]:
    """cons@k beside pass@1 of the completions that voted; {} where no answers can be compared."""
    numbers = [number for number, row in enumerate(ways[BASE][0].votes) if row]
    if not numbers:
        return {}
    found: dict[str, Any] = {"problems": len(numbers)}
    for name, by_seed in ways.items():
        majority = [[each.votes[n] for n in numbers] for each in by_seed]
        alone = [[each.right[n] for n in numbers] for each in by_seed]
        found[name] = {
            "cons@k": pool_seeds(majority).as_json(),
            "pass@1": pool_seeds(alone).as_json(),
            "gain": paired(majority, alone).as_json(),
        }
    return found


def searching(by_seed: Sequence[Solved]) -> dict[str, Any]:
    """Shares of completions that reject a try and go on, and that the limit ends."""
    return {
        "rejects": pool_seeds([each.rejects for each in by_seed]).as_json(),
        "cut_off": pool_seeds([each.cut_off for each in by_seed]).as_json(),
    }


def one_and_not_the_other(ways: Ways, numbers: Sequence[int], samples: int) -> dict[str, Any]:
    """Problems that one side solves at least once and the other side never.

    Chance alone makes some: base, too, solves problems in one half of its completions that it does not solve in the other half.
    These stand beside what R1-Zero solves in as many.
    """
    half = samples // 2

    def rows(name: str, start: int = 0, end: int = samples) -> list[Rows]:
        return [[each.right[n][start:end] for n in numbers] for each in ways[name]]

    base, searcher, zero, first_half = rows(BASE), rows(SEARCHER), rows(ZERO), rows(BASE, 0, half)
    both = [[a + b for a, b in zip(*sides, strict=True)] for sides in zip(base, searcher, strict=True)]
    sides = {
        f"R1-Zero in {samples}, base not in {samples}": (zero, base),
        f"R1-Zero in {samples}, base not in {samples} with either prompt": (zero, both),
        f"base in {samples}, R1-Zero not in {samples}": (base, zero),
        f"R1-Zero in {half}, base not in {half}": (rows(ZERO, 0, half), first_half),
        f"base in {half} others, base not in {half}": (rows(BASE, half, 2 * half), first_half),
    }
    return {name: only(*of) for name, of in sides.items()}


def only(first: Sequence[Rows], second: Sequence[Rows]) -> dict[str, Any]:
    """The problems that `first` solves and `second` does not: how many (a mean over seeds), and their share."""
    found = [
        [[float(any(a) and not any(b))] if a and b else [] for a, b in zip(*rows, strict=True)]
        for rows in zip(first, second, strict=True)
    ]
    share, judged = pool_seeds(found), sum(all(rows) for rows in zip(*found, strict=True))
    return {"problems": share.value * judged, "of": judged, "share": share.as_json()}

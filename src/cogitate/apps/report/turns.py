"""The report's section of turns: problems that a step of training solved and the step before did not, with the turn marked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from cogitate.apps.report.completions import gold_of, problem_key, rows_by_step
from cogitate.apps.report.data import EVALUATE, Row, Run
from cogitate.apps.report.words import plain, stage_title

MOST = 6  # of a stage and run
TURN = "turn"  # of a transcript: a puzzle has it, or null where the thinking does not turn
KINDS = {"rejected try": "a try is rejected, and another one follows", "mended slip": "a wrong statement is put right"}


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem at the first step that solved it right after one that did not.

    Attributes:
        before, after: a completion of each step; `after` is right, and turns if any right one of its step does.
    """

    before: Row
    after: Row

    @property
    def turns(self) -> bool:
        return isinstance(self.after.get(TURN), Mapping)


def turns_section(runs: Sequence[Run]) -> str:
    """The first solved problems of each stage whose completion turns; "" where no stage has one."""
    parts: list[str] = []
    for run in runs:
        seed = f", seed {run.seed}" if len(runs) > 1 else ""
        for stage in run.stages.values():
            solved = [] if stage.name.startswith(EVALUATE) else newly_solved(stage.transcripts)
            turning = [each for each in solved if each.turns]
            if not turning:
                continue
            count = f"{len(turning)} of {len(solved)} newly solved problems by a completion that turns"
            title = f"{escape(stage_title(stage.name, runs) + seed)} <span class='soft small'>{count}</span>"
            shown = "".join(map(comparison, turning[:MOST]))
            parts.append(f'<details{"" if parts else " open"}><summary class="stage">{title}</summary>{shown}</details>')
    if not parts:
        return ""
    intro = (
        "The same puzzles are asked again and again during training. Below are the first that a step solved and the step "
        f"before did not, at most {MOST} of each stage. Marked is the first turn of the thinking, as a program finds it: "
        "it rejects a try and goes on, or puts a wrong statement right. Two completions are sampled of each, so some are luck."
    )
    return (
        '<section id="turns" aria-labelledby="turns-title"><h2 id="turns-title">Where its thinking turned</h2>'
        f'<p class="soft">{intro}</p>{"".join(parts)}</section>\n'
    )


def turns_link(section: str) -> str:
    """For the navigation of the page."""
    return '<a href="#turns">Turns</a>' if section else ""


def newly_solved(transcripts: Sequence[Row]) -> list[Solved]:
    """Puzzles in the order in which they were solved; each once."""
    found: dict[str, Solved] = {}
    steps = sorted(rows_by_step([row for row in transcripts if TURN in row]).items())
    for (_, earlier), (_, later) in itertools.pairwise(steps):
        before = by_problem(earlier)
        for key, rows in by_problem(later).items():
            right = [row for row in rows if row.get("verdict") == "right"]
            if key in found or not right or not all(row.get("verdict") == "wrong" for row in before.get(key, [{}])):
                continue
            turning = [row for row in right if isinstance(row[TURN], Mapping)]
            found[key] = Solved(before[key][0], (turning or right)[0])
    return list(found.values())


def by_problem(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(problem_key(row), []).append(row)
    return found


def comparison(solved: Solved) -> str:
    """The question, and both completions side by side (one below the other where there is no room)."""
    row = solved.after
    about = plain(str(row.get("task", ""))) + (f", level {row['level']}" if "level" in row else "")
    gold = gold_of(row)
    about += f" · expected: {gold}" if gold else ""
    return (
        f'<section class="problem"><div class="asked"><div class="question">{escape(str(row.get("question", "")))}</div>'
        f'<div class="about">{escape(about)}</div></div>'
        f'<div class="side">{answer(solved.before)}{answer(row, row[TURN])}</div></section>'
    )


def answer(row: Row, turn: Mapping[str, Any] | None = None) -> str:
    """A completion; its turn is marked and named beneath."""
    right = row.get("verdict") == "right"
    text = str(row.get("completion", ""))
    facts = ""
    if turn is None:
        shown = escape(text)
    else:
        before, marked, after = cut(text, turn)
        shown = f"{escape(before)}<mark>{escape(marked)}</mark>{escape(after)}"
        kind = KINDS.get(str(turn.get("kind")), str(turn.get("kind")))
        facts = f'<div class="facts"><div>the turn: {escape(kind)}</div></div>'
    verdict = '<div class="verdict">✓ right</div>' if right else '<div class="verdict">✗ wrong</div>'
    return (
        f'<article class="answer {"right" if right else "wrong"}">'
        f'<div class="where"><span>step {escape(str(row.get("step")))}</span></div>{verdict}'
        f'<div class="text">{shown}</div>{facts}</article>'
    )


def cut(text: str, turn: Mapping[str, Any]) -> tuple[str, str, str]:
    """What stands before the turn, the turn, and what follows."""
    start, end = int(turn["start"]), int(turn["end"])
    return text[:start], text[start:end], text[end:]

"""Sampled completions as the data of the report's browser: cut at their thinking, reflections marked, within a budget."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.apps.report.data import EVALUATE, Row, Run
from cogitate.apps.report.words import plain, stage_title
from cogitate.evals.text_metrics import REFLECTION, is_reflective
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN, split_thinking

MOST_CHARACTERS = 3_000_000  # of completions in one report: a browser opens that at once
MOST_STEPS = 12  # of a stage and run, evenly spread, first and last included


def browser_data(runs: Sequence[Run]) -> dict[str, Any]:
    """What report.js reads.

    Returns:
        columns: {"group", "name", "label"} each; problems: {"task", "question", "gold"} each; completions: with the indices of
        both; chosen: the columns shown first; left_out: how many completions did not fit.
    """
    columns = sampled_columns(runs)
    seen_in = Counter(key for column in columns for key in {problem_key(row) for row in column.rows})
    problems: dict[str, int] = {}
    described: list[dict[str, str]] = []
    completions = []
    total = 0
    budgets = share_out(MOST_CHARACTERS, [sum(map(size_of, column.rows)) for column in columns])
    for index, column in enumerate(columns):
        total += len(column.rows)
        for row in within_budget(column.rows, seen_in, budgets[index]):
            key = problem_key(row)
            if key not in problems:
                problems[key] = len(described)
                described.append(
                    {"task": plain(str(row.get("task", ""))), "question": str(row.get("question", "")), "gold": gold_of(row)}
                )
            completions.append({"column": index, "problem": problems[key], **describe(row)})
    return {
        "columns": [{"group": column.group, "name": column.name, "label": column.label} for column in columns],
        "problems": described,
        "completions": completions,
        "chosen": first_chosen(columns),
        "left_out": total - len(completions),
    }


@dataclass(frozen=True, slots=True)
class Column:
    """Completions that belong together: of one step of training, or of one model's evaluation.

    Attributes:
        group: what the report puts its button under; columns of one group were asked the same problems.
        name: on the button.
        label: on each completion.
    """

    group: str
    name: str
    label: str
    rows: list[Row]


def sampled_columns(runs: Sequence[Run]) -> list[Column]:
    """Steps of training in order, then the models as they were measured."""
    training, measured = [], []
    for run in runs:
        seed = f", seed {run.seed}" if len(runs) > 1 else ""
        for stage in run.stages.values():
            if stage.name.startswith(EVALUATE) and stage.transcripts:
                title = stage_title(stage.name.removeprefix(EVALUATE), runs) + seed
                measured.append(Column("Measured on unseen problems", title, f"{title}, measured", stage.transcripts))
                continue
            title, by_step = stage_title(stage.name, runs) + seed, rows_by_step(stage.transcripts)
            for step in spread(list(by_step), MOST_STEPS):
                training.append(Column(f"Training of {title}", f"step {step}", f"{title}, step {step}", by_step[step]))
    return training + measured


def rows_by_step(rows: Sequence[Row]) -> dict[Any, list[Row]]:
    by_step: dict[Any, list[Row]] = {}
    for row in rows:
        by_step.setdefault(row.get("step"), []).append(row)
    return by_step


def describe(row: Row) -> dict[str, Any]:
    """One completion: its text in pieces and the lines of facts beneath it."""
    text = str(row.get("completion", ""))
    parts = split_thinking(text, prefilled=str(row.get("prompt") or "").rstrip().endswith(THINK_OPEN))
    thinking = parts.thinking or ""
    after = text if parts.thinking is None else parts.answer_region
    verdict = row.get("verdict")
    thinking_pieces, after_pieces = pieces(thinking), pieces(after)
    habits = [
        name
        for name, holds in (
            ("reflection", row.get("reflection", is_reflective(thinking or text))),
            ("mixed", row.get("language_mix")),
        )
        if holds
    ]
    if row.get("finish_reason") == "length":
        habits.append("cut")
    return {
        "verdict": verdict if verdict in ("right", "wrong") else "none",
        "reward": row.get("reward"),
        "tokens": row.get("tokens") or 0,
        "marks": len(thinking_pieces if thinking else after_pieces) // 2,
        "habits": habits,
        "before": pieces(parts.preamble),
        "open": THINK_OPEN if parts.opened else "",
        "thinking": thinking_pieces,
        "close": THINK_CLOSE if parts.closed else "",
        "after": after_pieces,
        "reason": str(row.get("reason") or ""),
        "facts": facts(row),
    }


def pieces(text: str) -> list[str]:
    """[plain, mark, plain, ...]: the text cut at its words of reflection, so that nothing else need know them."""
    cut, position = [], 0
    for found in REFLECTION.finditer(text):
        cut += [text[position : found.start()], found.group()]
        position = found.end()
    return [*cut, text[position:]]


def facts(row: Row) -> list[str]:
    """Reward and its parts, the grader's reason, length."""
    lines = []
    if row.get("reward") is not None:
        parts = ", ".join(
            f"{name} {value:.3g}" for name, value in (row.get("reward_breakdown") or {}).items() if value is not None
        )
        lines.append(f"reward {row['reward']:.3g}" + (f" ({parts})" if parts else ""))
    if row.get("reason"):
        lines.append(str(row["reason"]))
    if row.get("extracted") is not None and "\n" not in str(row["extracted"]):  # a program stands above as it was written
        lines.append(f"answer found: {row['extracted']}")
    length = f"{row['tokens']} tokens" if row.get("tokens") is not None else ""
    if row.get("thinking_tokens"):
        length += f", {row['thinking_tokens']} of them thinking"
    ends = {"length": "cut off at the limit", "abort": "aborted"}.get(str(row.get("finish_reason")), "")
    lines.append("; ".join(filter(None, (length, ends, "languages mixed" if row.get("language_mix") else ""))))
    return [line for line in lines if line]


def share_out(total: int, wanted: Sequence[int]) -> list[int]:
    """Equal shares of `total`; what one does not need goes to the others."""
    given = [0] * len(wanted)
    for place, index in enumerate(sorted(range(len(wanted)), key=lambda index: wanted[index])):
        given[index] = min(wanted[index], (total - sum(given)) // (len(wanted) - place))
    return given


def size_of(row: Row) -> int:
    """Characters a completion takes in the page, about."""
    return len(str(row.get("completion", ""))) + 300


def within_budget(rows: Sequence[Row], seen_in: Counter[str], characters: int) -> list[Row]:
    """Whole problems, those sampled at several steps first, until the characters are used up; at least one problem."""
    by_problem: dict[str, list[Row]] = {}
    for row in rows:
        by_problem.setdefault(problem_key(row), []).append(row)
    kept: list[Row] = []
    for key in sorted(by_problem, key=lambda key: -seen_in[key]):
        size = sum(map(size_of, by_problem[key]))
        if kept and size > characters:
            break
        characters -= size
        kept += by_problem[key]
    return kept


def problem_key(row: Row) -> str:
    return f"{row.get('task')}\0{row.get('problem_id')}\0{row.get('question')}"


def gold_of(row: Row) -> str:
    """What the grader compared with, short."""
    gold = row.get("gold")
    if gold is None:
        return ""
    text = gold if isinstance(gold, str) else json.dumps(gold, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + " …"


def spread(items: list[Any], most: int) -> list[Any]:
    """At most `most` items, evenly spread, first and last included."""
    if len(items) <= most:
        return items
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def first_chosen(columns: Sequence[Column]) -> list[int]:
    """The columns shown at first: the first, middle and last of the first group."""
    group = [index for index, column in enumerate(columns) if column.group == columns[0].group]
    return sorted({group[0], group[(len(group) - 1) // 2], group[-1]}) if group else []

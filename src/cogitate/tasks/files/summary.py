"""What the rows of a user's data set became, in the few lines that a run begins with: nothing is left out in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.json_lines import counts, keys_line, shown
from cogitate.tasks.files.datasets import data_file, load_conversations, read_rows
from cogitate.tasks.files.jsonl import is_chinese, load_problems
from cogitate.tasks.files.messages import CONVERSATIONS, unread_fields
from cogitate.tasks.files.preference_forms import load_labels, load_pairs
from cogitate.tokenizer.thinking import split_thinking
from cogitate.types import PLACE, Message, Problem

EXAMPLES = 3
LISTS = (*CONVERSATIONS, "prompt", "completion", "chosen", "rejected")


def problems_summary(path: Path, used: Sequence[Problem], *, contract: str, rest: str) -> list[str]:
    """Of a file of problems.

    Args:
        used: those of its problems that this run trains on or asks.
        contract: where their answers are looked for.
        rest: why the file's other problems are not among them.
    """
    title, *lines = rows_summary(
        str(data_file(path)), sum(1 for _ in read_rows(path)), len(load_problems(path)), used, contract=contract, rest=rest
    )
    return [title.replace(str(data_file(path)), str(path), 1), *lines]


def rows_summary(name: str, rows: int, different: int, used: Sequence[Problem], *, contract: str, rest: str) -> list[str]:
    """Of rows that a file has or a function gave.

    Args:
        name: where they come from, as places of problems begin.
        different: how many problems they are.
        used, contract, rest: as in problems_summary.
    """
    skipped = {"repeat an earlier row": rows - different, rest: different - len(used)}
    kept = Counter(key for problem in used for key in problem.fields if key != PLACE)
    return [
        f"{name}: {rows} rows, {len(used)} problems; skipped: {skips(skipped)}",
        f"  kind: {counts(problem.kind for problem in used)}; language: {counts(problem.language for problem in used)}; "
        f"contract: {counts(contract for _ in used)}",
        *keys_line("keys that no prompt shows", kept),
        *(
            f"  {one.place.removeprefix(f'{name}, ')}: {one.kind}, {one.language}: {shown(one.question)} -> {shown(one.gold)}"
            for one in one_of_each(used, [problem.kind for problem in used])
        ),
    ]


def conversations_summary(path: Path) -> list[str]:
    """Of a file or an artifact of conversations."""
    conversations = load_conversations(path)
    said = [turn for one in conversations for turn in one.messages if turn.role == "assistant"]
    learnt = [turn for turn in said if turn.learn]
    thinking = sum(split_thinking(turn.content).thinking is not None for turn in learnt)
    systems = sum(one.messages[0].role == "system" for one in conversations)
    languages = [str(one.facts.get("language") or language_of(one.messages)) for one in conversations]
    return [
        f"{data_file(path)}: {len(conversations)} rows, {len(conversations)} conversations; skipped: "
        + skips({"turns of weight 0 or train false are read and not learnt": len(said) - len(learnt)}),
        f"  turns that are learnt: {len(learnt)}, {thinking} of them with thinking; system prompts: {systems}; "
        f"language: {counts(languages)}",
        *keys_line("keys that are not learnt", Counter(key for one in conversations for key in one.facts)),
        *unread_line(path),
        *(
            f"  {place_in(path, one.place)}: {shown(one.messages[-2].content if len(one.messages) > 1 else '')} -> "
            f"{shown(one.messages[-1].content)}"
            for one in one_of_each(conversations, [len(one.messages) for one in conversations])
        ),
    ]


def pairs_summary(path: Path) -> list[str]:
    """Of a file of preferences."""
    pairs, ties = load_pairs(path)
    return [
        f"{path}: {len(pairs) + ties} rows, {len(pairs)} pairs; skipped: {skips({'ties': ties})}",
        f"  {turns_text([pair.prompt for pair in pairs])}",
        *unread_line(path),
        *(
            f"  {place_in(path, pair.place)}: {shown(pair.prompt[-1].content)} -> {shown(pair.chosen[-1].content)} rather than "
            f"{shown(pair.rejected[-1].content)}"
            for pair in one_of_each(pairs, [len(pair.prompt) for pair in pairs])
        ),
    ]


def labels_summary(path: Path) -> list[str]:
    """Of a file of completions labelled safe or unsafe, or of pairs taken for them."""
    labels, rows = load_labels(path), sum(1 for _ in read_rows(path))
    places = {label.place for label in labels}
    return [
        f"{path}: {rows} rows, {len(labels)} labelled completions; skipped: {skips({'ties': rows - len(places)})}",
        f"  {turns_text([one.prompt for one in labels])}; label: {counts('safe' if one.label else 'unsafe' for one in labels)}",
        *unread_line(path),
        *(
            f"  {place_in(path, one.place)}: {shown(one.prompt[-1].content)} -> {shown(one.completion[-1].content)}: "
            + ("safe" if one.label else "unsafe")
            for one in one_of_each(labels, [one.label for one in labels])
        ),
    ]


def turns_text(prompts: Sequence[Sequence[Message]]) -> str:
    """How many prompts have what, and their languages."""
    systems = sum(prompt[0].role == "system" for prompt in prompts)
    several = sum(sum(turn.role == "user" for turn in prompt) > 1 for prompt in prompts)
    languages = counts(language_of(prompt) for prompt in prompts)
    return f"prompts of several turns: {several}; system prompts: {systems}; language: {languages}"


def language_of(turns: Sequence[Message]) -> str:
    """That of what the user says."""
    return "zh" if is_chinese(" ".join(turn.content for turn in turns if turn.role == "user")) else "en"


def one_of_each(rows: Sequence[Any], kinds: Sequence[Any]) -> list[Any]:
    """A few examples, in the order of the rows: the first of each kind, then the first of all."""
    first = {kind: number for number, kind in reversed(list(enumerate(kinds)))}
    chosen = list(dict.fromkeys([*sorted(first.values()), *range(len(rows))]))[:EXAMPLES]
    return [rows[number] for number in sorted(chosen)]


def skips(reasons: Mapping[str, int]) -> str:
    """`2 (repeat an earlier row)`: those that are not 0."""
    return ", ".join(f"{count} ({reason})" for reason, count in reasons.items() if count) or "none"


def unread_line(path: Path) -> list[str]:
    """A line of the fields of messages that mean nothing to a model."""
    rows = [row for _, row in read_rows(path)]
    return keys_line(
        "fields of messages that are not read", Counter(f for row in rows for key in LISTS for f in unread_fields(row.get(key)))
    )


def place_in(path: Path, place: str) -> str:
    """`line 3`, of the place `path, line 3`."""
    return place.removeprefix(f"{data_file(path)}, ")

"""What learners learn from, as messages: packed rows as arrays, rollouts and texts as JSON.

Of a rollout only what a learner reads crosses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from cogitate.cluster.trainers.frames import Frame
from cogitate.types import LabelledSteps, LabelledText, PackedRows, Problem, Rollout, Text, TextPair, Verdict

Item = TextPair | LabelledText | LabelledSteps
ARRAYS = tuple(each.name for each in fields(PackedRows) if each.name != "padding_share")
UNREAD = Problem("", "", "", ""), Verdict("none", 0.0, "")


def frame_of_rows(command: str, rows: PackedRows, **others: Any) -> Frame:
    said = {"command": command, "padding_share": rows.padding_share, **others}
    return Frame(said, {name: getattr(rows, name) for name in ARRAYS})


def rows_of(frame: Frame) -> PackedRows:
    return PackedRows(**{name: frame.arrays[name] for name in ARRAYS}, padding_share=frame.said["padding_share"])


def said_of_rollouts(rollouts: Sequence[Rollout]) -> list[list[Any]]:
    return [[each.prompt_ids, each.completion_ids, each.logprobs, each.loss_mask] for each in rollouts]


def rollouts_of(said: Sequence[Sequence[Any]]) -> list[Rollout]:
    problem, verdict = UNREAD
    return [
        Rollout(
            problem=problem, prompt_ids=tuple(prompt), completion_ids=tuple(completion), logprobs=tuple(logprobs),
            loss_mask=tuple(mask), weight_versions=(), finish_reason="stop", seed=0, text="", reward=None,
            reward_breakdown={}, verdict=verdict,
        )
        for prompt, completion, logprobs, mask in said
    ]  # fmt: skip


def said_of_item(item: Item) -> list[Any]:
    """A list whose first element says of which kind the item is."""
    return [type(item).__name__, *item]


def item_of(said: Sequence[Any]) -> Item:
    kind, first, *rest = said
    text = text_of(first)
    if kind == TextPair.__name__:
        return TextPair(text, text_of(rest[0]))
    if kind == LabelledText.__name__:
        return LabelledText(text, bool(rest[0]))
    assert kind == LabelledSteps.__name__, kind
    return LabelledSteps(text, tuple(rest[0]), tuple(rest[1]))


def text_of(said: Sequence[Sequence[int]]) -> Text:
    prompt, completion = said
    return Text(tuple(prompt), tuple(completion))

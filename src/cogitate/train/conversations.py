"""Conversations as packed rows for SFT: only what the assistant says is learnt (R1, supplement B.4.3: best-fit packing).

Each turn of the assistant that is to be learnt is an example of its own. Its prompt is what the model would be asked with at
that point of the conversation, so earlier turns stand without their thinking where the template leaves it out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cogitate.errors import CheckpointError, DataError
from cogitate.json_lines import RowFaults, first_and_number
from cogitate.runtime import derive_seed
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.rows.packing import pack_documents
from cogitate.types import Conversation, Message, PackedRows, Text


@dataclass(frozen=True, slots=True)
class Example:
    """One turn of the assistant after its prompt; `loss_mask` is 1 for the tokens of the turn, its end token included."""

    token_ids: tuple[int, ...]
    loss_mask: tuple[int, ...]
    place: str = field(default="", compare=False)  # file and line


@dataclass(frozen=True, slots=True)
class ConversationRows:
    """All examples in packed rows, and which of them each step learns.

    Every row is learnt once an epoch; rows are shuffled anew for each. A step's rows depend on the step alone. The last step
    may have fewer.

    Attributes:
        packed: every row once.
        examples: how many are in the rows.
        too_long: how many were dropped because they do not fit a row.
        dropped: these in a line for a person; "" where there are none.
        shuffled_by: what the order of an epoch is drawn from, the number of the epoch apart.
    """

    packed: PackedRows
    examples: int
    too_long: int
    rows_per_step: int
    epochs: int
    shuffled_by: tuple[int | str, ...]
    dropped: str = ""

    @property
    def count(self) -> int:
        """Rows of an epoch."""
        return len(self.packed.tokens_BT)

    @property
    def steps(self) -> int:
        """Optimiser steps of all epochs."""
        return -(-self.count * self.epochs // self.rows_per_step)

    def batch_of(self, step: int) -> PackedRows:
        """The rows of a step, 0 <= step < steps; a step may hold the end of an epoch and the beginning of the next."""
        first = step * self.rows_per_step
        places = range(first, min(first + self.rows_per_step, self.count * self.epochs))
        orders = {epoch: self._order(epoch) for epoch in {place // self.count for place in places}}
        chosen = [orders[place // self.count][place % self.count] for place in places]
        packed = self.packed
        documents_BT = packed.documents_BT[chosen]
        return PackedRows(
            tokens_BT=packed.tokens_BT[chosen],
            loss_mask_BT=packed.loss_mask_BT[chosen],
            documents_BT=documents_BT,
            positions_BT=packed.positions_BT[chosen],
            padding_share=float(np.mean(documents_BT < 0)),
        )

    def _order(self, epoch: int) -> list[int]:
        order = list(range(self.count))
        random.Random(derive_seed(*self.shuffled_by, "epoch", epoch)).shuffle(order)
        return order


def pack_conversations(
    conversations: Iterable[Conversation],
    form: ConversationForm,
    *,
    row_tokens: int,
    longest: int,
    rows_per_step: int,
    epochs: int,
    shuffled_by: tuple[int | str, ...],
) -> ConversationRows:
    """Every turn of the assistant that fits, in rows.

    Args:
        longest: tokens the model can read; an example longer than this or than a row is dropped and counted.

    Raises:
        DataError: no example fits a row.
        CheckpointError: the model's chat template refuses conversations: names the first of them, and says how many there are.
    """
    examples = all_examples(conversations, form)
    limit = min(row_tokens, longest)
    kept = [example for example in examples if len(example.token_ids) <= limit]
    if not kept:
        shortest = min((len(example.token_ids) for example in examples), default=0)
        raise DataError(
            f"of {len(examples)} conversations none fits {limit} tokens, the shortest has {shortest}: raise row_tokens "
            f"(the model reads up to {longest} tokens) or give shorter conversations"
        )
    packed = pack_documents(
        [example.token_ids for example in kept],
        [example.loss_mask for example in kept],
        row_tokens,
        pad_id=form.tokenizer.pad_id,
    )
    long = [(example.place, len(example.token_ids)) for example in examples if len(example.token_ids) > limit]
    dropped = too_long_line("turns", long, len(examples), limit)
    return ConversationRows(packed, len(kept), len(long), rows_per_step, epochs, shuffled_by, dropped)


def all_examples(conversations: Iterable[Conversation], form: ConversationForm) -> list[Example]:
    """The examples of all conversations. Raises CheckpointError as pack_conversations."""
    examples: list[Example] = []
    faults = RowFaults("conversations", CheckpointError)
    for conversation in conversations:
        with faults.at(conversation.place):
            examples += examples_of(conversation, form)
    faults.check()
    return examples


def too_long_line(what: str, rows: Sequence[tuple[str, int]], total: int, limit: int) -> str:
    """`2 of 9 turns dropped, longer than 48 tokens: mine.jsonl, line 3 (51 tokens); ...`; "" where there are none.

    Args:
        rows: the place of each that is too long, and its tokens.
        total: how many there are, these included.
    """
    if not rows:
        return ""
    listed = first_and_number([f"{place} ({tokens} tokens)" for place, tokens in rows], len(rows))
    return f"{len(rows)} of {total} {what} dropped, longer than {limit} tokens: {listed}"


def examples_of(conversation: Conversation, form: ConversationForm) -> list[Example]:
    """One example for each turn of the assistant that is to be learnt, in order; other turns are read in their prompts."""
    return [
        example_of(conversation, turn, form)
        for turn, message in enumerate(conversation.messages)
        if message.role == "assistant" and message.learn
    ]


def example_of(conversation: Conversation, turn: int, form: ConversationForm) -> Example:
    """The turn of this number, which is the assistant's, after all that stands before it."""
    prompt = form.prompt_ids(conversation.messages[:turn])
    completion = form.completion_ids(conversation.messages[turn].content, prompt)
    return Example((*prompt, *completion), (0,) * len(prompt) + (1,) * len(completion), conversation.place)


def texts_of(form: ConversationForm, prompt: Sequence[Message], sides: Sequence[Sequence[Message]]) -> list[Text]:
    """A prompt and what is said after it, for each of several continuations, thinking included.

    Of a side of several turns all count as said, the user's between them too, as in TRL. The texts have one prompt: as much of
    it as all of them begin with, since a template may drop from earlier turns what it puts before the last (`<think>`).
    """
    asked = form.prompt_ids(prompt)
    wholes = []
    for side in sides:
        before = asked if len(side) == 1 else form.prompt_ids((*prompt, *side[:-1]))
        wholes.append([*before, *form.completion_ids(side[-1].content, before)])
    shared = min(shared_length(asked, whole) for whole in wholes)
    return [Text(tuple(asked[:shared]), tuple(whole[shared:])) for whole in wholes]


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))

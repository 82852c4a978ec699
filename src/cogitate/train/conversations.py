"""Conversations as packed rows for SFT: only what the assistant says is learnt (R1, supplement B.4.3: best-fit packing). They
are read one by one, and their tokens wait on disk: memory holds some dozens of bytes of each.

Each turn of the assistant that is to be learnt is an example of its own. Its prompt is what the model would be asked with at
that point of the conversation, so earlier turns stand without their thinking where the template leaves it out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cogitate.errors import CheckpointError, DataError
from cogitate.json_lines import RowFaults, first_and_number
from cogitate.runtime import derive_seed
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.rows.stored import StoredDocuments
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
        stored: all examples.
        rows: which of them each row holds.
        too_long: how many were dropped because they do not fit a row.
        dropped: these in a line for a person; "" where there are none.
        shuffled_by: what the order of an epoch is drawn from, the number of the epoch apart.
    """

    stored: StoredDocuments
    rows: list[list[int]]
    row_tokens: int
    pad_id: int
    too_long: int
    rows_per_step: int
    epochs: int
    shuffled_by: tuple[int | str, ...]
    dropped: str = ""

    @property
    def examples(self) -> int:
        """How many are in the rows."""
        return len(self.stored)

    @property
    def count(self) -> int:
        """Rows of an epoch."""
        return len(self.rows)

    @property
    def padding_share(self) -> float:
        """Padding tokens / all tokens of an epoch."""
        return 1.0 - self.stored.tokens / (self.count * self.row_tokens)

    @property
    def packed(self) -> PackedRows:
        """Every row once, in memory."""
        return self.stored.fill_rows(self.rows, self.row_tokens, pad_id=self.pad_id)

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
        packed = self.stored.fill_rows([self.rows[row] for row in chosen], self.row_tokens, pad_id=self.pad_id)
        return replace(packed, padding_share=float(np.mean(packed.documents_BT < 0)))

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
    directory: Path | None = None,
) -> ConversationRows:
    """Every turn of the assistant that fits, in rows.

    Args:
        longest: tokens the model can read; an example longer than this or than a row is dropped and counted.
        directory: where tokens wait, 4 bytes each; None: the system's place for temporary files.

    Raises:
        DataError: no example fits a row.
        CheckpointError: the model's chat template refuses conversations: names the first of them, and says how many there are.
    """
    stored, limit = StoredDocuments(directory), min(row_tokens, longest)
    long = list[tuple[str, int]]()
    faults = RowFaults("conversations", CheckpointError)
    for conversation in conversations:
        examples: list[Example] = []
        with faults.at(conversation.place):
            examples = examples_of(conversation, form)
        for example in examples:
            if len(example.token_ids) <= limit:
                stored.add(example.token_ids, example.loss_mask.index(1))
            else:
                long.append((example.place, len(example.token_ids)))
    faults.check()
    total = len(stored) + len(long)
    if not len(stored):
        shortest = min((tokens for _, tokens in long), default=0)
        raise DataError(
            f"of {total} conversations none fits {limit} tokens, the shortest has {shortest}: raise row_tokens "
            f"(the model reads up to {longest} tokens) or give shorter conversations"
        )
    return ConversationRows(
        stored, stored.best_fit_rows(row_tokens), row_tokens, form.tokenizer.pad_id, len(long), rows_per_step, epochs,
        shuffled_by, too_long_line("turns", long, total, limit),
    )  # fmt: skip


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

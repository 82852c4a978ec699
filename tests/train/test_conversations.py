"""Conversations as packed rows: masks and packing by hand, and what a step reads."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogitate.errors import CheckpointError, DataError
from cogitate.runtime import python_path
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.conversations import ConversationRows, Example, examples_of, pack_conversations, texts_of
from cogitate.types import Conversation, Message


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> ConversationForm:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(["User: one two?\nAssistant: <think> one two </think>\nthree\n"] * 30, 330).save(folder)
    return ConversationForm.load(folder, Tokenizer.load(folder))


def talk(*turns: str) -> Conversation:
    """The user begins, then each in turn."""
    return Conversation(tuple(Message("assistant" if n % 2 else "user", text) for n, text in enumerate(turns)))


def rows_of(
    form: ConversationForm,
    conversations: Sequence[Conversation],
    *,
    row_tokens: int = 40,
    longest: int = 512,
    rows_per_step: int = 2,
    epochs: int = 1,
) -> ConversationRows:
    return pack_conversations(
        conversations,
        form,
        row_tokens=row_tokens,
        longest=longest,
        rows_per_step=rows_per_step,
        epochs=epochs,
        shuffled_by=(0, "sft"),
    )


def test_the_assistants_tokens_and_its_end_are_learnt_and_the_prompt_is_not(form: ConversationForm) -> None:
    (example,) = examples_of(talk("one two?", "<think> one </think>\ntwo"), form)
    learnt = [token for token, counts in zip(example.token_ids, example.loss_mask, strict=True) if counts]
    given = [token for token, counts in zip(example.token_ids, example.loss_mask, strict=True) if not counts]
    assert given == form.tokenizer.encode("User: one two?\nAssistant:")
    assert learnt == [*form.tokenizer.encode(" <think> one </think>\ntwo"), form.tokenizer.end_id]
    assert example.loss_mask == (0,) * len(given) + (1,) * len(learnt)


def test_each_turn_is_learnt_after_the_earlier_ones_without_their_thinking(form: ConversationForm) -> None:
    first, second = examples_of(talk("one?", "<think> one </think>\ntwo", "two?", "three"), form)
    alone = examples_of(talk("one?", "<think> one </think>\ntwo"), form)
    assert [first] == alone
    decode = form.tokenizer.inner.decode
    assert decode(second.token_ids, skip_special_tokens=False) == (
        "User: one?\nAssistant: two<|end|>User: two?\nAssistant: three<|end|>"
    )
    assert sum(second.loss_mask) == len(form.tokenizer.encode(" three")) + 1


def test_a_turn_that_is_not_to_be_learnt_stands_in_the_prompt_of_the_next(form: ConversationForm) -> None:
    conversation = talk("one?", "two", "two?", "three")
    wrong = Message("assistant", "two", learn=False)
    (example,) = examples_of(Conversation((conversation.messages[0], wrong, *conversation.messages[2:])), form)
    assert example == examples_of(conversation, form)[1]


def test_the_texts_of_a_pair_hold_the_system_prompt_and_every_turn(form: ConversationForm) -> None:
    prompt = [Message("system", "one"), *talk("one?", "<think> a </think>\ntwo", "two?").messages]
    sides = [[Message("assistant", "<think> b </think>\nthree")], [Message("assistant", "two")]]
    chosen, rejected = texts_of(form, prompt, sides)
    spelt = [form.tokenizer.inner.decode(ids, skip_special_tokens=False) for ids in (*chosen, rejected.completion_ids)]
    assert chosen.prompt_ids == rejected.prompt_ids
    assert spelt == [
        "one\nUser: one?\nAssistant: two<|end|>User: two?\nAssistant:", " <think> b </think>\nthree<|end|>", " two<|end|>"
    ]  # fmt: skip


def test_of_sides_of_several_turns_everything_after_the_prompt_is_said(form: ConversationForm) -> None:
    sides = [talk("", "one", "two?", "three").messages[1:], talk("", "two").messages[1:]]
    chosen, rejected = texts_of(form, talk("one?").messages, sides)
    decode = form.tokenizer.inner.decode
    assert decode(chosen.tokens, skip_special_tokens=False) == (
        "User: one?\nAssistant: one<|end|>User: two?\nAssistant: three<|end|>"
    )
    assert chosen.prompt_ids == rejected.prompt_ids == tuple(form.tokenizer.encode("User: one?\nAssistant:"))


def test_rows_hold_whole_conversations_side_by_side(form: ConversationForm) -> None:
    conversations = [talk("one?", "two"), talk("one two?", "three"), talk("two?", "one two")]
    lengths = [len(example.token_ids) for c in conversations for example in examples_of(c, form)]
    rows = rows_of(form, conversations, row_tokens=lengths[0] + lengths[1])
    assert (rows.count, rows.examples, rows.too_long) == (2, 3, 0)
    wanted = Counter(example for c in conversations for example in examples_of(c, form))
    found = Counter[Example]()
    for row in range(rows.count):
        numbers = rows.packed.documents_BT[row]
        for number in range(int(numbers.max()) + 1):
            here = numbers == number
            tokens, mask = rows.packed.tokens_BT[row][here], rows.packed.loss_mask_BT[row][here]
            assert list(rows.packed.positions_BT[row][here]) == list(range(len(tokens)))
            found[Example(tuple(tokens.tolist()), tuple(mask.astype(int).tolist()))] += 1
        assert not rows.packed.loss_mask_BT[row][numbers < 0].any()
    assert found == wanted


def test_what_does_not_fit_a_row_or_the_model_is_dropped_whole_and_counted(form: ConversationForm) -> None:
    conversations = [talk("one?", "two"), talk("one?", "two " * 60), talk("one?", "two " * 20)]
    assert (rows_of(form, conversations).examples, rows_of(form, conversations).too_long) == (2, 1)
    short = rows_of(form, conversations, longest=20)
    assert (short.examples, short.too_long) == (1, 2)


def test_what_is_dropped_is_one_line_of_the_first_five_places_and_their_number(form: ConversationForm) -> None:
    long = [replace(talk("one?", "two " * 60), place=f"mine.jsonl, line {n}") for n in range(1, 8)]
    dropped = rows_of(form, [talk("one?", "two"), *long]).dropped
    tokens = len(examples_of(long[0], form)[0].token_ids)
    places = "; ".join(f"mine.jsonl, line {n} ({tokens} tokens)" for n in range(1, 6))
    assert dropped == f"7 of 8 turns dropped, longer than 40 tokens: {places}; and 2 more"
    assert rows_of(form, [talk("one?", "two")]).dropped == ""


def test_conversations_that_the_template_refuses_are_counted_in_one_message(form: ConversationForm) -> None:
    tool: Any = "tool"  # as no reader of files lets through
    wrong = [Conversation((Message(tool, "4"), Message("assistant", "5")), place=f"mine.jsonl, line {n}") for n in (2, 3)]
    with pytest.raises(CheckpointError, match=r"conversations: 2 rows cannot be used: mine\.jsonl, line 2: .*roles are system"):
        rows_of(form, [talk("one?", "two"), *wrong])


def test_nothing_that_fits_is_an_error_that_says_what_to_do(form: ConversationForm) -> None:
    with pytest.raises(DataError, match=r"of 2 conversations none fits 8 tokens, the shortest has 9: raise row_tokens"):
        rows_of(form, [talk("one?", "two"), talk("one?", "two three")], row_tokens=8)


@pytest.mark.parametrize(("rows_per_step", "steps"), [(2, 11), (4, 6), (7, 3), (50, 1)])
def test_every_row_is_learnt_once_an_epoch_in_an_order_of_its_own(
    form: ConversationForm, rows_per_step: int, steps: int
) -> None:
    conversations = [talk("one?", "two " * n) for n in range(12, 19)]
    rows = rows_of(form, conversations, rows_per_step=rows_per_step, epochs=3)
    assert (rows.count, rows.steps) == (7, steps)
    stream = [tuple(row) for step in range(rows.steps) for row in rows.batch_of(step).tokens_BT.tolist()]
    epochs = [stream[start : start + 7] for start in range(0, 21, 7)]
    every = {tuple(row) for row in rows.packed.tokens_BT.tolist()}
    assert len(stream) == 21
    assert all(set(epoch) == every for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_steps_rows_depend_on_the_step_alone(form: ConversationForm) -> None:
    conversations = [talk("one?", "two " * n) for n in range(12, 19)]
    rows, again = (rows_of(form, conversations, rows_per_step=3, epochs=2) for _ in range(2))
    for step in reversed(range(again.steps)):
        one, other = rows.batch_of(step), again.batch_of(step)
        assert all(
            np.array_equal(getattr(one, name), getattr(other, name))
            for name in ("tokens_BT", "loss_mask_BT", "documents_BT", "positions_BT")
        )
    assert again.batch_of(0).padding_share == pytest.approx(float(np.mean(again.batch_of(0).documents_BT < 0)))


MILLION = """
import sys
from pathlib import Path
from cogitate.tasks.files.datasets import each_conversation
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.conversations import pack_conversations

model, data = map(Path, sys.argv[1:])
form = ConversationForm.load(model, Tokenizer.load(model))
rows = pack_conversations(
    each_conversation(data), form, row_tokens=512, longest=512, rows_per_step=32, epochs=2, shuffled_by=(0, "sft")
)
last = rows.batch_of(rows.steps - 1)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(rows.examples, int(peak.split()[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_million_conversations_of_a_file_take_less_than_a_gigabyte(form: ConversationForm, tmp_path: Path) -> None:
    """The whole process with PyTorch, which takes 300 MiB itself."""
    form.tokenizer.save(tmp_path)
    with (tmp_path / "data.jsonl").open("w", encoding="utf-8") as handle:
        for number in range(1_000_000):
            handle.write(json.dumps({"prompt": f"one two? {number}", "completion": "two " * (1 + number % 40)}) + "\n")
    words = [sys.executable, "-c", MILLION, str(tmp_path), str(tmp_path / "data.jsonl")]
    environment = {**os.environ, "PYTHONPATH": python_path()}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    examples, mebibytes = map(int, done.stdout.split())
    assert examples == 1_000_000
    assert mebibytes < 1000

"""Attention to the blocks of a cache, in the form that copies them, against sums in float64 over each row's own tokens."""

import importlib.util
import logging

import pytest
import torch

from cogitate.model.paged import reads
from cogitate.model.paged.reads import Copied, InPlace, make_reader
from tests.model.paged.cases import SHAPES, Case, case


def copied(given: Case) -> Copied:
    heads = given.q_NTHK.shape[2]
    return Copied(given.slots, (None, given.window), given.cut.kv_heads, heads, given.q_NTHK.dtype)


@pytest.mark.parametrize("window", [None, 1, 20])
@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_copied_blocks_are_attended_to_as_the_tokens_of_each_row(shape: str, tokens: int, window: int | None) -> None:
    given = case(shape, tokens, window)
    arguments = (given.q_NTHK, given.entries, given.cut, given.window, given.scale)
    made = copied(given).attend(*arguments)
    assert torch.allclose(made.double(), given.expected, atol=1e-5)
    assert torch.equal(InPlace(given.slots).attend(*arguments), made), "on a CPU the operation has this form"


def test_reads_in_place_are_chosen_where_there_is_triton_and_their_absence_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slots = case("one head").slots
    assert isinstance(make_reader(slots, (None,), 1, 1, torch.float32), Copied)
    monkeypatch.setitem(reads.IN_PLACE, "cpu", reads.has_triton)
    reads.has_triton.cache_clear()
    for there, form in ((None, Copied), ("found", InPlace)):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, there=there: there)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                assert isinstance(make_reader(slots, (None,), 1, 1, torch.float32), form)
        reads.has_triton.cache_clear()
    assert [record.message.split(":")[0] for record in caplog.records] == ["no Triton"]

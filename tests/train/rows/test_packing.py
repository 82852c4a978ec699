"""Packing and length batches: arrangements worked by hand, nothing lost, determinism and speed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogitate.errors import ConfigError, DataError
from cogitate.train.rows.packing import best_fit_rows, length_batches, pack_documents
from tests.processor_time import cheapest


def test_best_fit_puts_each_document_into_the_fullest_row_that_holds_it() -> None:
    # longest first: 7 opens row 0 (3 free), 6 opens row 1 (4 free), 4 fits row 1 exactly, 3 fits row 0 exactly
    assert best_fit_rows([4, 7, 3, 6], 10) == [[1, 2], [3, 0]]


def test_best_fit_prefers_the_tighter_row() -> None:
    # rows after 8, 7: free 2 and 3; the document of 2 goes where 2 are free, the one of 3 where 3 are
    assert best_fit_rows([2, 3, 8, 7], 10) == [[2, 0], [3, 1]]


def test_equal_lengths_keep_their_order() -> None:
    assert best_fit_rows([5, 5, 5, 5], 10) == [[0, 1], [2, 3]]


def test_packed_rows_by_hand() -> None:
    packed = pack_documents([[11, 12], [21, 22, 23]], [[0, 1], [0, 0, 1]], 6, pad_id=99)
    assert packed.tokens_BT.tolist() == [[21, 22, 23, 11, 12, 99]]
    assert packed.documents_BT.tolist() == [[0, 0, 0, 1, 1, -1]]
    assert packed.positions_BT.tolist() == [[0, 1, 2, 0, 1, 0]]
    assert packed.loss_mask_BT.tolist() == [[False, False, True, False, True, False]]
    assert packed.padding_share == pytest.approx(1 / 6)


def test_without_masks_every_token_but_padding_counts() -> None:
    packed = pack_documents([[1, 2], [3]], None, 4, pad_id=0)
    assert packed.loss_mask_BT.tolist() == [[True, True, True, False]]


@settings(deadline=None, max_examples=80)
@given(lengths=st.lists(st.integers(1, 30), max_size=60), row_tokens=st.integers(30, 50))
def test_packing_loses_and_changes_no_document(lengths: list[int], row_tokens: int) -> None:
    numbers = iter(range(1, 10_000))
    documents = [[next(numbers) for _ in range(length)] for length in lengths]
    packed = pack_documents(documents, None, row_tokens, pad_id=0)
    found = []
    for tokens, numbering, positions in zip(packed.tokens_BT, packed.documents_BT, packed.positions_BT, strict=True):
        for number in range(numbering.max() + 1):
            found.append(tokens[numbering == number].tolist())
            assert positions[numbering == number].tolist() == list(range(len(found[-1])))
    assert sorted(found) == sorted(documents)
    assert packed.padding_share == pytest.approx(1 - sum(lengths) / max(1, packed.tokens_BT.size) if lengths else 0.0)
    # best fit never leaves two rows that would fit into one
    used = sorted((packed.documents_BT >= 0).sum(1).tolist())
    assert len(used) < 2 or used[0] + used[1] > row_tokens


@settings(deadline=None, max_examples=80)
@given(lengths=st.lists(st.integers(1, 30), max_size=60), budget=st.integers(30, 200))
def test_length_batches_keep_the_budget_and_lose_no_sequence(lengths: list[int], budget: int) -> None:
    result = length_batches(lengths, budget)
    assert sorted(index for batch in result.batches for index in batch) == list(range(len(lengths)))
    padded = 0
    for batch in result.batches:
        padded += len(batch) * max(lengths[i] for i in batch)
        assert len(batch) * max(lengths[i] for i in batch) <= budget
    in_order = [lengths[index] for batch in result.batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)
    assert result.padding_share == pytest.approx(1 - sum(lengths) / padded if padded else 0.0)


def test_length_batches_by_hand() -> None:
    # 8 alone would leave room for one of its width (2 x 8 = 16); then width 3: five rows fit 16
    result = length_batches([3, 8, 2, 7, 3], 16)
    assert result.batches == ((1, 3), (0, 4, 2))
    assert result.padding_share == pytest.approx(1 - 23 / (16 + 9))


def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="document 1 has 9 tokens, a row 8"):
        best_fit_rows([3, 9], 8)
    with pytest.raises(ConfigError, match="a sequence of 9 tokens does not fit a micro-batch of 8"):
        length_batches([3, 9], 8)
    with pytest.raises(DataError, match="sequence 1 is empty"):
        best_fit_rows([3, 0], 8)
    with pytest.raises(DataError, match="document 0 has 2 tokens but its loss mask 1"):
        pack_documents([[1, 2]], [[1]], 8, pad_id=0)
    with pytest.raises(DataError, match="1 documents but 2 loss masks"):
        pack_documents([[1, 2]], [[1, 1], [1]], 8, pad_id=0)


def test_nothing_packs_into_nothing() -> None:
    packed = pack_documents([], None, 8, pad_id=0)
    assert packed.tokens_BT.shape == (0, 8)
    assert packed.padding_share == 0.0
    assert length_batches([], 8).batches == ()


def test_a_hundred_thousand_documents_pack_in_seconds_and_tightly() -> None:
    lengths = np.minimum(2000, np.random.default_rng(0).lognormal(5.0, 1.0, 100_000).astype(int) + 1)
    packed: list[list[list[int]]] = []
    assert cheapest(lambda go: packed.append(best_fit_rows(lengths, 4096)), enough=10) < 10
    rows = packed[0]
    assert sorted(index for row in rows for index in row) == list(range(100_000))
    assert len(rows) <= 1.01 * -(-lengths.sum() // 4096)
    assert rows == best_fit_rows(lengths, 4096)

"""Documents on disk make the rows that documents in memory make, in memory of their number alone."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cogitate.errors import DataError
from cogitate.train.rows.packing import pack_documents
from cogitate.train.rows.stored import StoredDocuments


def test_rows_of_stored_documents_are_those_of_documents_in_memory(tmp_path: Path) -> None:
    rng = random.Random(0)
    documents = [[rng.randrange(2**18) for _ in range(rng.randint(1, 40))] for _ in range(60)]
    prompts = [rng.randrange(len(document)) for document in documents]
    stored = StoredDocuments(tmp_path)
    for document, prompt in zip(documents, prompts, strict=True):
        stored.add(document, prompt)
    masks = [[0] * prompt + [1] * (len(document) - prompt) for document, prompt in zip(documents, prompts, strict=True)]
    expected = pack_documents(documents, masks, 48, pad_id=7)
    rows = stored.best_fit_rows(48)
    found = stored.fill_rows(rows, 48, pad_id=7)
    for name in ("tokens_BT", "loss_mask_BT", "documents_BT", "positions_BT"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert found.padding_share == expected.padding_share
    assert stored.learnt_tokens == int(expected.loss_mask_BT.sum())
    some = stored.fill_rows([rows[3], rows[1]], 48, pad_id=7)
    assert np.array_equal(some.tokens_BT, expected.tokens_BT[[3, 1]])
    assert list(tmp_path.iterdir()) == []  # the file goes with the process


def test_a_document_that_fits_no_row_is_named() -> None:
    stored = StoredDocuments()
    stored.add([1, 2, 3], 1)
    with pytest.raises(DataError, match="document 0 has 3 tokens, a row 2"):
        stored.best_fit_rows(2)


def test_memory_grows_by_some_bytes_for_a_document_however_long_it_is() -> None:
    documents, tokens = 3000, list(range(400))
    tracemalloc.start()
    stored = StoredDocuments()
    for _ in range(documents):
        stored.add(tokens, 10)
    rows = stored.best_fit_rows(500)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(rows) == documents
    assert held < 250 * documents

"""Documents that stay on disk: what is in memory of each is where it stands and how much of it is a prompt."""

from __future__ import annotations

import os
import weakref
from array import array
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from cogitate.train.rows.packing import best_fit_rows, fill_rows
from cogitate.types import PackedRows

TOKEN = np.dtype("<u4")


class StoredDocuments:
    """Documents, each a prompt and a completion, in a file that goes with this object or its process.

    Args:
        directory: where there is room for 4 bytes a token; None: the system's place for temporary files.
    """

    def __init__(self, directory: Path | None = None):
        self._file = TemporaryFile(dir=directory)  # noqa: SIM115 - it is read for as long as this object lives
        weakref.finalize(self, self._file.close)
        self._starts, self._prompts = array("q", [0]), array("q")

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def tokens(self) -> int:
        return self._starts[-1]

    @property
    def learnt_tokens(self) -> int:
        """Those of completions."""
        return self.tokens - sum(self._prompts)

    def add(self, token_ids: Sequence[int], prompt: int) -> None:
        """Args:
        prompt: how many of the tokens are its prompt, which is not learnt.
        """
        self._file.write(np.asarray(token_ids, TOKEN).tobytes())
        self._starts.append(self._starts[-1] + len(token_ids))
        self._prompts.append(prompt)

    def best_fit_rows(self, row_tokens: int) -> list[list[int]]:
        """As packing.py's."""
        return best_fit_rows(np.diff(np.asarray(self._starts)), row_tokens)  # type: ignore[arg-type]

    def fill_rows(self, rows: Sequence[Sequence[int]], row_tokens: int, *, pad_id: int) -> PackedRows:
        """As packing.py's, of these documents."""
        self._file.flush()
        return fill_rows(rows, self._document, row_tokens, pad_id=pad_id)

    def _document(self, index: int) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
        start, stop = self._starts[index], self._starts[index + 1]
        size = TOKEN.itemsize
        content = os.pread(self._file.fileno(), (stop - start) * size, start * size)
        return np.frombuffer(content, TOKEN), np.arange(stop - start) >= self._prompts[index]

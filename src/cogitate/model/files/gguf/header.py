"""What a GGUF file says it holds: its keys, and where each tensor lies.

Nothing in a file is believed: each count, length, offset and dimension is checked against the bytes that are there before
anything of that size is made, so that a damaged file costs a line and hardly any memory. Numbers and texts stay in the mapped
file until somebody reads them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from cogitate.errors import CheckpointError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32  # of tensors, where general.alignment does not say otherwise
MOST_ENTRIES = 1 << 16  # keys, or tensors: a hundred times as many as any model has
MOST_DIMENSIONS = 4
MOST_LETTERS = 128  # of the name of a key or tensor
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as it lies in the file.

    Attributes:
        kind: its number among ggml's types.
        shape: in the usual order; GGUF lists dimensions reversed.
        data: uint8 (rows, bytes of a row), in the mapped file.
    """

    name: str
    kind: int
    shape: tuple[int, ...]
    data: np.ndarray


class StoredTexts(Sequence[str]):
    """An array of texts, decoded when they are read."""

    def __init__(self, data: np.ndarray, start: int, count: int, key: str):
        self._data, self._start, self._count, self._key = data, start, count, key

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        cursor = _Cursor(self._data, self._start)
        for _ in range(self._count):
            yield cursor.text(self._key)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return list(self)[index]


def read_header(file: Path) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    """The keys and the tensors of a file.

    Values are Python's numbers, texts and flags; arrays are NumPy arrays of numbers, or StoredTexts.

    Raises:
        CheckpointError: the file is not there, the gguf package is not, or the file contradicts itself.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file")
    if not file.stat().st_size:
        raise CheckpointError(f"{file}: not a whole GGUF file: it is empty")
    try:
        data = np.memmap(file, dtype=np.uint8, mode="r")
        return _read(data, _sizes(file))
    except (ValueError, OSError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{file}: not a whole GGUF file: {error}") from error


def _sizes(file: Path) -> dict[int, tuple[int, int]]:
    """For each of ggml's types the numbers of a block and its bytes."""
    try:
        import gguf
    except ImportError as error:
        raise CheckpointError(f"{file}: reading GGUF needs the gguf package: pip install 'cogitate[gguf]'") from error
    return {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}


def _read(data: np.ndarray, sizes: dict[int, tuple[int, int]]) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    cursor = _Cursor(data, 0)
    if bytes(data[:4]) != MAGIC:
        raise ValueError(f"it begins with {bytes(data[:4])!r} instead of {MAGIC!r}")
    cursor.skip(4, "the magic number")
    version = cursor.number("I", "the version")
    if version not in VERSIONS:
        big_endian = " (written for a big-endian machine)" if not version & 0xFFFF else ""
        raise ValueError(f"version {version}{big_endian}: read are {' and '.join(map(str, VERSIONS))}")
    tensor_count, key_count = cursor.number("Q", "the number of tensors"), cursor.number("Q", "the number of keys")
    for what, count in (("tensors", tensor_count), ("keys", key_count)):
        if count > MOST_ENTRIES:
            raise ValueError(f"it claims {count} {what}, at most {MOST_ENTRIES} are read")
    fields: dict[str, Any] = {}
    for _ in range(key_count):
        key = cursor.name("a key")
        if key in fields:
            raise ValueError(f"key {key} stands twice")
        fields[key] = cursor.value(cursor.number("I", f"the type of {key}"), key)
    places = [_place(cursor) for _ in range(tensor_count)]
    return fields, _tensors(data, cursor.at, places, _alignment(fields), sizes)


def _alignment(fields: dict[str, Any]) -> int:
    alignment = fields.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"general.alignment = {alignment}: must be a power of two")
    return alignment


Place = tuple[str, tuple[int, ...], int, int]  # name, shape, type, offset


def _place(cursor: _Cursor) -> Place:
    name = cursor.name("a tensor's name")
    count = cursor.number("I", f"the number of dimensions of {name}")
    if not 1 <= count <= MOST_DIMENSIONS:
        raise ValueError(f"tensor {name} has {count} dimensions, 1 to {MOST_DIMENSIONS} are possible")
    dimensions = [cursor.number("Q", f"a dimension of {name}") for _ in range(count)]
    kind, offset = cursor.number("I", f"the type of {name}"), cursor.number("Q", f"the offset of {name}")
    return name, tuple(reversed(dimensions)), kind, offset


def _tensors(
    data: np.ndarray, header_end: int, places: list[Place], alignment: int, sizes: dict[int, tuple[int, int]]
) -> dict[str, StoredTensor]:
    """One after another in the order of the list, each at a multiple of `alignment`, as llama.cpp demands it."""
    start, expected = _rounded_up(header_end, alignment), 0
    tensors: dict[str, StoredTensor] = {}
    for name, shape, kind, offset in places:
        if name in tensors:
            raise ValueError(f"tensor {name} stands twice")
        if kind not in sizes:
            raise ValueError(f"tensor {name} is stored as type {kind}, which is unknown")
        block, block_bytes = sizes[kind]
        if min(shape) < 1 or shape[-1] % block:
            raise ValueError(f"tensor {name} has shape {list(shape)}; its type has rows of whole blocks of {block}")
        rows, row_bytes = math.prod(shape[:-1]), shape[-1] // block * block_bytes
        if offset != expected:
            raise ValueError(f"tensor {name} lies at {offset}, it must follow the one before it at {expected}")
        end = start + offset + rows * row_bytes
        if end > len(data):
            raise ValueError(f"tensor {name} of shape {list(shape)} ends at byte {end}, the file has {len(data)}")
        tensors[name] = StoredTensor(name, kind, shape, data[start + offset : end].reshape(rows, row_bytes))
        expected = _rounded_up(offset + rows * row_bytes, alignment)
    return tensors


def _rounded_up(number: int, alignment: int) -> int:
    return -(-number // alignment) * alignment


class _Cursor:
    """Reads little-endian values one after another. Raises ValueError where the file ends before they do."""

    def __init__(self, data: np.ndarray, at: int):
        self._data, self._bytes, self.at = data, data.data, at

    def skip(self, size: int, what: str) -> int:
        """Where these bytes begin."""
        begin = self.at
        if size > len(self._data) - begin:
            raise ValueError(f"{what} at byte {begin} needs {size} bytes, {len(self._data) - begin} are left")
        self.at = begin + size
        return begin

    def number(self, code: str, what: str) -> Any:
        return struct.unpack_from(f"<{code}", self._bytes, self.skip(struct.calcsize(f"<{code}"), what))[0]

    def text(self, what: str) -> str:
        size = self.number("Q", f"the length of {what}")
        begin = self.skip(size, what)
        try:
            return str(self._bytes[begin : begin + size], "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{what} at byte {begin} is no UTF-8") from error

    def name(self, what: str) -> str:
        """A text that messages may show."""
        name = self.text(what)
        if not name.isprintable() or len(name) > MOST_LETTERS:
            raise ValueError(f"{what} is {name[:MOST_LETTERS]!r}: at most {MOST_LETTERS} letters that can be printed are read")
        return name

    def value(self, kind: int, key: str) -> Any:
        if kind in SCALARS:
            return self.number(SCALARS[kind], key)
        if kind == TEXT:
            return self.text(key)
        if kind != ARRAY:
            raise ValueError(f"{key} has type {kind}, which is unknown")
        of, count = self.number("I", f"the type of {key}"), self.number("Q", f"the length of {key}")
        if of in SCALARS:
            dtype = np.dtype(SCALARS[of]).newbyteorder("<")
            begin = self.skip(count * dtype.itemsize, key)
            return self._data[begin : self.at].view(dtype)
        if of != TEXT:
            raise ValueError(f"{key} is an array of type {of}: only arrays of numbers and texts are read")
        texts = StoredTexts(self._data, self.at, count, key)
        for _ in range(count):
            self.skip(self.number("Q", f"the length of a text of {key}"), f"a text of {key}")
        return texts

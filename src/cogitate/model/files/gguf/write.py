"""A GGUF file written: the header that `header.py` reads, then the tensors, each at a multiple of 32 bytes.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cogitate.model.files.gguf.header import ALIGNMENT, ARRAY, MAGIC, TEXT
from cogitate.model.files.gguf.quantise import StoredType
from cogitate.runtime import atomic_write

VERSION = 3
UINT32, INT32, FLOAT32, BOOL = 4, 5, 6, 7


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor as the header lists it; `shape` in the usual order, which GGUF reverses."""

    name: str
    shape: tuple[int, ...]
    stored_type: StoredType

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape[:-1]) * self.stored_type.row_bytes(self.shape[-1])


def write_file(file: Path, fields: Mapping[str, Any], entries: Sequence[TensorEntry], data: Iterable[np.ndarray]) -> None:
    """Write a file, atomically and without a trace of one that fails; equal arguments give equal bytes.

    Args:
        fields: whole numbers are written as uint32, reals as float32, arrays of whole numbers as int32; lists hold texts.
        data: the bytes of each entry, in order; they are taken one at a time, so that one tensor is in memory.
    """
    with atomic_write(file) as temporary:
        try:
            with temporary.open("wb") as out:
                write_header(out, fields, entries)
                for entry, tensor in zip(entries, data, strict=True):
                    assert tensor.nbytes == entry.size, (entry, tensor.nbytes)
                    out.write(tensor.data)
                    out.write(bytes(-out.tell() % ALIGNMENT))
        except BaseException:  # a weight that cannot be stored, a full disk, Ctrl-C: gigabytes must not stay
            temporary.unlink()
            raise


def write_header(out: BinaryIO, fields: Mapping[str, Any], entries: Sequence[TensorEntry]) -> None:
    """Keys, then names, shapes, types and places of the tensors, then zeros up to the first of them."""
    out.write(MAGIC + struct.pack("<IQQ", VERSION, len(entries), len(fields)))
    for key, value in fields.items():
        out.write(text(key) + typed(value))
    for entry, offset in zip(entries, offsets(entries), strict=True):
        dimensions = struct.pack(f"<{len(entry.shape)}Q", *reversed(entry.shape))
        out.write(text(entry.name) + struct.pack("<I", len(entry.shape)) + dimensions)
        out.write(struct.pack("<IQ", entry.stored_type, offset))
    out.write(bytes(-out.tell() % ALIGNMENT))


def offsets(entries: Sequence[TensorEntry]) -> Iterator[int]:
    """Where each tensor begins, from the end of the padded header."""
    at = 0
    for entry in entries:
        yield at
        at += -(-entry.size // ALIGNMENT) * ALIGNMENT


def typed(value: Any) -> bytes:
    """The number of a value's type, and the value."""
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + text(value)
    if isinstance(value, np.ndarray):
        return struct.pack("<IIQ", ARRAY, INT32, len(value)) + value.astype("<i4").tobytes()
    assert isinstance(value, list), value
    return struct.pack("<IIQ", ARRAY, TEXT, len(value)) + b"".join(text(item) for item in value)


def text(string: str) -> bytes:
    """Its length in bytes, and its UTF-8."""
    encoded = string.encode("utf-8")
    return struct.pack("<Q", len(encoded)) + encoded

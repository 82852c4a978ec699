"""The bytes of a small file, worked by hand from the format's description."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from cogitate.model.files.gguf.header import read_header
from cogitate.model.files.gguf.quantise import StoredType, encode
from cogitate.model.files.gguf.write import TensorEntry, write_file


def test_a_small_file_byte_by_byte(tmp_path: Path) -> None:
    """Magic, version 3, counts; key, type, value; name, dimensions reversed, type, offset; zeros up to a multiple of 32."""
    values = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    write_file(tmp_path / "m.gguf", {"a": 7}, [TensorEntry("t", (1, 3), StoredType.F16)], [encode(values, StoredType.F16)])
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, 1)
    header += struct.pack("<Q", 1) + b"a" + struct.pack("<II", 4, 7)
    header += struct.pack("<Q", 1) + b"t" + struct.pack("<IQQIQ", 2, 3, 1, 1, 0)
    expected = header.ljust(96, b"\0") + struct.pack("<3e", 1, 2, 3).ljust(32, b"\0")
    assert (tmp_path / "m.gguf").read_bytes() == expected


def test_every_kind_of_value_and_each_tensors_place_are_read_again(tmp_path: Path) -> None:
    fields = {"flag": True, "whole": 5, "real": 0.5, "text": "né", "list": ["a", "", "猫"], "numbers": np.array([3, -1])}
    entries = [TensorEntry("one", (3,), StoredType.F32), TensorEntry("two", (2, 32), StoredType.Q8_0)]
    values = [np.arange(3, dtype=np.float32), np.arange(64, dtype=np.float32).reshape(2, 32)]
    data = [encode(value, entry.stored_type) for value, entry in zip(values, entries, strict=True)]
    write_file(tmp_path / "m.gguf", fields, entries, iter(data))
    read, tensors = read_header(tmp_path / "m.gguf")
    assert {**read, "list": list(read["list"]), "numbers": read["numbers"].tolist()} == {**fields, "numbers": [3, -1]}
    for entry, stored in zip(entries, data, strict=True):
        assert tensors[entry.name].shape == entry.shape
        assert np.array_equal(tensors[entry.name].data, stored)

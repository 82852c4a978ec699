"""What crosses between the driver and a trainer: JSON and arrays, nothing that could be code."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from safetensors.numpy import load, save

LENGTHS = struct.Struct("<QQ")  # of the JSON and of the arrays, in bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        said: JSON.
        arrays: by name; safetensors holds them.
    """

    said: Any
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        said = json.dumps(self.said, ensure_ascii=False).encode()
        arrays = save({name: np.ascontiguousarray(array) for name, array in self.arrays.items()}) if self.arrays else b""
        return LENGTHS.pack(len(said), len(arrays)) + said + arrays


def read_frame(stream: BinaryIO) -> Frame | None:
    """The next message; None where the other side has closed."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    said, arrays = (stream.read(length) for length in LENGTHS.unpack(lengths))
    try:
        return Frame(json.loads(said), load(arrays) if arrays else {})
    except ValueError:  # it ended in the middle
        return None

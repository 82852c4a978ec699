"""The keys of a GGUF file, each read as the type it must have; and those that nobody has read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.header import StoredTexts

# They describe the file and change nothing of the model. quantize.imatrix.*: how the quantiser weighed its errors.
DESCRIPTIVE = ("general.", "quantize.")


class Keys:
    """Raises CheckpointError for a key that is missing or has another type; the message names both."""

    def __init__(self, values: dict[str, Any], file: Path):
        self._values, self.file = values, file
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def integer(self, key: str, default: int | None = None) -> int | None:
        """A whole number; a list of one for each layer where all are equal."""
        value = self._value(key)
        if isinstance(value, np.ndarray) and len(value) and np.issubdtype(value.dtype, np.integer):
            if (value != value[0]).any():
                raise self.error(key, "differs between layers: not supported")
            value = int(value[0])
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, "must be a whole number")
        return value

    def needed_integer(self, key: str) -> int:
        value = self.integer(key)
        if value is None:
            raise CheckpointError(f"{self.file}: {key} is missing")
        return value

    def real(self, key: str, default: float | None = None) -> float | None:
        """A finite number, in as few digits as its float32 has: 9.999999747378752e-06 was written as 1e-05."""
        value = self._value(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.error(key, "must be a number")
        return float(f"{value:.7g}")

    def text(self, key: str, default: str | None = None) -> str | None:
        value = self._value(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(key, "must be a text")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._value(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def texts(self, key: str) -> list[str]:
        """Empty where the key is not there."""
        value = self._value(key)
        if value is None:
            return []
        if not isinstance(value, StoredTexts):
            raise self.error(key, "must be a list of texts")
        try:
            return list(value)
        except ValueError as error:
            raise CheckpointError(f"{self.file}: {error}") from error

    def numbers(self, key: str) -> list[Any]:
        """Empty where the key is not there."""
        value = self._value(key)
        if value is None:
            return []
        if not isinstance(value, np.ndarray):
            raise self.error(key, "must be a list of numbers")
        return list(value.tolist())

    def without_effect(self, *keys: str) -> None:
        """Count these as read: they say nothing here."""
        self._read.update(keys)

    def unread(self) -> list[str]:
        """Keys that nobody has asked for, without those that only describe the file."""
        return sorted(key for key in self._values.keys() - self._read if not key.startswith(DESCRIPTIVE))

    def error(self, key: str, what: str) -> CheckpointError:
        shown = repr(self._values[key])
        return CheckpointError(f"{self.file}: {key} = {shown if len(shown) < 60 else shown[:60] + ' ...'}: {what}")

    def _value(self, key: str) -> Any:
        self._read.add(key)
        return self._values.get(key)

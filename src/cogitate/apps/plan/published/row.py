"""Row: a published row as figures to predict, and how fields of a row are read."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.models import find_shape
from cogitate.costs.factors import Factors
from cogitate.costs.hardware import GIB, Gpu
from cogitate.costs.memory import Memory
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError, DataError

UNKNOWN_MODEL, MEMORY_OF_UNKNOWN_MODEL = 0.3, 0.15  # deviations where another model of the same size is taken
PUBLISHED_AS = {  # field -> figure, and its unit
    "step_seconds": ("step_time", 1.0),
    "peak_memory_gb_per_gpu": ("memory", 1e9),
    "peak_memory_gib_per_gpu": ("memory", GIB),
}


SAME = 0.01  # what two fields of one figure may differ by


@dataclass(frozen=True, slots=True)
class Row:
    """A published row as figures to predict.

    Attributes:
        figures: name of a figure (memory in bytes, step_time or whole_run in seconds or GPU hours) -> its formula.
        published: the same names -> what was published.
        fits: whether it ran, where the row says so; capacity: bytes of one accelerator.
        cannot: why it would not run whatever memory there is; "" where nothing stands against it.
        further: deviation of the logarithm of times from guesses that the row left open; further_memory: of memory.
        notes: those guesses.
        memory: its terms, where they are known.
    """

    id: str
    what: str
    figures: Mapping[str, Callable[[Factors], float]]
    published: Mapping[str, float]
    fits: bool | None = None
    capacity: float = 0.0
    cannot: str = ""
    further: float = 0.0
    further_memory: float = 0.0
    notes: tuple[str, ...] = ()
    memory: Callable[[Factors], Memory] | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether factors may be fitted on it: rows whose hash is even, and never whole runs."""
        return self.what != "whole run" and int(hashlib.sha256(self.id.encode()).hexdigest(), 16) % 2 == 0


@dataclass(frozen=True, slots=True)
class Guesses:
    """What a row left open and was guessed."""

    notes: list[str] = field(default_factory=list)
    further: list[float] = field(default_factory=list)

    def add(self, note: str, deviation: float = 0.0) -> None:
        self.notes.append(note)
        self.further.append(deviation)

    @property
    def deviation(self) -> float:
        return math.hypot(*self.further)


def number(row: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """A number of a row above 0. Raises DataError where it is missing or is none."""
    value = row.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise DataError(f"{key} = {value!r}: give a number above 0" if key in row else f"{key} is missing")
    return float(value)


def whole(row: Mapping[str, Any], key: str, default: int | None = None, *, least: int = 1) -> int:
    """A whole number of a row. Raises DataError where it is missing or is none, or is below the least."""
    value = row.get(key)
    if value is None and default is not None:
        return default
    if least == 0 and value == 0 and not isinstance(value, bool):
        return 0
    found = number(row, key)
    if found != int(found):
        raise DataError(f"{key} = {value!r}: give a whole number")
    return int(found)


def shape_of_row(row: Mapping[str, Any]) -> tuple[Shape, str]:
    """The shape of a row's model, and a note where it is a guess. Raises DataError where there is none."""
    try:
        return find_shape(str(row["model"]))
    except ConfigError as error:
        raise DataError(str(error)) from error  # names the field


def gpu_of_row(row: Mapping[str, Any], hardware: Hardware) -> Gpu:
    """A row's accelerator. Raises DataError where it is unknown."""
    try:
        return hardware.find(str(row["gpu"]))
    except ConfigError as error:
        raise DataError(f"gpu: {error}") from error


def fits_of(row: Mapping[str, Any]) -> bool | None:
    """Whether a row ran, None where it does not say so. Raises DataError where it says neither."""
    value = row.get("fits")
    if value is not None and not isinstance(value, bool):
        raise DataError(f"fits = {value!r}: give true or false")
    return value


def given(row: Mapping[str, Any], fields: Mapping[str, tuple[str, float]]) -> dict[str, float]:
    """What was published: figure -> number in its unit. What failed has none, or zeros.

    Raises:
        DataError: a number is none, or two say different things.
    """
    found: dict[str, float] = {}
    for key, (figure, unit) in fields.items():
        if row.get(key) is None or (row.get("fits") is False and row[key] == 0):
            continue
        value = number(row, key) * unit
        if figure in found and abs(found[figure] / value - 1) > SAME:
            raise DataError(f"{key} = {row[key]!r}: another field of {figure} says otherwise; leave one of them out")
        found[figure] = value
    return found


def by_throughput(row: Mapping[str, Any], published: dict[str, float], key: str, tokens: float) -> Iterator[str]:
    """Add, in place, the time of a step that follows from a throughput where a row gives no other; a note on it."""
    if "step_time" not in published and row.get(key) is not None:
        published["step_time"] = tokens / number(row, key)
        yield f"step_seconds not given: by {key}"


def nothing_published(published: Mapping[str, float], fits: bool | None) -> Iterator[str]:
    """A note on a row that can be predicted, and compared with nothing."""
    if not published and fits is None:
        yield f"nothing to compare with: none of {', '.join(PUBLISHED_AS)}, fits"

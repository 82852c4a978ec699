"""A further section of an experiment's page, of its own kind: what is found beyond measures and claims."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from cogitate.apps.experiment.definition import ANALYSES
from cogitate.apps.experiment.results import Results


@dataclass(frozen=True, slots=True)
class Analysis:
    """
    Attributes:
        html: of the section, without its heading; "" where nothing can be said yet.
        content: the same numbers, JSON-ready.
        lines: what it says in plain words, a sentence each.
    """

    title: str
    html: str
    content: Mapping[str, Any]
    lines: Sequence[str] = ()


class Analysing(Protocol):
    """What the file of an analysis offers."""

    def analyse(self, results: Results, /) -> Analysis:
        """From as many runs as are finished."""


def analyse(results: Results) -> Analysis | None:
    """What the experiment's `analysis` finds; None where it names none."""
    name = results.experiment.config.analysis
    return cast(Analysing, importlib.import_module(ANALYSES[name])).analyse(results) if name else None

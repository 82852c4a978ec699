"""What the report knows of stages by their names alone: those of all graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.config import FineTuneConfig, Section, StudentBaseConfig, ZeroRLConfig
from cogitate.recipe.recipe import GRAPHS
from cogitate.recipe.stage import Stage, line_of

STAGES: dict[str, Stage] = {}  # by name; of a name that several graphs have, the first graph's
LINES: dict[str, list[Stage]] = {}  # from a stage's model back to the first one
for _graph in GRAPHS.values():
    for _stage in _graph:
        if _stage.name not in STAGES:
            STAGES[_stage.name], LINES[_stage.name] = _stage, line_of(_graph, _stage.name)
WAYS: dict[type[Section], str] = {
    StudentBaseConfig: "Base",
    ZeroRLConfig: "RL alone",
    FineTuneConfig: "Distilled from R1's data",
}


def graph_of(settings: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The stages of a run's recipe, without evaluations; () where they are not known."""
    return GRAPHS.get(str(settings.get("graph")), ())


def is_fine_tuning(name: str) -> bool:
    """Whether a stage learns from conversations."""
    return name in STAGES and STAGES[name].has(FineTuneConfig)


def is_student(name: str) -> bool:
    """Whether a model is beside the line from base to R1."""
    return any(stage.has(StudentBaseConfig) for stage in LINES.get(name, ()))


def students() -> dict[str, dict[str, str]]:
    """The models of each student's base: {base: {how it was made: model}}."""
    found: dict[str, dict[str, str]] = {}
    for name, line in LINES.items():
        if is_student(name):
            base = next(stage.name for stage in line if stage.has(StudentBaseConfig))
            found.setdefault(base, {}).update({way: name for kind, way in WAYS.items() if STAGES[name].has(kind)})
    return found


def student_title(base: str) -> str:
    """A student's base in one word: "Llama" of "Student base (Llama)"."""
    title = STAGES[base].title
    return title.partition("(")[2].rstrip(")") or title

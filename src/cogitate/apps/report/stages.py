"""What the report knows of stages: from the graphs of its runs, and of names that these do not have from all shipped graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cogitate.config import FineTuneConfig, Section, StudentBaseConfig, ZeroRLConfig
from cogitate.recipe.recipe import GRAPHS
from cogitate.recipe.stage import Stage, line_of

WAYS: dict[type[Section], str] = {
    StudentBaseConfig: "Base",
    ZeroRLConfig: "RL alone",
    FineTuneConfig: "Distilled from R1's data",
}


class HasGraph(Protocol):
    """A run: its graph is () where it is not known."""

    @property
    def graph(self) -> Sequence[Stage]: ...


Runs = Sequence[HasGraph]


def graphs_of(runs: Runs) -> list[Sequence[Stage]]:
    """The graphs that a name is looked for in, one after the other."""
    return [*(run.graph for run in runs), *GRAPHS.values()]


def find_stage(name: str, runs: Runs = ()) -> Stage | None:
    """The stage of this name in the first graph that has it."""
    return next((stage for graph in graphs_of(runs) for stage in graph if stage.name == name), None)


def title_of(name: str, runs: Runs = ()) -> str:
    """The title of a stage, or of the shipped one of the same name and kind; "" where there is none."""
    stage, shipped = find_stage(name, runs), find_stage(name)
    if stage is None:
        return ""
    return stage.title or (shipped.title if shipped and shipped.kind == stage.kind else "")


def line_to(name: str, runs: Runs = ()) -> list[Stage]:
    """From a stage's model back to the first one; [] of an unknown stage."""
    return next((line_of(graph, name) for graph in graphs_of(runs) if any(stage.name == name for stage in graph)), [])


def is_fine_tuning(name: str, runs: Runs = ()) -> bool:
    """Whether a stage learns from conversations."""
    stage = find_stage(name, runs)
    return stage is not None and stage.has(FineTuneConfig)


def is_student(name: str, runs: Runs = ()) -> bool:
    """Whether a model is beside the line from base to R1."""
    return any(stage.has(StudentBaseConfig) for stage in line_to(name, runs))


def students(runs: Runs = ()) -> dict[str, dict[str, str]]:
    """The models of each student's base: {base: {how it was made: model}}."""
    found: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(stage.name for graph in graphs_of(runs) for stage in graph):
        line = line_to(name, runs)
        base = next((stage.name for stage in line if stage.has(StudentBaseConfig)), None)
        if base is not None:
            ways = found.setdefault(base, {})
            for kind, way in WAYS.items():
                if line[0].has(kind):
                    ways.setdefault(way, name)
    return found


def student_title(base: str, runs: Runs = ()) -> str:
    """A student's base in one word: "Llama" of "Student base (Llama)"."""
    title = title_of(base, runs) or base
    return title.partition("(")[2].rstrip(")") or title

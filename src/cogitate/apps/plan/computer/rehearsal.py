"""A recipe in small, run on this computer: what a stage takes beside its tokens (its start, grading, small batches) and how
large a process grows from stage to stage cannot be seen from single steps."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cogitate.apps.plan.measured import read_measured
from cogitate.apps.plan.work import StageWork
from cogitate.apps.plan.workloads.works import works_of
from cogitate.config import Config
from cogitate.costs.factors import Estimate
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.run_directory.planned import PlannedStage, compared_stage
from cogitate.recipe.run_directory.store import is_shipped_copy
from cogitate.recipe.settings import load_recipe
from cogitate.runtime import python_path

RECIPE = "tiny"
SMALL = (  # of each kind of stage enough steps that its start is not most of its time; of updates that holes in memory form
    "runtime.device=cpu", "evaluate.problems=40", "evaluate.general_problems=20",
    "r1_zero.steps=3",
    "cold_start.problems=60", "r1_dev1.epochs=2",
    "r1_dev2.steps=2",
    "sft_data.problems=350", "r1_dev3.epochs=1",
    "preferences.pairs=100", "preferences.safety_prompts=70",
    "r1.steps=2", "r1.prompts_per_step=24", "r1.general_from_step=1", "r1.general_prompts_per_step=14",
    "r1_distill_llama.epochs=1", "r1_distill_qwen.epochs=1", "student_rl_llama.steps=4", "student_rl_qwen.steps=4",
)  # fmt: skip
NOTHING = Estimate(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A stage that was made in small.

    Attributes:
        work: with the numbers of tokens that the run measured.
        peak: bytes of its process at its fullest; None where the system does not say.
    """

    work: StageWork
    seconds: float
    peak: int | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A recipe that was run in small: its settings, and the stages that it made."""

    config: Config
    stages: Sequence[Rehearsed]


def rehearse(say: Callable[[str], None]) -> Rehearsal:
    """Run the recipe in small, in a process of its own as a run has.

    Raises:
        ConfigError: the run failed; with what it said last.
    """
    with tempfile.TemporaryDirectory(prefix="cogitate-") as place:
        out = Path(place) / "run"
        # The calibration that is there may be of another version, which says nothing about this computer's memory.
        words = [sys.executable, "-P", "-m", "cogitate", "run", RECIPE, *SMALL, "--out", str(out), "--force"]
        environment = {**os.environ, "PYTHONPATH": python_path()}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise ConfigError(
                f"--calibrate: the recipe in small failed: {said[-1] if said else f'exit code {done.returncode}'}"
            )
        return read_rehearsed(out, say)


def read_rehearsed(run: Path, say: Callable[[str], None]) -> Rehearsal:
    """What such a run measured."""
    config = load_recipe(RECIPE, SMALL)
    graph, measured = graph_of(config), read_measured(run, has_counts=True)
    shipped = {stage.name: "shipped" for stage in graph if is_shipped_copy(run / stage.name)}
    works = works_of(graph, config, measured=measured, there=shipped, run=run)
    found = [each for work in works if (each := rehearsed(run, work)) is not None]
    for each in found:
        say(f"{each.work.stage.name} in small: {each.seconds:.1f} s")
    return Rehearsal(config, found)


def rehearsed(run: Path, work: StageWork) -> Rehearsed | None:
    """One stage; None of one that was not made in this run, or has no work that is known."""
    row = compared_stage(run, work.stage.name, PlannedStage(NOTHING, NOTHING)) if work.works else None
    return None if row is None else Rehearsed(work, row.seconds, row.peak)

"""A run directory as a Python object: its results, curves and completions, and the models in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogitate.errors import ArtifactError
from cogitate.json_lines import read_log
from cogitate.recipe.recipe import nearest
from cogitate.recipe.run_directory.attempt import unfinished
from cogitate.recipe.run_directory.made_with import MADE_WITH
from cogitate.recipe.run_directory.store import MANIFEST

if TYPE_CHECKING:
    from cogitate.front_door.model import Device, Dtype, Model

Row = dict[str, Any]


class Run:
    """A run directory. Everything is read when it is asked for, so that a run may still be going on.

    Attributes:
        path: the directory.

    Raises:
        ArtifactError: it is not a run directory (from the constructor).
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise ArtifactError(f"{path}: not a run directory: it has no config.json")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def settings(self) -> Mapping[str, Any]:
        """All settings of the run, by section."""
        return {key: value for key, value in self._read("config.json").items() if key != MADE_WITH}

    @property
    def results(self) -> Mapping[str, Any]:
        """results.json: `stages` (model -> task -> metric -> value and interval), `seconds`, `origins`, `summaries`.

        Raises:
            ArtifactError: the run has not come so far.
        """
        return self._read("results.json")

    @property
    def stages(self) -> list[str]:
        """The finished stages, in the order of the alphabet."""
        return sorted(path.parent.name for path in self.path.glob(f"*/{MANIFEST}"))

    def metrics(self, stage: str) -> list[Row]:
        """The rows of a stage's metrics.jsonl, one a step; also of a stage that is being made."""
        return read_log(self._stage(stage) / "metrics.jsonl")

    def transcripts(self, stage: str) -> list[Row]:
        """What an RL stage answered to the same few problems now and then: completion, verdict, reward of each."""
        return read_log(self._stage(stage) / "transcripts.jsonl")

    def completions(self, model: str) -> list[Row]:
        """Every completion that the numbers of a model were made of."""
        return read_log(self._stage(f"evaluate.{model}") / "completions.jsonl")

    def load(self, stage: str, *, dtype: Dtype = "float32", device: Device = "auto") -> Model:
        """The model that a stage has made. Raises what `cogitate.load` does."""
        from cogitate.front_door.model import load

        return load(self._stage(stage), dtype=dtype, device=device)

    def report(self) -> Path:
        """Write report.html, and say where it is."""
        from cogitate.apps.report.report import write_report

        return write_report([self.path], self.path / "report.html")

    def _stage(self, name: str) -> Path:
        """The directory of a stage, finished or not.

        Raises:
            ArtifactError: there is none; the nearest that is there is named.
        """
        for path in (self.path / name, unfinished(self.path, name) / "out"):
            if name and path.is_dir():
                return path
        known = self.stages
        hint = f"; did you mean {nearest(name, known)}?" if known else "; no stage is finished yet"
        raise ArtifactError(f"{self.path}: nothing of a stage called {name} is in it{hint}")

    def _read(self, name: str) -> Mapping[str, Any]:
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ArtifactError(f"{path}: not there: the run has not come so far; run it on") from error
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read: {error}") from error
        assert isinstance(value, dict), path
        return value

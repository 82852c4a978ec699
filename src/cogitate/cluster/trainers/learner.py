"""Learners of the seam whose work is done by trainers. A team that is lost is replaced, and does again what it had done since
the last checkpoint: the same batches in the same order, so that the weights are the same."""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.cluster.trainers.batches import Item, frame_of_rows, said_of_item, said_of_rollouts
from cogitate.cluster.trainers.frames import Frame
from cogitate.cluster.trainers.team import Fall, LostTrainerError, Team, said_of_settings
from cogitate.config import Config
from cogitate.config.section import Section
from cogitate.errors import ClusterError
from cogitate.train.checkpoint import latest_checkpoint, step_of
from cogitate.types import PackedRows, Rollout

DEATHS = "deaths.jsonl"
LOGS = "trainers"


class TrainedTogether:
    """What all of them do. `close` ends the trainers; so does forgetting the learner.

    Args:
        kind: the method of the backend that makes the learner.
        models: directories of models, its first arguments.
        options: its keyword arguments.
        directory: of the run's cluster, for logs and the record of deaths.
        say: takes a line that a person should read.
    """

    def __init__(
        self,
        config: Config,
        kind: str,
        models: Sequence[Path],
        settings: Section,
        *,
        directory: Path,
        say: Callable[[str], None],
        **options: Any,
    ):
        self._config, self._directory, self._say = config, directory, say
        said = {"command": "make", "kind": kind, "models": list(map(str, models)), "options": options}
        self._make = Frame({**said, "settings": said_of_settings(settings)})
        self._checkpoint: Path | None = None  # what the team goes on from, if it is lost
        self._since = list[Frame]()  # the updates after it
        self._losses = 0  # without an update in between
        self._team: Team | None = None
        self.max_context: int = self._ask(None)

    def save(self, path: Path, step: int, state: Mapping[str, Any]) -> None:
        self._ask(Frame({"command": "save", "path": str(path), "step": step, "state": state}))
        self._goes_on_from(latest_checkpoint(path))

    def load(self, path: Path) -> dict[str, Any]:
        state: dict[str, Any] = self._ask(Frame({"command": "load", "path": str(path)}))
        self._goes_on_from(path)
        return state

    def save_weights(self, path: Path) -> None:
        self._ask(Frame({"command": "save_weights", "path": str(path)}))

    def close(self) -> None:
        if self._team is not None:
            self._team.close()
            self._team = None

    def learn(self, frame: Frame) -> dict[str, float]:
        """One `update`."""
        metrics: dict[str, float] = self._ask(frame)
        self._since.append(frame)
        self._losses = 0
        return metrics

    def _goes_on_from(self, checkpoint: Path | None) -> None:
        self._checkpoint = checkpoint
        self._since.clear()

    def _ask(self, frame: Frame | None) -> Any:
        """What the trainers answer, after as many starts as it takes; None asks for nothing but that they are there."""
        while True:
            try:
                if self._team is None:
                    answer = self._start()
                    if frame is None:
                        return answer
                assert frame is not None
                assert self._team is not None
                return self._team.tell(frame)
            except LostTrainerError as error:
                self._team = None
                self._count(error.fall)
                if frame is not None and frame.said["command"] == "save" and (saved := saved_by(frame)) is not None:
                    self._goes_on_from(saved)  # the one before is gone
                    return None

    def _start(self) -> Any:
        """A new team that stands where the lost one stood."""
        self._team = Team(self._config, self._directory / LOGS, self._say)
        weakref.finalize(self, self._team.close)
        answer = self._team.tell(self._make)
        if self._checkpoint is not None:
            self._team.tell(Frame({"command": "load", "path": str(self._checkpoint)}))
        for done in self._since:
            self._team.tell(done)
        return answer

    def _count(self, fall: Fall) -> None:
        self._losses += 1
        row = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "trainer": fall.rank, "pid": fall.pid,
            "cause": fall.cause, "resident": fall.resident, "last_lines": list(fall.last_lines),
            "updates_again": len(self._since),
        }  # fmt: skip
        with (self._directory / DEATHS).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
        words = f": {fall.last_lines[-1]}" if fall.last_lines else ""
        said = f"trainer {fall.rank} (process {fall.pid}) has ended: {fall.cause}{words}"
        if self._losses > self._config.cluster.deaths_limit:
            raise ClusterError(f"{said}; that is {self._losses} losses of trainers without an update in between")
        self._say(f"{said}; all trainers start again and repeat {len(self._since)} updates")


def saved_by(save: Frame) -> Path | None:
    """The checkpoint of a team that was lost while it saved, where it had come to the end."""
    newest = latest_checkpoint(Path(save.said["path"]))
    return newest if newest is not None and step_of(newest) == save.said["step"] else None


class PolicyTrainedTogether(TrainedTogether):
    """Implements PolicyLearner."""

    def update(
        self, rollouts: Sequence[Rollout], advantages: Sequence[float], tokens: int = 0, temperature: float | None = None
    ) -> dict[str, float]:
        said = {"rollouts": said_of_rollouts(rollouts), "advantages": list(advantages), "tokens": tokens}
        said["temperature"] = temperature
        return self.learn(Frame({"command": "update", **said}))


class RowsTrainedTogether(TrainedTogether):
    """Implements SupervisedLearner."""

    def update(self, rows: PackedRows, learning_rate: float) -> dict[str, float]:
        return self.learn(frame_of_rows("update", rows, learning_rate=learning_rate))

    def loss(self, rows: PackedRows) -> float:
        loss: float = self._ask(frame_of_rows("loss", rows))
        return loss


class ItemsTrainedTogether(TrainedTogether):
    """Implements PairLearner, LabelLearner and StepLearner."""

    def update(self, items: Sequence[Item], learning_rate: float) -> dict[str, float]:
        said = {"items": [said_of_item(item) for item in items], "learning_rate": learning_rate}
        return self.learn(Frame({"command": "update", **said}))

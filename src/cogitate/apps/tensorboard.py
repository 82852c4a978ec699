"""TensorBoard event files beside metrics.jsonl, when the extra `tensorboard` is installed.

Written with tensorboard's own record writer and messages: torch.utils.tensorboard would import TensorFlow where that is
installed.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def is_installed() -> bool:
    """Whether event files can be written."""
    return importlib.util.find_spec("tensorboard") is not None


class EventFiles:
    """Watches a run (a recipe.context.Progress) and writes `directory`/STAGE/events.out.tfevents.*, a scalar for each metric.

    A resumed stage opens a new file whose first event tells TensorBoard to forget the steps that are repeated.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.writer: Any = None

    def run_begins(self, stages: Sequence[str]) -> None:
        pass

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.stage_ends(stage)
        path = self.directory / stage / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.writer = RecordWriter(path.open("wb"))
        self.write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.write(Event(wall_time=time.time(), step=first_step, session_log=SessionLog(status=SessionLog.START)))

    def row(self, stage: str, row: dict[str, Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        if self.writer is None:
            return
        scalars = [
            Summary.Value(tag=key, simple_value=float(value))
            for key, value in row.items()
            if key != "step" and isinstance(value, int | float)
        ]
        self.write(Event(wall_time=time.time(), step=row["step"], summary=Summary(value=scalars)))

    def stage_ends(self, stage: str) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def say(self, line: str) -> None:
        pass

    def write(self, event: Any) -> None:
        self.writer.write(event.SerializeToString())
        self.writer.flush()

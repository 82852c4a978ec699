"""A trainer's process: one rank, which does what the driver says to all of them, command by command.

Commands come by standard input, answers go by standard output; everything that libraries print goes to standard error, which is
a log. What the learner refuses is an answer; any other fault ends the process, and the driver starts all ranks again.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from cogitate import errors
from cogitate.cluster.trainers.batches import item_of, rollouts_of, rows_of
from cogitate.cluster.trainers.frames import Frame, read_frame
from cogitate.config import Config
from cogitate.recipe.local_backend import OneProcess
from cogitate.runtime import die_with_parent
from cogitate.train.sharded.ranks import ALONE, Ranks

LOOPBACK = "lo"
SETTINGS = "cogitate.config"  # where settings' classes are


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    start = read_frame(sys.stdin.buffer)
    if start is None:
        return
    die_with_parent(start.said["parent"])
    ranks = join(start.said["rank"], start.said["count"], Path(start.said["meeting"]), start.said["seconds_limit"])
    backend = OneProcess(Config.model_construct(**sections_of(start.said["config"])), ranks=ranks)
    serve(sys.stdin.buffer, answers, backend)


def join(rank: int, count: int, meeting: Path, seconds_limit: float) -> Ranks:
    """Meet the other ranks: through a file, so that nothing listens but what they send each other on loopback.

    Args:
        seconds_limit: for one exchange among them; the driver watches over the whole.
    """
    if count == 1:
        return ALONE
    os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK
    import torch.distributed as dist

    from cogitate.train.sharded.group import GroupRanks

    limit = timedelta(seconds=seconds_limit)
    store = dist.FileStore(str(meeting), count)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=limit)
    return GroupRanks()


def serve(commands: BinaryIO, answers: BinaryIO, backend: OneProcess) -> None:
    """Until the driver closes."""
    learner: Any = None
    while (frame := read_frame(commands)) is not None:
        try:
            if frame.said["command"] == "make":
                learner = made(backend, frame.said)
                answer = getattr(learner, "max_context", None)
            else:
                answer = COMMANDS[frame.said["command"]](learner, frame)
        except errors.CogitateError as error:
            said: dict[str, Any] = {"refused": type(error).__name__, "words": str(error)}
        else:
            said = {"answer": answer}
        answers.write(Frame(said).to_bytes())
        answers.flush()


def made(backend: OneProcess, said: dict[str, Any]) -> Any:
    settings = settings_of(said["settings"])
    return getattr(backend, said["kind"])(*map(Path, said["models"]), settings, **said["options"])


def settings_of(said: dict[str, Any]) -> Any:
    """Settings as the driver has them, which has checked them.

    Args:
        said: `class`, module and name, and `values`.
    """
    module, _, name = said["class"].partition(":")
    assert module == SETTINGS or module.startswith(f"{SETTINGS}."), module
    return getattr(importlib.import_module(module), name).model_construct(**said["values"])


def sections_of(said: dict[str, Any]) -> dict[str, Any]:
    """The sections of Config that making a learner reads."""
    return {name: settings_of(section) for name, section in said.items()}


def update(learner: Any, frame: Frame) -> dict[str, float]:
    said = frame.said
    if "rollouts" in said:
        metrics = learner.update(rollouts_of(said["rollouts"]), said["advantages"], said["tokens"], said["temperature"])
    elif "items" in said:
        metrics = learner.update([item_of(item) for item in said["items"]], said["learning_rate"])
    else:
        metrics = learner.update(rows_of(frame), said["learning_rate"])
    return dict(metrics)


COMMANDS: dict[str, Callable[[Any, Frame], Any]] = {
    "update": update,
    "loss": lambda learner, frame: learner.loss(rows_of(frame)),
    "save": lambda learner, frame: learner.save(Path(frame.said["path"]), frame.said["step"], frame.said["state"]),
    "load": lambda learner, frame: learner.load(Path(frame.said["path"])),
    "save_weights": lambda learner, frame: learner.save_weights(Path(frame.said["path"])),
}

if __name__ == "__main__":
    main()

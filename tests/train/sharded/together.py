"""Two processes that train together over gloo, for as long as a file's tests last: jobs are functions of modules."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

Job = Callable[..., Any]


class Together:
    """`run(job, *arguments)` calls job(ranks, *arguments) in every process; what each returns, by rank."""

    def __init__(self, count: int, directory: Path):
        context, self._ends = get_context("spawn"), list[Connection]()
        self._processes = []
        for rank in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(rank, count, str(directory / "meeting"), theirs), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)

    def run(self, job: Job, *arguments: Any) -> list[Any]:
        for end in self._ends:
            end.send((job, arguments))
        answers = [end.recv() for end in self._ends]
        faults = [answer for ok, answer in answers if not ok]
        assert not faults, "\n".join(faults)
        return [answer for _, answer in answers]

    def close(self) -> None:
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(20)
            process.kill()


def serve(rank: int, count: int, meeting: str, end: Connection) -> None:
    """A process: jobs until the other end is closed."""
    import torch.distributed as dist

    from cogitate.train.sharded.group import GroupRanks

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    store = dist.FileStore(meeting, count)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count)
    ranks = GroupRanks()
    while True:
        try:
            job, arguments = end.recv()
        except EOFError:
            break
        try:
            end.send((True, job(ranks, *arguments)))
        except Exception:  # noqa: BLE001 - of whatever kind: the test shows it
            end.send((False, f"rank {rank}:\n{traceback.format_exc()}"))
    dist.destroy_process_group()

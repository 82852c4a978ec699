"""How a runner and the bench talk: the bench writes a JSON line for each round, the runner answers with one of numbers.

Everything else that a library prints goes to the runner's log. Standard library alone: every peer's environment has it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

KIBIBYTE = 1024

Round = Callable[[int, Mapping[str, Any]], dict[str, float]]


class Channel:
    """The runner's end. What is written to standard output from now on goes to standard error."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = json.loads(sys.argv[1])
        self._started = time.perf_counter()
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def ready(self, **facts: Any) -> None:
        """Loaded; `facts` are versions and whatever else a reader of the figures needs."""
        self._send({"load_seconds": time.perf_counter() - self._started, **facts})

    def next_round(self) -> tuple[int, dict[str, Any]] | None:
        """The number of the round to be run and its case; None where there are no more. The clock starts."""
        line = sys.stdin.readline()
        if not line:
            return None
        request = json.loads(line)
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return request["round"], request["case"]

    def answer(self, **numbers: float) -> None:
        """What the round came to; its wall and processor time unless the numbers say them, and the most memory ever held."""
        times = {"seconds": time.perf_counter() - self._wall, "cpu_seconds": time.process_time() - self._cpu}
        self._send({**times, **numbers, "peak_bytes": peak_bytes()})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()


def serve(channel: Channel, run: Round) -> None:
    """Run rounds as they are asked for."""
    while (request := channel.next_round()) is not None:
        channel.answer(**run(*request))


def peak_bytes() -> int:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE


def prompts_of_round(prompts: list[Any], number: int, count: int) -> list[Any]:
    """`count` prompts, other ones in each round, so that nobody remembers them."""
    return [prompts[(number * count + index) % len(prompts)] for index in range(count)]

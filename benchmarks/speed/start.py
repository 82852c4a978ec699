"""`python -m benchmarks.speed.start`: how long a run of `tiny` takes to the first step of R1-Zero.

A fresh process runs `cogitate run tiny --only r1_zero`, which takes the shipped base model and does not evaluate it; after its
first step it is ended. Times are counted from the start of that process to where the step begins, and to where its row stands
in metrics.jsonl. A first round, which may have to compile kernels and modules, is not counted. Processor time is that of the
process itself, without its graders; other programs lengthen it much less than the time on the clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from cogitate.errors import ArtifactError

STAGE = "r1_zero"
BEGINS = f"{STAGE}: stage "  # what a run says when the first step begins
LONGEST = 600.0  # seconds to wait for a step


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds since the process was started: on the clock, and of processor time."""

    clock: float
    processor: float


def main() -> None:
    options = parse()
    rounds = [first_step(options.settings) for _ in range(options.repetitions + 1)][1:]
    show(rounds)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speed.start", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of the run")
    parser.add_argument("--repetitions", type=int, default=5)
    return parser.parse_args(arguments)


def first_step(settings: Sequence[str] = ()) -> tuple[Moment, Moment]:
    """Where the first step begins and where it ends.

    Raises:
        ArtifactError: the run ended, or took too long, before that.
    """
    with tempfile.TemporaryDirectory(prefix="start-") as place:
        out, said = Path(place) / "run", Path(place) / "said"
        command = [sys.executable, "-m", "cogitate", "run", "tiny", "--only", STAGE, *settings, "--out", str(out)]
        started = time.monotonic()
        with said.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            begins: Moment | None = None
            while True:
                now = Moment(time.monotonic() - started, processor_seconds(process.pid))
                if begins is None and BEGINS in said.read_text(encoding="utf-8"):
                    begins = now
                if begins is not None and any(row.stat().st_size for row in out.glob(f"**/{STAGE}/**/metrics.jsonl")):
                    return begins, now
                if process.poll() is not None or now.clock > LONGEST:
                    raise ArtifactError(f"no step of {STAGE} came: {said.read_text(encoding='utf-8')[-1000:]}")
                time.sleep(0.01)
        finally:
            process.kill()  # its graders end with it
            process.wait()


def processor_seconds(pid: int) -> float:
    """Processor time of all threads of a process; 0.0 of one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0.0
    user, system = stat.rsplit(b")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def show(rounds: Sequence[tuple[Moment, Moment]]) -> None:
    facts = machine.machine_facts()
    table = Table("first step", title=f"{facts['cpu']}, {facts['threads']} threads", title_justify="left")
    for heading in ("seconds", "least", "greatest", "of processor time", "least", "greatest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, moments in zip(("begins", "ends"), zip(*rounds, strict=True), strict=True):
        clocks, processors = [each.clock for each in moments], [each.processor for each in moments]
        table.add_row(name, *(f"{pick(times):.1f}" for times in (clocks, processors) for pick in (median, min, max)))
    Console().print(table)


if __name__ == "__main__":
    main()

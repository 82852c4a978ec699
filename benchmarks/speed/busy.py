"""`python -m benchmarks.speed.busy`: what is left of each speed of `make bench` while other programs keep the cores busy.

Every piece is measured in turn quiet, beside a busy loop on one core, and beside one on each core, several times over. The
loops are pinned and this process is not: a good share of a loaded core is half of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.speed.bench import WIDE, Numbers, pieces_of
from benchmarks.speed.measure import Subject
from cogitate.recipe.models import find_model

LOADS = ("quiet", "one", "each")  # cores that have a loop


def main() -> None:
    options = parse()
    subject = Subject(find_model(options.model))
    pieces = pieces_of(subject, options.batches, options.new_tokens)
    speeds = measure(pieces, options.repetitions)
    show(speeds)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speed.busy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="base", help="a model directory, or base: the shipped one (default)")
    parser.add_argument("--repetitions", type=int, default=5, help="of every piece under every load")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 128], help="completions decoded at the same time")
    parser.add_argument("--new-tokens", type=int, default=128, help="of each of these completions")
    return parser.parse_args(arguments)


def measure(pieces: dict[str, Callable[[], Numbers]], repetitions: int) -> dict[str, dict[str, list[float]]]:
    """Piece -> load -> tokens a second of each round."""
    speeds: dict[str, dict[str, list[float]]] = {name: {load: [] for load in LOADS} for name in pieces}
    for name, piece in pieces.items():
        piece()  # warms up
        for _ in range(repetitions):
            for load in LOADS:
                with busy_loops(load):
                    speeds[name][load].append(piece()["tokens_per_second"])
    return speeds


@contextmanager
def busy_loops(load: str) -> Iterator[None]:
    """`yes` on no core, on the first that this process may use, or on each."""
    cores = sorted(os.sched_getaffinity(0))
    taken = {"quiet": [], "one": cores[:1], "each": cores}[load]
    loops = [subprocess.Popen(["taskset", "--cpu-list", str(core), "yes"], stdout=subprocess.DEVNULL) for core in taken]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def show(speeds: dict[str, dict[str, list[float]]]) -> None:
    facts = machine.machine_facts()
    title = f"{facts['cpu']}, {facts['threads']} threads, beside busy loops on one core and on each"
    table = Table("work", title=title, title_justify="left")
    for heading in ("tokens/s", "one", "least", "each", "least"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, of_load in speeds.items():
        quiet = median(of_load["quiet"])
        shares = [f"{100 * pick(of_load[load]) / quiet:.0f} %" for load in LOADS[1:] for pick in (median, min)]
        table.add_row(name, f"{quiet:,.0f}", *shares)
    Console(width=WIDE).print(table)


if __name__ == "__main__":
    main()

"""`make bench`: how fast this machine decodes, learns and pretrains, beside what its matrix products alone reach.

Writes benchmarks/results/DATE.json and prints a table. All pieces are measured in turn, several times over, so that whatever
else slows the machine down meets all of them; each figure is the median, with the least and the greatest beside it.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.places import RESULTS
from benchmarks.speed import products
from benchmarks.speed.measure import Decoding, Learning, Pretraining, Subject, grpo_steps
from cogitate.errors import CogitateError
from cogitate.recipe.models import find_model
from cogitate.runtime import write_json

WIDE = 110  # characters of the table where it does not go to a terminal
DRAFTED = 16  # completions at a time up to which decoding is measured with drafts, too
QUIET = 0.05  # of all cores: less than this is the machine's own housekeeping
Numbers = dict[str, float]


def main() -> None:
    options = parse()
    try:
        subject = Subject(find_model(options.model))
    except CogitateError as error:
        raise SystemExit(f"error: {error}") from error
    result = measure(subject, options)
    RESULTS.mkdir(exist_ok=True)
    path = options.out or RESULTS / f"{datetime.date.today()}.json"
    write_json(path, result)
    show(result)
    print(f"written to {path}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="base", help="a model directory, or base: the shipped one (default)")
    parser.add_argument("--repetitions", type=int, default=5, help="of every piece")
    parser.add_argument("--steps", type=int, default=6, help="GRPO steps; the first is not counted")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 128], help="completions decoded at the same time")
    parser.add_argument("--new-tokens", type=int, default=128, help="of each of these completions")
    parser.add_argument("--out", type=Path, help="the JSON file, in place of benchmarks/results/DATE.json")
    options = parser.parse_args(arguments)
    if options.repetitions < 1 or options.steps < 2:
        parser.error("--repetitions must be at least 1 and --steps at least 2")
    return options


def measure(subject: Subject, options: argparse.Namespace) -> dict[str, Any]:
    """The whole result file."""
    facts, others = machine.machine_facts(), machine.OtherWork()
    drafted = drafted_batches(subject, options.batches)
    figures = in_turn(pieces_of(subject, options.batches, options.new_tokens), options.repetitions)
    steps = grpo_steps(subject, options.steps)[1:]
    return {
        "schema": 1,
        "date": str(datetime.date.today()),
        "machine": {**facts, "busy_with_other_work": rounded(others.share())},
        "model": subject.facts(),
        "how": " ".join((products.__doc__ or "").split()),
        "repetitions": options.repetitions,
        "decode": {str(batch): figures[f"decode.{batch}"] for batch in options.batches},
        "decode_drafted": {str(batch): figures[f"drafted.{batch}"] for batch in drafted},
        "train": {name: figures[name] for name in ("learner", "supervised_step")},
        "grpo": {
            "steps": [{name: rounded(value) for name, value in step.items()} for step in steps],
            "summary": summary(steps),
        },
    }


def drafted_batches(subject: Subject, batches: Sequence[int]) -> list[int]:
    """Completions at a time that are decoded with drafts, too."""
    return [batch for batch in batches if batch <= DRAFTED and subject.model_config.num_nextn_predict_layers]


def pieces_of(subject: Subject, batches: Sequence[int], new_tokens: int) -> dict[str, Callable[[], Numbers]]:
    """What is measured in turn."""
    return {
        **{f"decode.{batch}": Decoding(subject, batch, new_tokens) for batch in batches},
        **{
            f"drafted.{batch}": Decoding(subject, batch, new_tokens, speculative=True)
            for batch in drafted_batches(subject, batches)
        },
        "learner": Learning(subject),
        "supervised_step": Pretraining(subject),
    }


def in_turn(pieces: dict[str, Callable[[], Numbers]], repetitions: int) -> dict[str, dict[str, Numbers]]:
    """Every piece once to warm up, then all of them in turn, `repetitions` times."""
    for piece in pieces.values():
        piece()
    rounds = [{name: piece() for name, piece in pieces.items()} for _ in range(repetitions)]
    return {name: summary([numbers[name] for numbers in rounds]) for name in pieces}


def summary(measurements: Sequence[Numbers]) -> dict[str, Numbers]:
    """{"<number>": {"median", "min", "max"}} of those that were measured each time."""
    names = [name for name in measurements[0] if all(name in numbers for numbers in measurements)]
    values = {name: [numbers[name] for numbers in measurements] for name in names}
    return {
        name: {"median": rounded(median(each)), "min": rounded(min(each)), "max": rounded(max(each))}
        for name, each in values.items()
    }


def rounded(value: float) -> float:
    """To six digits: no clock says more."""
    return float(f"{value:.6g}")


def show(result: dict[str, Any]) -> None:
    """The figures as a person reads them."""
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    table = Table("work", title=f"{result['machine']['cpu']}, {result['machine']['threads']} threads", title_justify="left")
    for heading in ("tokens/s", "least", "greatest", "GFLOP/s", "products\nalone", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for batch, figures in result["decode"].items():
        table.add_row(f"decode {batch}", *cells(figures))
    for batch, figures in result["decode_drafted"].items():
        table.add_row(f"decode {batch}, drafted", *cells(figures))
    for name, figures in result["train"].items():
        table.add_row(name, *cells(figures))
    steps = result["grpo"]["summary"]
    for phase in ("generate", "train"):
        figures = {name.removeprefix(f"{phase}."): value for name, value in steps.items() if name.startswith(f"{phase}.")}
        if figures:
            table.add_row(f"GRPO, {phase}", *cells(figures))
    console.print(table)
    middle = {name: value["median"] for name, value in steps.items()}
    phases = ", ".join(f"{phase} {middle[f'seconds.{phase}']:.2f}" for phase in ("generate", "grade", "train", "sync"))
    tokens = f"{middle['tokens_generated']:,.0f} tokens generated, {middle['tokens_trained']:,.0f} trained"
    for batch, figures in result["decode_drafted"].items():
        gain = figures["tokens_per_second"]["median"] / result["decode"][batch]["tokens_per_second"]["median"]
        right = 100 * figures["acceptance_rate"]["median"]
        console.print(f"Drafts by the MTP block, {batch} at a time: {right:.0f} % right, {gain:.2f} times the speed")
    busy = result["machine"]["busy_with_other_work"]
    if busy > QUIET:
        console.print(f"Others used {100 * busy:.0f} % of the machine meanwhile: measure again when it is quiet.")
    console.print(f"GRPO step: {middle['seconds']:.2f} s ({phases}), {tokens}")


def cells(figures: dict[str, Numbers]) -> list[str]:
    speed = figures["tokens_per_second"]
    return [
        f"{speed['median']:,.0f}",
        f"{speed['min']:,.0f}",
        f"{speed['max']:,.0f}",
        f"{figures['gflops_per_second']['median']:.1f}",
        f"{figures['gemm_gflops_per_second']['median']:.1f}",
        f"{100 * figures['share_of_gemm']['median']:.0f} %",
    ]

"""`make bench-curves`: how cost grows with queue, completions, length, batch and vocabulary, what the cache holds, and whether
the results are those of `transformers` and TRL.

Writes benchmarks/results/DATE-curves.json and a generated part of docs/performance.md. The points of a curve are measured in
turn, several times over, so that whatever else slows the machine down meets all of them.
"""

from __future__ import annotations

import argparse
import datetime
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.curves import quality, report, work
from benchmarks.curves.memory import cache_checks
from benchmarks.peers.report import between_markers
from benchmarks.peers.setup import ROOT
from benchmarks.places import PAGE, RESULTS
from cogitate.runtime import write_json

CHARTS = {"curves": "results/curves.svg", "rewards": "results/rewards.svg"}  # beside the page
PARTS = ("curves", "memory", "quality", "rewards")
CACHED, CACHED_QUICK = 2048, 512  # tokens of each sequence whose memory is measured


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    ROOT.mkdir(parents=True, exist_ok=True)
    result = measure(options)
    published = RESULTS / f"{datetime.date.today()}-curves.json"
    path = options.out or (published if options.publish else ROOT / "partial-curves.json")
    write_json(path, result)
    print(report.as_markdown(result, CHARTS))
    print(f"written to {path}")
    if options.publish:
        report.draw_curves(result["curves"], PAGE.parent / CHARTS["curves"])
        report.draw_rewards(result["rewards"], PAGE.parent / CHARTS["rewards"])
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(between_markers(text, report.as_markdown(result, CHARTS), report.BEGIN, report.END), encoding="utf-8")
        print(f"and to {PAGE}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.curves", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of every point of a curve, after one to warm up")
    parser.add_argument("--only", default="", metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--curves", default="", metavar="NAME,...", help=f"of {', '.join(work.curves(work.FULL))}")
    parser.add_argument("--quick", action="store_true", help="very small sizes, to see that everything works")
    parser.add_argument("--out", type=Path, help="the JSON file")
    options = parser.parse_args(arguments)
    options.only = chosen(parser, "--only", options.only, PARTS)
    every = tuple(work.curves(work.FULL))
    options.curves = chosen(parser, "--curves", options.curves, every)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    whole = options.only == list(PARTS) and options.curves == list(every)
    options.publish = whole and not options.quick and options.out is None
    return options


def chosen(parser: argparse.ArgumentParser, option: str, given: str, known: Sequence[str]) -> list[str]:
    """The names given, in our order; all where none is."""
    names = [name for name in given.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        parser.error(f"{option} {unknown[0]}: there are {', '.join(known)}")
    return [name for name in known if not names or name in names]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result file; what was not asked for is empty."""
    facts, others = machine.machine_facts(), machine.OtherWork()
    sizes = quality.QUICK if options.quick else quality.FULL
    curves = {}
    if "curves" in options.only:
        every = work.curves(work.QUICK if options.quick else work.FULL)
        curves = {name: measured(name, every[name], options.rounds) for name in options.curves}
    memory = cache_checks(CACHED_QUICK if options.quick else CACHED) if "memory" in options.only else []
    checks = quality.equality_checks(sizes) if "quality" in options.only else []
    rewards = quality.reward_curves(sizes, facts["threads"]) if "rewards" in options.only else {}
    return {
        "schema": 1,
        "date": str(datetime.date.today()),
        "quick": options.quick,
        "machine": {**facts, "busy_with_other_work": report.short(others.share())},
        "rounds": options.rounds,
        "curves": curves,
        "memory": memory,
        "quality": [*checks, *(quality.reward_checks(rewards) if rewards else [])],
        "rewards": rewards,
    }


def measured(name: str, curve: work.Curve, rounds: int) -> dict[str, Any]:
    """A curve's points and what they come to."""
    pieces = {size: curve.make(size) for size in curve.sizes}
    for piece in pieces.values():
        piece()
    seconds = [{size: piece() for size, piece in pieces.items()} for _ in range(rounds)]
    points = {str(size): report.spread([each[size] for each in seconds]) for size in curve.sizes}
    told = {"title": curve.title, "over": curve.over, "of": curve.of, "bar": curve.bar, "points": points}
    result = report.judged(told)
    print(f"{name}: x^{result['exponent']:.2f}, at the end x^{result['exponent_at_the_end']:.2f}", flush=True)
    del pieces
    gc.collect()
    return result

"""`make bench-peers`: GRPO steps, generation, SFT and verdicts beside what people would use instead, on the same work.

Each side runs in a process of its own, which loads once; all sides of a workload then do one round after the other in turn, so
that whatever else slows the machine down meets all of them. Writes benchmarks/results/DATE-peers-CLASS.json and the generated
part of docs/performance.md for this class of processors once every workload has been measured; stopped before, it goes on with
the next workload, as long as code, machine and options are the same.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cogitate
from benchmarks import machine
from benchmarks.isa_limits import can_be_limited
from benchmarks.peers import report, setup
from benchmarks.peers.sides import Runner, RunnerError, Side
from benchmarks.peers.workloads import FULL, QUICK, WORKLOADS, Workload
from benchmarks.places import PAGE, RESULTS
from cogitate.kernels.isa import available, own_isa
from cogitate.runtime import write_json

FAR_BEHIND = 1.3  # a variant that takes so many times as long as its family's fastest is not run again
CHART = "results/peers-{isa}.svg"  # beside the page
KEPT = "measured-{isa}.json"  # in setup.ROOT: whole workloads of a measurement that is to go on
# The code that is measured, of the package.
ROOMS = ("algorithms", "backend.py", "engine", "kernels", "model", "rewards", "runtime.py", "tokenizer", "train", "types.py")


def main() -> None:
    options = parse()
    setup.ROOT.mkdir(parents=True, exist_ok=True)
    result = measure(options)
    whole = RESULTS / f"{datetime.date.today()}-peers-{options.isa}.json"
    path = options.out or (whole if options.publish else setup.ROOT / "partial.json")
    write_json(path, result)
    chart = CHART.format(isa=options.isa)
    print(report.as_markdown(result, chart))
    print(f"written to {path}")
    if result["failed"]:
        raise SystemExit("\n\n".join(["error: not all sides could be measured", *result["failed"].values()]))
    if options.publish:
        report.draw_chart(result, PAGE.parent / chart)
        begin, end = (marker.format(isa=options.isa) for marker in (report.BEGIN, report.END))
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(report.between_markers(page, report.as_markdown(result, chart), begin, end))
        print(f"and to {PAGE}")
        kept_file(options.isa).unlink()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="of every side, after one to warm up")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--sides", default="", metavar="NAME,...", help="only these sides, e.g. ours,trl:float32")
    parser.add_argument("--quick", action="store_true", help="very small workloads, to see that everything works")
    parser.add_argument("--threads", type=int, default=0, help="of every side; 0: as many as there are cores")
    parser.add_argument(
        "--isa", choices=available(), default=own_isa(), help="the class of processors to which all sides are limited"
    )
    parser.add_argument("--out", type=Path, help="the JSON file")
    options = parser.parse_args(arguments)
    options.only = [name for name in options.only.split(",") if name] or list(WORKLOADS)
    options.sides = [name for name in options.sides.split(",") if name]
    unknown = [name for name in options.only if name not in WORKLOADS]
    if unknown:
        parser.error(f"--only {unknown[0]}: there are {', '.join(WORKLOADS)}")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    options.publish = not options.quick and not options.sides and options.only == list(WORKLOADS) and options.out is None
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result file. A side that fails is left out, and named with the end of its log."""
    facts = {name: fact for name, fact in machine.machine_facts().items() if name != "load_average"}
    threads = options.threads or facts["usable_cores"]
    conditions = {
        "machine": facts, "isa": options.isa, "threads": threads, "rounds": options.rounds, "code": measured_code()
    }  # fmt: skip
    workloads = measured_before(conditions) if options.publish else {}
    for name in options.only:
        if name in workloads:
            print(f"{name}: measured already, {workloads[name]['measured']}", flush=True)
            continue
        workloads[name] = measure_workload(WORKLOADS[name](QUICK if options.quick else FULL), options, threads)
        if options.publish and not workloads[name]["failed"]:
            kept = {name: workload for name, workload in workloads.items() if not workload["failed"]}
            write_json(kept_file(options.isa), {"conditions": conditions, "workloads": kept})
    ratios, details = report.ratios_of({name: workload["figures"] for name, workload in workloads.items()})
    return {
        "schema": 2,
        "date": str(datetime.date.today()),
        "quick": options.quick,
        **conditions,
        "ratios": ratios,
        "ratio_details": details,
        "workloads": workloads,
        "failed": {name: text for workload in workloads.values() for name, text in workload["failed"].items()},
    }


def measure_workload(workload: Workload, options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """All rounds of one workload, and what else the machine was busy with meanwhile."""
    others, sides, failed = machine.OtherWork(), dict[str, Any](), dict[str, str]()
    started = datetime.datetime.now().isoformat(" ", "minutes")
    rounds = run_in_turn(workload, options, threads, sides, failed)
    return {
        "title": workload.title,
        "unit": workload.unit,
        "measured": started,
        "busy_with_other_work": report.short(others.share()),
        "figures": report.figures_of(rounds),
        "rounds": rounds,
        "sides": sides,
        "failed": failed,
    }


def kept_file(isa: str) -> Path:
    return setup.ROOT / KEPT.format(isa=isa)


def measured_before(conditions: dict[str, Any]) -> dict[str, Any]:
    """The workloads that an earlier, stopped measurement under the same conditions has left."""
    file = kept_file(conditions["isa"])
    if not file.exists():
        return {}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return dict(kept["workloads"]) if kept["conditions"] == conditions else {}


def measured_code() -> str:
    """A hash of the code that is measured and of what measures it."""
    package, here, digest = Path(cogitate.__file__).parent, Path(__file__).parent, hashlib.sha256()
    for root in (*(package / room for room in ROOMS), here):
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.suffix in (".py", ".cpp", ".h"))
        for file in files:
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def run_in_turn(
    workload: Workload, options: argparse.Namespace, threads: int, facts: dict[str, Any], failed: dict[str, str]
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """case -> side -> one entry for each round. The first round of every side and case warms up and is not kept."""
    runners: dict[str, Runner] = {}
    taking_part = [side for side in workload.sides if not options.sides or side.name in options.sides]
    chosen = [side for side in taking_part if can_be_limited(side.environment, options.isa)]
    for side in taking_part:
        if side not in chosen:
            print(f"{workload.name}: {side.name} is left out: nothing limits it to {options.isa}", flush=True)
    rounds: dict[str, dict[str, list[dict[str, float]]]] = {
        case: {side.name: [] for side in chosen if side.does(case)} for case in workload.cases
    }

    def drop(side: Side, error: RunnerError) -> None:
        failed[f"{workload.name}/{side.name}"] = str(error)
        print(f"{workload.name}: {error}", flush=True)
        if side.name in runners:
            runners.pop(side.name).close()

    try:
        for side in chosen:
            try:
                log = setup.ROOT / "logs" / f"{workload.name}-{side.name.replace(':', '-')}.log"
                runners[side.name] = Runner(side, log, threads, options.isa)
                facts[f"{workload.name}/{side.name}"] = runners[side.name].facts
            except RunnerError as error:
                drop(side, error)
        for number in range(options.rounds + 1):
            for case, told in workload.cases.items():
                for side in chosen:
                    if side.name not in runners or not side.does(case):
                        continue
                    try:
                        numbers = report.with_speed(runners[side.name].run(number, told))
                    except RunnerError as error:
                        drop(side, error)
                        continue
                    speed = f"{numbers[report.SPEED]:,.1f} {workload.unit} per second"
                    print(f"{workload.name} {case}, round {number}, {side.name}: {speed}", flush=True)
                    if number:
                        rounds[case][side.name].append(numbers)
            if number == 1:
                for name in sorted(far_behind(rounds) & runners.keys()):  # others have failed meanwhile
                    print(f"{workload.name}: {name} is far behind the fastest of its kind, and is not run again", flush=True)
                    runners.pop(name).close()
    finally:
        for runner in runners.values():
            runner.close()
    return rounds


def far_behind(rounds: dict[str, dict[str, list[dict[str, float]]]]) -> set[str]:
    """Variants (FAMILY:VARIANT) that do not decide what their family can do: far slower than another one in every case."""
    slow_in: list[set[str]] = []
    for sides in rounds.values():
        speeds = {side: each[-1][report.SPEED] for side, each in sides.items() if each and ":" in side}
        families = {side.partition(":")[0] for side in speeds}
        fastest = {family: max(speed for side, speed in speeds.items() if side.startswith(f"{family}:")) for family in families}
        slow_in.append({side for side, speed in speeds.items() if speed * FAR_BEHIND < fastest[side.partition(":")[0]]})
    return set.intersection(*slow_in) if slow_in else set()

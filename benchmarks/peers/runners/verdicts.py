"""Verdicts by our grader pool, by math-verify as TRL's accuracy reward calls it, and by a fresh python for each program."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers.runners.channel import Channel, Round, serve

PROGRAM_SECONDS = 10.0


def main() -> None:
    channel = Channel()
    settings = channel.settings
    rows: dict[str, list[dict[str, Any]]] = json.loads(Path(settings["verdicts"]).read_text())
    run = {"ours": by_pool, "math-verify": by_math_verify, "python": by_fresh_python}[settings["work"]](rows, settings)
    channel.ready(versions={name: version(name) for name in ("cogitate", "math-verify")}, threads=settings["threads"])
    serve(channel, run)


def by_pool(rows: dict[str, list[dict[str, Any]]], settings: Mapping[str, Any]) -> Round:
    """As RL grades: worker processes, a hard time limit on each verdict, programs in the sandbox."""
    from cogitate.rewards.workers.pool import GraderPool
    from cogitate.types import Problem

    pool = GraderPool(settings["threads"])

    def run(number: int, case: Mapping[str, Any]) -> dict[str, float]:
        right, expected = 0, 0
        kind, chosen = case["kind"], rows[case["kind"]][: case["count"]]
        started = time.perf_counter()
        for index, row in enumerate(chosen):
            # Numbered by round: a worker remembers programs that it has run for the same problem.
            problem = Problem(f"{number}.{index}", "peers", kind, "", gold=row.get("gold"), fields=row.get("fields", {}))
            pool.submit(str(index), problem, row["completion"], "free")
            expected += row["right"]
        while pool.pending():
            right += sum(verdict.value == "right" for _, verdict in pool.poll(timeout=1.0))
        return {"verdicts": len(chosen), "seconds": time.perf_counter() - started, "agree": right / max(1, expected)}

    return run


def by_math_verify(rows: dict[str, list[dict[str, Any]]], settings: Mapping[str, Any]) -> Round:
    """trl.rewards.accuracy_reward of TRL 1.16, without its log."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    configuration = LatexExtractionConfig(
        normalization_config=NormalizationConfig(units=True), boxed_match_priority=0, try_extract_without_anchor=False
    )

    def reward(completion: str, gold: str) -> float:
        parsed_gold = parse(gold, parsing_timeout=10)
        if not parsed_gold:
            return 0.0
        parsed = parse(completion, extraction_config=[configuration], extraction_mode="first_match", parsing_timeout=10)
        return float(verify(parsed_gold, parsed, timeout_seconds=5))

    def run(number: int, case: Mapping[str, Any]) -> dict[str, float]:
        assert case["kind"] == "math", case
        chosen = rows["math"][: case["count"]]
        started = time.perf_counter()
        right = sum(reward(row["completion"], f"${row['gold']}$") for row in chosen)
        seconds = time.perf_counter() - started
        return {"verdicts": len(chosen), "seconds": seconds, "agree": right / max(1, sum(row["right"] for row in chosen))}

    return run


def by_fresh_python(rows: dict[str, list[dict[str, Any]]], settings: Mapping[str, Any]) -> Round:
    """No isolation at all: a new interpreter runs the program and its tests, as many at a time as there are cores."""
    folder = Path(tempfile.mkdtemp())

    def passes(index: int, row: dict[str, Any]) -> bool:
        file = folder / f"{index}.py"
        file.write_text(row["standalone"])
        done = subprocess.run([sys.executable, str(file)], capture_output=True, timeout=PROGRAM_SECONDS, check=False)
        return done.returncode == 0

    def run(number: int, case: Mapping[str, Any]) -> dict[str, float]:
        assert case["kind"] == "code", case
        chosen = rows["code"][: case["count"]]
        started = time.perf_counter()
        with ThreadPoolExecutor(settings["threads"]) as threads:
            right = sum(threads.map(passes, range(len(chosen)), chosen))
        seconds = time.perf_counter() - started
        return {"verdicts": len(chosen), "seconds": seconds, "agree": right / max(1, sum(row["right"] for row in chosen))}

    return run


if __name__ == "__main__":
    main()

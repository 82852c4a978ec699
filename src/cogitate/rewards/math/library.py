"""A second opinion on mathematical answers: math-verify (over sympy), for what our own parser does not read, and for audits.

The library has no bound on its time once its signal-based time-outs are off (they fail outside the main thread). In a grader
worker the pool is the limit. Elsewhere the question is put to a process of its own, limited to LIMIT_SECONDS of processor time.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys

from cogitate.rewards.loading import heavy_import
from cogitate.runtime import python_path

LIMIT_SECONDS = 5
WALL_FACTOR = 20  # elapsed time may be longer on a busy machine
MAX_CHARACTERS = 500

# Only what LaTeX mathematics is made of: the library's own parsers get nothing that could be code.
_GRAMMAR = re.compile(r"[A-Za-z0-9\s\\{}()\[\]^_+\-*/=<>|.,:;!%&'~$]*")
_SUSPICIOUS = re.compile(r"__|\.[A-Za-z]|[A-Za-z]{6,}\s*\(|\blambda\s|\bimport\b|\bexec\b|\beval\b|\bopen\b")

in_worker = False  # set by grader workers: their pool kills them when they take too long


def passes_grammar(text: str) -> bool:
    """Whether a text may be shown to a library that parses."""
    return len(text) <= MAX_CHARACTERS and _GRAMMAR.fullmatch(text) is not None and _SUSPICIOUS.search(text) is None


def library_opinion(gold: str, answer: str) -> bool | None:
    """Whether math-verify takes two answers (LaTeX, without delimiters) as equal, in both directions.

    None where it cannot read one of them, or where one does not pass the grammar filter.
    """
    if not (passes_grammar(gold) and passes_grammar(answer)):
        return None
    if in_worker:
        return _ask(gold, answer)
    try:
        finished = subprocess.run(
            [sys.executable, "-P", "-m", "cogitate.rewards.math.library", str(LIMIT_SECONDS)],
            input=json.dumps([gold, answer]),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS * WALL_FACTOR,
            check=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):  # too long, or crashed on the answer
        return False
    verdict: bool | None = json.loads(finished.stdout)
    return verdict


def _ask(gold: str, answer: str) -> bool | None:
    with heavy_import():
        from math_verify import LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    config = [LatexExtractionConfig(try_extract_without_anchor=True)]
    parsed = []
    for text in (gold, answer):
        found = parse(f"${text}$", config, fallback_mode="no_fallback", parsing_timeout=None, raise_on_error=False)
        if not found:
            return None
        parsed.append(found)
    one: bool = verify(parsed[0], parsed[1], strict=True, timeout_seconds=None, raise_on_error=False)
    other: bool = one and verify(parsed[1], parsed[0], strict=True, timeout_seconds=None, raise_on_error=False)
    return other


def _limit_processor_time(seconds: int) -> None:
    import resource

    import math_verify  # noqa: F401 - not counted

    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds, int(used) + seconds + 1))


if __name__ == "__main__":
    in_worker = True
    _limit_processor_time(int(sys.argv[1]))
    sys.stdout.write(json.dumps(_ask(*json.load(sys.stdin))))

"""A grader worker: a process that reads completions from its standard input and writes verdicts to its standard output.

It also evaluates the user's own parts of the reward. A user's functions are loaded after the worker has confined itself, and
never in the workers that run model-written code, which are not confined. Functions that the user trusts are loaded in workers
that are not confined either, and judge nothing else.

Started by the pool as `python -m cogitate.rewards.workers.worker PARENT_PID`. Frames are an 8-byte length and a body: pickle
towards the worker (the parent is trusted), JSON back (the worker has read hostile text). It dies with its parent, keeps no
file of it open, and imports heavy libraries only when a completion needs them.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
import sys
import time
from collections.abc import Mapping
from typing import Any, BinaryIO

from cogitate.errors import ConfigError, DataError, SandboxUnavailableError
from cogitate.rewards import loading
from cogitate.rewards.answer import CONTRACTS
from cogitate.rewards.grade import judge
from cogitate.rewards.graders.custom import CustomReward, load_custom
from cogitate.rewards.kinds import KINDS
from cogitate.rewards.math import library
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.parts.own import PartFunction, evaluate_parts, load_parts
from cogitate.rewards.sandbox import seccomp
from cogitate.rewards.sandbox.inside.confine import make_ruleset, restrict
from cogitate.rewards.sandbox.isolation import Isolation, open_sandbox
from cogitate.rewards.verdicts import no_verdict
from cogitate.rewards.workers.jobs import Place
from cogitate.runtime import die_with_parent
from cogitate.types import Verdict

LENGTH = struct.Struct(">Q")
MEMORY_BYTES = 4 << 30
KEPT_VERDICTS = 1024

_judged: dict[tuple[str, bytes], Verdict] = {}


def main() -> None:
    """Serve until standard input closes."""
    die_with_parent(int(sys.argv[1]))
    requests, replies = _private_pipes()
    settings = read_pickle(requests)
    if settings is None:
        return
    library.in_worker = True
    isolation: Isolation = settings["isolation"]
    custom: CustomReward | None = None
    parts: Mapping[str, PartFunction] = {}
    place: Place = settings["place"]
    if place != "trusted":
        limit_memory()
    if place == "code":
        test_sandbox(isolation)
    if place == "confined":
        import cogitate.rewards.math.answer  # noqa: F401 - here, not within the time of the first verdict

        confine()
    if place == settings["users_place"]:
        try:
            custom = load_custom(settings["custom"]) if settings["custom"] else None
            parts = load_parts(settings["parts"])
        except ConfigError as error:
            write_json(replies, {"config_error": str(error)})
            return
    loading.announce = lambda begins: write_json(replies, {"loading": begins})
    write_json(replies, {"ready": True})
    while (job := read_pickle(requests)) is not None:
        if isinstance(job, SampledCompletion):
            write_json(replies, evaluate_parts(parts, job))
            continue
        write_json(replies, answer(job, custom, isolation))
        if job["audit"]:
            write_json(replies, {"audit": audit(job)})


def audit(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the second opinion on a completion differs from ours."""
    ask = KINDS[job["kind"]].second_opinion
    assert ask is not None, job["kind"]
    return ask(job["completion"], job["fields"], job["contract"])


def answer(job: Mapping[str, Any], custom: CustomReward | None, isolation: Isolation) -> dict[str, Any]:
    """The verdict as a JSON-ready mapping, with its wall time.

    A problem that lacks what its grader needs is a fault of the reference; a completion that exhausts memory or stack is wrong.
    """
    start = time.perf_counter()
    try:
        verdict = judge_once(job, custom, isolation)
    except DataError as error:
        verdict = no_verdict(str(error))
    except (MemoryError, RecursionError) as error:
        verdict = Verdict("wrong", 0.0, f"judging it took too much memory or depth ({type(error).__name__})")
    seconds = time.perf_counter() - start
    return {
        "value": verdict.value,
        "score": verdict.score,
        "reason": verdict.reason,
        "extracted": verdict.extracted,
        "seconds": seconds,
    }


def judge_once(job: Mapping[str, Any], custom: CustomReward | None, isolation: Isolation) -> Verdict:
    """The verdict on a completion; of a kind whose verdicts depend on a part of it, equal parts are judged only once.

    A policy that has learnt a problem writes one and the same program in most completions of a group.
    """
    part = judged_part(job)
    key = None if part is None else (part, pickle.dumps(job["fields"]))
    verdict = None if key is None else _judged.pop(key, None)
    if verdict is None:
        verdict = judge(job["kind"], job["completion"], job["contract"], job["fields"], custom=custom, isolation=isolation)
    if key is not None and verdict.value != "none":
        _judged[key] = verdict
        if len(_judged) > KEPT_VERDICTS:
            del _judged[next(iter(_judged))]  # the least recently used
    return verdict


def judged_part(job: Mapping[str, Any]) -> str | None:
    """The part of the completion that alone decides the verdict; None where all of it does, or there is no such part."""
    kind = KINDS.get(job["kind"])
    if kind is None or kind.judged_part is None or job["contract"] not in CONTRACTS:
        return None
    return kind.judged_part(job["completion"], job["contract"])


def test_sandbox(isolation: Isolation) -> None:
    """Open the sandbox, which tests itself, before the first verdict's clock starts; that there is none, each verdict says."""
    with contextlib.suppress(SandboxUnavailableError):
        open_sandbox(isolation)


def confine() -> None:
    """No writing to files, no network, no other process, as far as the kernel lets a process bind itself.

    Workers that run model-written code stay free: the sandbox they start does its own confining, and could not from in here.
    """
    if sys.platform != "linux":
        return
    try:
        ruleset = make_ruleset([("/", "tree")])
    except OSError:  # a kernel without Landlock
        ruleset = None
    system_calls = seccomp.alone_filter(os.getpid()) if seccomp.supported() else None
    restrict({"parent": os.getppid(), "seccomp": system_calls}, ruleset)
    os.environ.setdefault("MPLCONFIGDIR", "/tmp")  # matplotlib is not imported where it sees no place to write to


def limit_memory() -> None:
    """A verdict that wants more address space than this gets a MemoryError."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our ends of the two pipes; whatever a grader prints goes to standard error instead."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, replies


def read_pickle(stream: BinaryIO) -> Any:
    """The next frame, None at the end of the stream."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    body = stream.read(LENGTH.unpack(header)[0])
    return pickle.loads(body)


def write_json(stream: BinaryIO, value: Any) -> None:
    body = json.dumps(value).encode()
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


if __name__ == "__main__":
    main()

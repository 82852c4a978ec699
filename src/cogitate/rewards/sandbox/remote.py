"""Sandboxes of other machines, over HTTP: SandboxFusion and Piston, for where no local isolation can be had.

What is expected stays here with them too: a program goes out with its inputs, and its output comes back. Calls of one
program go out together, as one script that prints each answer behind a mark. Faults of the service are
SandboxUnavailableError (no verdict), never the program's.
"""

from __future__ import annotations

import copy
import json
import secrets
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox import inside
from cogitate.rewards.sandbox.data import BadDataError, decode_text
from cogitate.rewards.sandbox.limits import MIB, Ending, Limits, RunResult

ANSWER_BYTES = 32 * MIB  # of one HTTP answer

CALLS_SCRIPT = """
{guest}

def _answer_calls(program, prelude, name, calls, mark, write, flush):
    module, given = new_module("solution", prelude)
    run_in(module, program)
    for args, kwargs in calls:
        try:
            text = '{{"value":' + encode(find(module.__dict__, name, given)(*args, **kwargs)) + "}}"
        except Exception as error:
            text = '{{"error":' + describe(error) + "}}"
        write("\\n" + mark + text + "\\n")
        flush()

_answer_calls({program!r}, {prelude!r}, {name!r}, {calls}, {mark!r}, sys.stdout.write, sys.stdout.flush)
"""

WHOLE_SCRIPT = """
exec(compile({prelude!r}, "prelude.py", "exec"))
exec(compile({program!r}, "program.py", "exec"))
"""
LONG_NUMBERS = """
import sys as _sys
if hasattr(_sys, "set_int_max_str_digits"):
    _sys.set_int_max_str_digits(0)
del _sys
"""


class RemoteSandbox(ABC):
    """A service that runs one Python script at a time.

    Args:
        url: of the service, e.g. http://127.0.0.1:8080.
        limits: of each program, as far as the service can hold them.
    """

    def __init__(self, url: str, limits: Limits | None = None):
        self.url = url.rstrip("/")
        self.limits = limits or Limits()
        self.prelude = ""

    def with_prelude(self, source: str) -> RemoteSandbox:
        """The same sandbox, whose programs find the names that this source makes."""
        other = copy.copy(self)
        other.prelude = source
        return other

    def run(self, source: str, *, stdin: bytes = b"", limits: Limits | None = None) -> RunResult:
        """Run a program as a script to its end. Raises SandboxUnavailableError for faults of the service."""
        script = LONG_NUMBERS + WHOLE_SCRIPT.format(prelude=self.prelude, program=source)
        return self._run(script, stdin.decode("utf-8", "replace"), limits or self.limits)

    def call(
        self, source: str, name: str, calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]], limits: Limits | None = None
    ) -> tuple[list[dict[str, Any]], RunResult]:
        """Call a program's function for each (args, kwargs), all in one run.

        Returns:
            {"value": plain data} or {"error": text} for each call that was answered, and how the run ended.
        """
        mark = secrets.token_hex(16)
        literal = _literal([(list(args), dict(kwargs)) for args, kwargs in calls])
        guest = inside.source("guest")
        script = CALLS_SCRIPT.format(guest=guest, program=source, prelude=self.prelude, name=name, calls=literal, mark=mark)
        result = self._run(LONG_NUMBERS + script, "", limits or self.limits)
        lines = [line for line in result.stdout.split(b"\n") if line.startswith(mark.encode())]
        return [_read_answer(line[len(mark) :]) for line in lines[: len(calls)]], result

    @abstractmethod
    def _run(self, source: str, stdin: str, limits: Limits) -> RunResult: ...

    def _post(self, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                answer = json.loads(response.read(ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(500).decode(errors="replace")
            raise SandboxUnavailableError(f"{self.url}{path} answered {error.code}: {said}") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
            raise SandboxUnavailableError(f"{self.url}{path} cannot be used: {error}") from error
        if not isinstance(answer, dict):
            raise SandboxUnavailableError(f"{self.url}{path} answered something else than an object")
        return answer


class SandboxFusion(RemoteSandbox):
    """bytedance/SandboxFusion: POST /run_code."""

    def _run(self, source: str, stdin: str, limits: Limits) -> RunResult:
        started = time.monotonic()
        body = {
            "code": source,
            "language": "python",
            "stdin": stdin,
            "run_timeout": limits.wall_seconds,
            "memory_limit_MB": limits.memory_bytes // MIB,
        }
        answer = self._post("/run_code", body, limits.wall_seconds + 30)
        ran = answer.get("run_result")
        if answer.get("status") == "SandboxError" or not isinstance(ran, dict):
            raise SandboxUnavailableError(f"{self.url}: the service failed: {str(answer.get('message'))[:500]}")
        ending: Ending = "wall" if ran.get("status") == "TimeLimitExceeded" else "exit"
        return _result(ran, ending, ran.get("return_code"), 0.0, started, limits)


class Piston(RemoteSandbox):
    """engineer-man/piston: POST /api/v2/execute. `version` is a Python version that the service has installed."""

    STATUSES: Mapping[str, Ending] = {"TO": "wall", "OL": "output", "EL": "output"}

    def __init__(self, url: str, limits: Limits | None = None, *, version: str = "3.x"):
        super().__init__(url, limits)
        self.version = version

    def _run(self, source: str, stdin: str, limits: Limits) -> RunResult:
        started = time.monotonic()
        body = {
            "language": "python",
            "version": self.version,
            "files": [{"name": "main.py", "content": source}],
            "stdin": stdin,
            "run_timeout": round(limits.wall_seconds * 1000),
            "run_cpu_time": round(limits.cpu_seconds * 1000),
            "run_memory_limit": limits.memory_bytes,
        }
        answer = self._post("/api/v2/execute", body, limits.wall_seconds + 30)
        ran = answer.get("run")
        if not isinstance(ran, dict) or ran.get("status") == "XX":
            raise SandboxUnavailableError(f"{self.url}: the service failed: {str(ran or answer)[:500]}")
        ending = self.STATUSES.get(str(ran.get("status")), "exit")
        if ending == "exit" and ran.get("signal") == "SIGKILL":
            ending = "memory"  # what the service does at its memory limit, and older ones at any limit
        code = ran.get("code")
        return _result(ran, ending, 128 if code is None else code, (ran.get("cpu_time") or 0) / 1000, started, limits)


def _result(
    ran: Mapping[str, Any], ending: Ending, exit_code: Any, cpu_seconds: float, started: float, limits: Limits
) -> RunResult:
    stdout, stderr = (str(ran.get(name) or "").encode("utf-8", "surrogatepass") for name in ("stdout", "stderr"))
    if ending == "exit" and len(stdout) + len(stderr) > limits.output_bytes + limits.message_bytes:
        ending = "output"
    code = exit_code if ending == "exit" and isinstance(exit_code, int) else None
    if ending == "exit" and code is None:
        raise SandboxUnavailableError("the service says neither how the program ended nor why not")
    return RunResult(ending, code, stdout, stderr, cpu_seconds, time.monotonic() - started)


def _read_answer(text: bytes) -> dict[str, Any]:
    try:
        if text.startswith(b'{"value":') and text.endswith(b"}"):
            return {"value": decode_text(text[9:-1])}
        return {"error": str(json.loads(text)["error"])}
    except (BadDataError, ValueError, KeyError, TypeError, RecursionError):
        return {"error": "the answer is not readable"}


def _literal(value: Any) -> str:
    """Plain data as Python source."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f"float('{value}')"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, tuple):
        return "(" + "".join(_literal(item) + ", " for item in value) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    return repr(value)

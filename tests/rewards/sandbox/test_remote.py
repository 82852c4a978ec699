"""Remote sandboxes, spoken to over HTTP as their documentation says; the server here really runs the programs."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.sandbox.remote import Piston, RemoteSandbox, SandboxFusion
from cogitate.rewards.workers.pool import GraderPool
from cogitate.types import Problem

LIMITS = Limits(cpu_seconds=0.5, wall_seconds=0.5)


class Service(BaseHTTPRequestHandler):
    """Both protocols; runs programs of these tests in a plain subprocess."""

    seen: ClassVar[list[dict[str, Any]]] = []
    broken = False

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append(body)
        if self.path == "/run_code":
            status, answer = 200, self.sandbox_fusion(body)
        elif self.path == "/api/v2/execute":
            status, answer = self.piston(body)
        else:
            status, answer = 404, {"message": "no such path"}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def sandbox_fusion(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.broken:
            return {"status": "SandboxError", "message": "no worker is free", "run_result": None, "files": {}}
        assert body["language"] == "python"
        ran = run(body["code"], body["stdin"], body["run_timeout"])
        if ran is None:
            result = {"status": "TimeLimitExceeded", "execution_time": body["run_timeout"], "return_code": None}
            return {"status": "Failed", "message": "", "run_result": {**result, "stdout": "", "stderr": ""}, "files": {}}
        result = {"status": "Finished", "execution_time": 0.1, "return_code": ran.returncode}
        result |= {"stdout": ran.stdout, "stderr": ran.stderr}
        return {"status": "Failed" if ran.returncode else "Success", "message": "", "run_result": result, "files": {}}

    def piston(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.broken:
            return 500, {"message": "Internal server error"}
        if body["version"] not in ("3.x", "3.12.0"):
            return 400, {"message": f"python-{body['version']} runtime is unknown"}
        ran = run(body["files"][0]["content"], body["stdin"], body["run_timeout"] / 1000)
        stage: dict[str, Any] = {"stdout": "", "stderr": "", "output": "", "code": None, "signal": "SIGKILL", "status": "TO"}
        if ran is not None:
            stage |= {"stdout": ran.stdout, "stderr": ran.stderr, "code": ran.returncode, "signal": None, "status": None}
        return 200, {"language": "python", "version": "3.12.0", "run": {**stage, "cpu_time": 50, "wall_time": 60}}

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""


def run(code: str, stdin: str, seconds: float) -> subprocess.CompletedProcess[str] | None:
    command = [sys.executable, "-I", "-c", code]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=[SandboxFusion, Piston])
def box(request: pytest.FixtureRequest, url: str) -> RemoteSandbox:
    Service.seen.clear()
    made: RemoteSandbox = request.param(url, Limits(wall_seconds=60))
    return made


def test_a_script_runs_with_its_input(box: RemoteSandbox) -> None:
    result = box.run("print(int(input()) * 2)", stdin=b"21\n")
    assert (result.ending, result.exit_code, result.stdout) == ("exit", 0, b"42\n")
    assert box.run("import sys\nsys.exit(3)").exit_code == 3


@pytest.mark.parametrize("kind", ["sandbox_fusion", "piston"])
def test_the_pool_lets_programs_run_there(url: str, kind: str) -> None:
    Service.seen.clear()
    fields = {"mode": "function", "entry_point": "f", "tests": [[3, 6]], "limits": {"wall_seconds": 60}}
    with GraderPool(1, remote_sandbox=f"{kind}:{url}") as pool:
        pool.submit("a", Problem("1", "code", "code", "?", fields=fields), "def f(x):\n    return 2 * x", "bare")
        while pool.pending():
            for _, verdict in pool.poll(1.0):
                assert verdict.value == "right", verdict.reason
    assert len(Service.seen) == 1


def test_stdin_tests_are_judged(box: RemoteSandbox) -> None:
    tests = [{"input": "5\n", "output": "15\n"}, {"input": "1\n", "output": "1\n"}]
    right = "```python\nn = int(input())\nprint(n * (n + 1) // 2)\n```"
    assert grade_code(right, mode="stdin", tests=tests, sandbox=box).value == "right"
    assert grade_code("```python\nprint(15)\n```", mode="stdin", tests=tests, sandbox=box).value == "wrong"


def test_functions_are_judged_and_what_is_expected_is_never_sent(box: RemoteSandbox) -> None:
    tests = [[[[3, 1]], [1, 3]], [[[]], []], {"args": [[float("inf"), 2]], "expected": [2, float("inf")]}]
    program = "def f(xs):\n    print('noise')\n    return sorted(xs)"
    assert grade_code(program, entry_point="f", tests=tests, sandbox=box).value == "right"
    secret = [[1, "a value nobody sees"]]
    verdict = grade_code("def f(x):\n    return x\n", entry_point="f", tests=secret, sandbox=box)
    assert verdict.value == "wrong"
    assert "nobody sees" not in json.dumps(Service.seen)


def test_a_prelude_and_long_numbers_are_there_too(box: RemoteSandbox) -> None:
    function = "class Solution:\n    def f(self, x: List[int]):\n        return len(str(10 ** x[0])) + gcd(4, 6)\n"
    assert grade_code(function, entry_point="f", tests=[[[[5000]], 5003]], sandbox=box, prelude="leetcode").value == "right"
    script = "print(deque([str(10 ** int(input()))])[0])"
    tests = [{"input": "5000", "output": "1" + "0" * 5000}]
    assert grade_code(script, mode="stdin", tests=tests, sandbox=box, prelude="leetcode").value == "right"
    assert grade_code(script, mode="stdin", tests=tests, sandbox=box).value == "wrong"


def test_each_answered_call_counts(box: RemoteSandbox) -> None:
    program = "import os\ndef f(x):\n    if x == 3: os._exit(0)\n    if x == 1: raise KeyError(x)\n    return x\n"
    verdict = grade_code(program, entry_point="f", tests=[[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]], partial=True, sandbox=box)
    assert verdict.value == "wrong"
    assert "f(1) raised or gave KeyError" in verdict.reason


@pytest.mark.parametrize(
    "program",
    [
        "class T:\n    def __eq__(self, other): return True\ndef f(x): return T()",
        "import os\ndef f(x): os._exit(0)",
        "print('{\"value\":1}')\ndef f(x): return 0",
        "import sys\nsys.exit()",
        "def f(:",
    ],
)
def test_attacks_are_wrong(box: RemoteSandbox, program: str) -> None:
    assert grade_code(f"```python\n{program}\n```", entry_point="f", tests=[[5, 1], [6, 2]], sandbox=box).value == "wrong"


def test_a_time_limit_is_the_programs_fault(url: str) -> None:
    for kind in (SandboxFusion, Piston):
        verdict = grade_code("while True: pass", mode="stdin", tests=[{"input": "", "output": "1"}], sandbox=kind(url, LIMITS))
        assert verdict.value == "wrong"
        assert "longer than allowed" in verdict.reason


def test_faults_of_the_service_are_no_verdict(box: RemoteSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "broken", True)
    verdict = grade_code("def f(x):\n    return x\n", entry_point="f", tests=[[1, 1]], sandbox=box)
    assert verdict.value == "none"
    with pytest.raises(SandboxUnavailableError):
        box.run("print(1)")


def test_a_service_that_is_not_there_is_no_verdict() -> None:
    with pytest.raises(SandboxUnavailableError, match="cannot be used"):
        SandboxFusion("http://127.0.0.1:9").run("print(1)")


def test_a_python_the_service_has_not_is_said(url: str) -> None:
    with pytest.raises(SandboxUnavailableError, match="runtime is unknown"):
        Piston(url, version="2.7").run("print(1)")


def test_assertions_cannot_be_judged_remotely(box: RemoteSandbox) -> None:
    assert grade_code("def f(x):\n    return x\n", entry_point="f", tests="assert f(1) == 1", sandbox=box).value == "none"

"""`python -m benchmarks.speed.studio`: how fast a studio of ten thousand items opens, and whether its memory stays flat.

Server and browser are measured apart: the time and the processor time that the server takes for each answer, then in Chromium
the time from opening the link until the first item stands there, with the work of the page in it. Without Playwright (the extra
`pages`) or Chromium the server alone is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks import machine
from cogitate.runtime import python_path

SHOWN = """new MutationObserver(() => {
  if (!window.shownAt && document.getElementById("question")) window.shownAt = performance.now();
}).observe(document, { childList: true, subtree: true });"""
WORK = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")  # seconds, of Chromium's metrics
MIB = 2**20


def main() -> None:
    options = parse()
    print(f"load of the machine before: {machine.machine_facts()['load_average']}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.jsonl"
        path.write_text("".join(json.dumps(item(number)) + "\n" for number in range(options.items)), encoding="utf-8")
        for title in ("made", "opened again"):
            begun = time.perf_counter()
            with served(path) as server:
                print(f"the studio was {title} after {time.perf_counter() - begun:.2f} s, "
                      f"{server.processor_seconds():.2f} s of processor time")  # fmt: skip
                if title == "made":
                    continue
                measure_server(server, options.openings)
                measure_browser(server, options.openings)
                measure_memory(server, options.decisions)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speed.studio", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--openings", type=int, default=10, help="of which the median, the least and the greatest are shown")
    parser.add_argument("--decisions", type=int, default=1000, help="between two looks at the memory")
    return parser.parse_args(arguments)


def item(number: int) -> dict[str, Any]:
    """A candidate of a cold_start, of ordinary length."""
    thinking = f"{number} + {number + 3} = {2 * number + 3}. " + "I check each digit once more before I answer. " * 20
    return {
        "id": f"direct-{number:06d}", "source": "direct", "model": "base", "prompt": "direct_checked", "task": "sums",
        "problem_id": f"sums:{number // 2}", "language": "en", "question": f"What is {number} + {number + 3}?",
        "completion": thinking, "contract": "free", "finish_reason": "stop", "tokens": 250, "verdict": "right", "reason": "",
        "extracted": str(2 * number + 3), "text": f"<think> {thinking} </think>\nThe answer is {2 * number + 3}.",
        "faults": [], "kept": True, "rule": None,
    }  # fmt: skip


class Server:
    """`cogitate studio` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], link: str):
        self.link = link
        self.url, _, self.key = link.partition("/#key=")
        self._process = psutil.Process(process.pid)

    def ask(self, path: str, body: Any = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, content, headers)) as response:
            answer: bytes = response.read()
        return answer

    def processor_seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> float:
        """MiB that are resident, without the workers of the graders."""
        return float(self._process.memory_info().rss) / MIB


@contextmanager
def served(path: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "cogitate", "studio", str(path), "--port", "0", "--annotators", "eva"]
    environment = {**os.environ, "PYTHONPATH": python_path()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        link = next(line.split()[-1] for line in process.stdout if "#key=" in line)
        try:
            server = Server(process, link)
            server.ask("/")  # it listens before it answers
            yield server
        finally:
            process.send_signal(signal.SIGINT)


def measure_server(server: Server, repetitions: int) -> None:
    scripts = [
        f"/static/{name}.js" for name in ("dialogs", "item", "keys", "list", "panels", "server", "state", "studio", "text")
    ]
    page = ["/", "/static/studio.css", *scripts]
    for title, paths in (
        ("the page and its scripts", page),
        ("what it shows first", ["/api/open"]),
        ("the whole queue", ["/api/queue"]),
    ):
        before = server.processor_seconds()
        seconds, size = [], 0
        for _ in range(repetitions):
            begun = time.perf_counter()
            size = sum(len(server.ask(path)) for path in paths)
            seconds.append(time.perf_counter() - begun)
        processor = (server.processor_seconds() - before) / repetitions
        print(f"server, {title}: {spread(seconds)}, processor {1000 * processor:.0f} ms, {size / 1000:.0f} kB")


def measure_browser(server: Server, repetitions: int) -> None:
    with chromium() as browser:
        if browser is None:
            print("browser: not measured, Playwright or Chromium is not here")
            return
        found: dict[str, list[float]] = {}
        for _ in range(repetitions + 1):
            page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
            page.add_init_script(SHOWN)
            metrics = page.context.new_cdp_session(page)
            metrics.send("Performance.enable")
            page.goto(server.link)
            page.wait_for_function("() => window.shownAt")
            work = {one["name"]: one["value"] for one in metrics.send("Performance.getMetrics")["metrics"]}
            answer = page.evaluate(
                "() => performance.getEntriesByType('resource').find((one) => one.name.includes('/api/open'))"
            )
            shown = {"until the first item": page.evaluate("() => window.shownAt"),
                     "in it, waiting for the server's answer": answer["responseEnd"] - answer["startTime"]}  # fmt: skip
            for name, milliseconds in shown.items():
                found.setdefault(name, []).append(milliseconds / 1000)
            for name in WORK:
                found.setdefault(f"work of the page, {name}", []).append(work[name])
            page.context.close()
        for name, seconds in found.items():
            print(f"browser, {name}: {spread(seconds[1:])}")  # the first one starts the browser's processes


def measure_memory(server: Server, decisions: int) -> None:
    """Each decision is an event that stays in memory; what is read and shown must not."""
    before = server.memory()
    for number in range(decisions):
        server.ask(f"/api/item?id=direct-{number:06d}")
        server.ask("/api/open")
    read = server.memory()
    for number in range(decisions):
        server.ask("/api/act", {"do": "reject", "item": f"direct-{number:06d}", "active_seconds": 3})
    decided = server.memory()
    print(f"memory of the server: {before:.0f} MiB; {decisions} items opened {read:.0f}, as many decided {decided:.0f}")


def spread(seconds: Sequence[float]) -> str:
    found = [1000 * second for second in seconds]
    return f"{median(found):.0f} ms ({min(found):.0f} to {max(found):.0f})"


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; None where there is none."""
    path = os.environ.get("COGITATE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    starter: Callable[[], Any] | None = None
    try:
        from playwright.sync_api import sync_playwright

        starter = sync_playwright
    except ImportError:
        path = None
    if path is None or starter is None:
        yield None
        return
    with starter() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    main()

"""A studio in a process of its own, and Chromium in front of it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cogitate.runtime import python_path

SCREENSHOTS = os.environ.get("COGITATE_SCREENSHOTS", "")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": python_path()}


def cogitate(*arguments: str, cwd: Path) -> str:
    """The command line, to its end."""
    command = [sys.executable, "-m", "cogitate", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class StudioProcess:
    """`cogitate studio` on a port that stays the same, so that it can be killed and started again behind an open page."""

    def __init__(self, path: Path, *options: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [sys.executable, "-m", "cogitate", "studio", str(path), "--port", str(self.port), *options]
        self.links: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        """Wait until the links are printed and somebody listens."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self._process = subprocess.Popen(self._command, env=environment(), **pipes)
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if ": http://" in line:
                self.links[line.split()[0]] = line.split()[-1]
            if "Stop it with Ctrl-C" in line:
                break
        assert self.links, "".join(said)
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("nobody listens")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.communicate(timeout=60)


@contextmanager
def studio_process(path: Path, *options: str) -> Iterator[StudioProcess]:
    process = StudioProcess(path, *options)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; what a page logs as an error fails the test."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright (the extra pages) is not installed")
    path = os.environ.get("COGITATE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium is here: install it, or name it in COGITATE_CHROMIUM")
    with playwright.sync_playwright() as starter:
        browser = starter.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Page:
    """One person's page: keys alone, and what the page says."""

    def __init__(self, browser: Any, link: str, **options: Any):
        self.errors: list[str] = []
        self.page = browser.new_context(viewport={"width": 1280, "height": 860}, **options).new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(link)
        self.says("Item 1 of")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def says(self, text: str) -> None:
        self.page.locator("#status", has_text=text).wait_for(timeout=60_000)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())

    def picture(self, name: str) -> None:
        """A screenshot, where COGITATE_SCREENSHOTS names a directory for them."""
        if SCREENSHOTS:
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"))

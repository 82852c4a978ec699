"""Runs on a cluster of Ray, as a user starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

STEPS_OF_ALL = 6
STEPS = (
    f"r1_zero.steps={STEPS_OF_ALL}", "r1_zero.prompts_per_step=4", "r1_zero.group_size=3", "r1_zero.max_new_tokens=48",
    "rewards.workers=1", "r1_zero.warmup_steps=0", "r1_zero.checkpoint_every=1", "r1_zero.transcripts_every=2",
    "runtime.device=cpu",
)  # fmt: skip
SECONDS = 1200.0  # for what takes seconds where nothing else works


def command(out: Path, *settings: str) -> list[str]:
    """A short R1-Zero from the shipped base."""
    return [sys.executable, "-m", "cogitate", "run", "tiny", "--only", "r1_zero", "--out", str(out), *STEPS, *settings]


def on_ray(generators: int, *settings: str) -> tuple[str, ...]:
    return ("runtime.backend=ray", f"cluster.generators={generators}", *settings)


def run(out: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(out, *settings), capture_output=True, text=True, timeout=SECONDS, env=os.environ, check=False)


def made(out: Path) -> dict[str, bytes]:
    """What must be equal: the weights, and the answers that were sampled."""
    return {name: (out / "r1_zero" / name).read_bytes() for name in ("model.safetensors", "transcripts.jsonl")}


@contextmanager
def driver_of(arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A command that is running; it is gone afterwards, and with it its Ray."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
        try:
            yield driver
        finally:
            driver.kill()


def stop_after_a_step(driver: subprocess.Popen[str], out: Path, *, pid: int | None = None, done_before: int = 0) -> int:
    """Have a driver stand still where it has a checkpoint and steps to do; returns how many it has done.

    Args:
        pid: of the driver, where `driver` is a script that has started it.
        done_before: steps that an earlier start had done, beside which it must do one.
    """
    pid, work = driver.pid if pid is None else pid, out / "unfinished" / "r1_zero"
    metrics = work / "out" / "metrics.jsonl"

    def done() -> int:
        return len(metrics.read_text().splitlines()) if metrics.is_file() and any(work.glob("checkpoint/*")) else 0

    until(lambda: done() > done_before or driver.poll() is not None, "a checkpoint")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: driver.poll() is not None or psutil.Process(pid).status() == psutil.STATUS_STOPPED, "its stop")
    assert driver.poll() is None, driver.communicate()[1]
    assert done_before < done() < STEPS_OF_ALL - 1, f"it was stopped after {done()} of {STEPS_OF_ALL} steps"
    return done()


def called(processes: Iterable[psutil.Process], word: str) -> list[psutil.Process]:
    """Those that live and have a word in their name."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if word in process.name():
                found.append(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    """A zombie is not: whoever became its parent may leave it."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that happens sooner or later."""
    limit = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < limit, f"after {SECONDS:.0f} s still not: {what}"
        time.sleep(0.05)

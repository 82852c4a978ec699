"""Runs on a cluster of Ray, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

STEPS = (
    "r1_zero.steps=4", "r1_zero.prompts_per_step=4", "r1_zero.group_size=3", "r1_zero.max_new_tokens=48", "rewards.workers=1",
    "r1_zero.warmup_steps=0", "r1_zero.checkpoint_every=1", "r1_zero.transcripts_every=2", "runtime.device=cpu",
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


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that happens sooner or later."""
    limit = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < limit, f"after {SECONDS:.0f} s still not: {what}"
        time.sleep(0.05)

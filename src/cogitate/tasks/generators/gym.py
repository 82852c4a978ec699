"""reasoning-gym's generators as tasks: `gym:chain_sum` in tasks.train or tasks.eval, its settings in tasks.gym.chain_sum.

Problems are made in a process of its own (`gym_items`), whose hash seed is fixed: some generators walk through sets. Training
and evaluation never meet: a stable hash of the question says to which of the two a problem belongs.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cogitate.errors import ConfigError, DataError
from cogitate.rewards.graders.gym.library import EVALUATE_ANSWERS
from cogitate.runtime import python_path
from cogitate.tasks.common import Split
from cogitate.tasks.files.jsonl import canonical
from cogitate.types import Problem

PREFIX = "gym:"


def is_gym(name: str) -> bool:
    """Whether a task's name is one of reasoning-gym's generators."""
    return name.startswith(PREFIX)


def needs_sandbox(name: str) -> bool:
    """Whether the generator's scorer evaluates what a model wrote."""
    return name.removeprefix(PREFIX) in EVALUATE_ANSWERS


def gym_problems(name: str, settings: Mapping[str, Any], count: int, *, split: Split, seed: int) -> list[Problem]:
    """`count` distinct problems of one generator.

    Args:
        name: e.g. "gym:chain_sum".
        settings: of the generator, where they are not the defaults.

    Raises:
        ConfigError: reasoning-gym is not installed, or has no such generator or setting.
        DataError: there are fewer distinct problems, or the generator fails.
    """
    entries = make_entries(name, json.dumps(settings, sort_keys=True), count, split, seed)
    return [
        Problem(
            id=f"{name}:{hashlib.sha256(canonical(entry['question']).encode()).hexdigest()[:16]}",
            task=name,
            kind="gym",
            question=entry["question"],
            gold=entry["answer"],
            fields={"generator": name.removeprefix(PREFIX), "entry": entry, "config": dict(settings)},
        )
        for entry in entries
    ]


@lru_cache(maxsize=64)
def make_entries(name: str, settings: str, count: int, split: Split, seed: int) -> tuple[dict[str, Any], ...]:
    """The generator's entries, kept for the next stage that asks for them."""
    order = {"generator": name.removeprefix(PREFIX), "settings": json.loads(settings), "task": name}
    finished = subprocess.run(
        [sys.executable, "-P", "-m", "cogitate.tasks.generators.gym_items", str(os.getpid())],
        input=json.dumps({**order, "count": count, "split": split, "seed": seed}).encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHONHASHSEED": "0"},
        start_new_session=True,  # an interruption from the terminal is for us alone
        check=False,
    )
    if finished.returncode:
        last = finished.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise DataError(f"task {name}: the generator's process ended with code {finished.returncode}: {last[:300]}")
    answer = pickle.loads(finished.stdout)
    if "config_error" in answer:
        raise ConfigError(answer["config_error"])
    if "data_error" in answer:
        raise DataError(answer["data_error"])
    return tuple(answer["entries"])

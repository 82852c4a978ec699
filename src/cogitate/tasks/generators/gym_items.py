"""The process that lets reasoning-gym make problems: an order (JSON) on standard input, entries (pickle) on standard output.

Started by `gym` as `python -m cogitate.tasks.generators.gym_items PARENT_PID` with a fixed hash seed. Whatever generators do to
the global sources of randomness, or print, stays in here.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
from typing import Any

import numpy as np

from cogitate.errors import ConfigError, DataError
from cogitate.rewards.graders.gym.library import ITEMS, make_config, make_dataset
from cogitate.runtime import die_with_parent
from cogitate.tasks.common import DRAWS_PER_PROBLEM, belongs
from cogitate.tasks.files.jsonl import canonical

PREPARED = frozenset({"acre", "gsm_symbolic", "list_functions"})  # draw their items when they are made


def main() -> None:
    """Carry out one order."""
    die_with_parent(int(sys.argv[1]))
    replies = os.dup(1)
    os.dup2(2, 1)
    order = json.load(sys.stdin)
    answer: dict[str, Any]
    try:
        answer = {"entries": draw_entries(order)}
    except ConfigError as error:
        answer = {"config_error": str(error)}
    except DataError as error:
        answer = {"data_error": str(error)}
    with os.fdopen(replies, "wb") as stream:
        pickle.dump(answer, stream)


def draw_entries(order: dict[str, Any]) -> list[dict[str, Any]]:
    """`count` entries with different questions, all of one split.

    Raises:
        ConfigError: no such generator or setting.
        DataError: there are fewer, or the generator fails again and again.
    """
    task, generator, settings, count = order["task"], order["generator"], order["settings"], order["count"]
    rng = random.Random(f"{order['seed']}/{order['split']}/{task}")
    seen: set[str] = set()
    entries: list[dict[str, Any]] = []
    while len(entries) < count:
        failure = ""
        for _ in range(DRAWS_PER_PROBLEM):
            seed, index = rng.getrandbits(31), rng.randrange(ITEMS)
            try:
                entry = make_entry(generator, settings, seed, index)
            except ConfigError:
                raise
            except Exception as error:  # noqa: BLE001 - some generators give up now and then
                failure = f"; the last draw failed: {type(error).__name__}: {error}"
                continue
            question = canonical(entry["question"])
            if question not in seen and belongs(order["split"], task, question):
                break
        else:
            raise DataError(
                f"task {task}: fewer than {count} distinct {order['split']} problems{failure}; "
                f"ask for fewer, or change tasks.gym.{generator}"
            )
        seen.add(question)
        entries.append(entry)
    return entries


def make_entry(generator: str, settings: dict[str, Any], seed: int, index: int) -> dict[str, Any]:
    """One entry: {"question", "answer" (None where many are right), "metadata"}, as plain Python data."""
    random.seed(seed)
    np.random.seed(seed)
    dataset = make_dataset(generator, settings)
    if generator in PREPARED:
        config = make_config(generator, settings)
        config.seed = seed
        dataset = type(dataset)(config=config)
    dataset.seed = dataset.config.seed = seed
    return dict(_plain(dataset[index]))


def _plain(value: Any) -> Any:
    """NumPy's scalars and texts as Python's own."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, np.generic):
        return value.item()
    return value


if __name__ == "__main__":
    main()

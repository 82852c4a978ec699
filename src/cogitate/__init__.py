"""Cogitate: the complete DeepSeek-R1 recipe as software. Start with `recipe/recipe.py`: it reads like the paper's figure.

From Python: `load` and `generate` for models, `grade` for answers, `run` for a recipe, `compare` for runs (docs/python.md).
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# How long a thread that waits for others keeps its core before it sleeps, in turns of a loop: some 50 microseconds instead of
# many milliseconds. Beside other programs it would use up the time of those that it waits for. Read when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Each name is imported from its file when it is first used, so that `import cogitate` does not wait for torch. Their types are
# in `__init__.pyi`.
_PLACES = {
    "Completion": "completion",
    "Model": "model",
    "Run": "run_handle",
    "compare": "comparison",
    "generate": "model",
    "grade": "grading",
    "load": "model",
    "run": "running",
}
__all__ = ["Completion", "Model", "Run", "compare", "generate", "grade", "load", "run"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"cogitate.front_door.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])

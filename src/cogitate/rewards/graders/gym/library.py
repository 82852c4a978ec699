"""reasoning-gym (https://github.com/open-thought/reasoning-gym): its generators by name, each with its own settings.

The library is imported when first needed; it is the extra `gym`.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import importlib.util
import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cogitate.errors import ConfigError
from cogitate.rewards.loading import heavy_import

ITEMS = 20  # size of the data sets we make; what is drawn from them does not depend on it but for PREPARED ones
OURS = ("seed", "size")  # settings of every generator that follow from ours
MIXTURE = "composite"
EVALUATE_ANSWERS = frozenset({"binary_matrix", "n_queens", "spiral_matrix", "string_insertion"})  # with Python's eval
PARSE_ANSWERS = frozenset(  # with sympy's parse_expr, which is an eval in disguise
    {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
_OF_TUPLES = frozenset({"arc_agi", "rearc"})  # grids in their entries are tuples, which JSON has not


def generators() -> list[str]:
    """The names of all generators. Raises ConfigError where the library is not installed."""
    return sorted(name for name in _registry() if name != MIXTURE)


def make_config(generator: str, settings: Mapping[str, Any]) -> Any:
    """A generator's configuration.

    Raises:
        ConfigError: no such generator or setting (the nearest is named), or a value it cannot work with.
    """
    registry = _registry()
    if generator == MIXTURE:
        raise ConfigError(f"gym:{MIXTURE}: name the tasks it would mix instead, separated by commas")
    if generator not in registry:
        nearest = difflib.get_close_matches(generator, generators(), n=1, cutoff=0.0)[0]
        raise ConfigError(f"gym:{generator}: reasoning-gym has no such generator; did you mean gym:{nearest}?")
    config_class = registry[generator][1]
    defaults = config_class()
    known = [field.name for field in dataclasses.fields(config_class) if field.init and field.name not in OURS]
    given = {}
    for key, value in settings.items():
        if key in OURS:
            raise ConfigError(f"tasks.gym.{generator}.{key}: follows from the recipe's own settings; leave it out")
        if key not in known:
            did_you_mean = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            advice = f"did you mean tasks.gym.{generator}.{did_you_mean[0]}?" if did_you_mean else "it has none"
            raise ConfigError(f"unknown key tasks.gym.{generator}.{key}; {advice}")
        given[key] = _like(getattr(defaults, key), value, f"tasks.gym.{generator}.{key}")
    config = config_class(**given, seed=0, size=ITEMS)
    try:
        if hasattr(config, "validate"):
            config.validate()
    except Exception as error:  # assertions, and whatever else a wrong value leads to
        raise ConfigError(f"tasks.gym.{generator}: {str(error) or 'its settings contradict each other'}") from error
    return config


def make_dataset(generator: str, settings: Mapping[str, Any]) -> Any:
    """A generator with its scorer, kept for the next time. Raises ConfigError as make_config does."""
    return _make_dataset(generator, json.dumps(settings, sort_keys=True))


def restored(generator: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry that may have been through JSON as its scorer needs it."""
    if generator not in _OF_TUPLES:
        return dict(entry)
    return {**entry, "metadata": {key: _tuples(value) for key, value in entry["metadata"].items()}}


@lru_cache(maxsize=128)
def _make_dataset(generator: str, settings: str) -> Any:
    config = make_config(generator, json.loads(settings))
    with heavy_import():  # some read long lists of words
        return _registry()[generator][0](config=config)


@lru_cache(maxsize=1)
def _registry() -> dict[str, tuple[Any, Any]]:
    if importlib.util.find_spec("reasoning_gym") is None:
        raise ConfigError('tasks gym:... need reasoning-gym: pip install "cogitate[gym]"')
    with heavy_import():
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # imported by a generator; complains of confined workers
        import reasoning_gym
        from reasoning_gym.factory import DATASETS

        assert reasoning_gym
    return dict(DATASETS)


def _like(default: Any, value: Any, key: str) -> Any:
    """A value of the type of the default: a list becomes a tuple, a text one of an enum's members. Raises ConfigError."""
    if isinstance(default, enum.Enum):
        return _member(type(default), value, key)
    if isinstance(default, list) and isinstance(value, list) and default and isinstance(default[0], enum.Enum):
        return [_member(type(default[0]), item, key) for item in value]
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    wanted: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
    if default is not None and (not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool)):
        given, like = json.dumps(value, default=str), json.dumps(default, default=str)
        raise ConfigError(f"{key} = {given}: a value like {like} is needed")
    return value


def _member(members: type[enum.Enum], value: Any, key: str) -> enum.Enum:
    known = {str(member.value): member for member in members}
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{key} = {json.dumps(value, default=str)}: one of {', '.join(known)} is needed")
    return known[value]


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value

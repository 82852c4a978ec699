"""Values as Python expressions: those whose content is all there is to them, so that equal texts mean equal values."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from cogitate.errors import ConfigError

INSTALLED = ("site-packages", "dist-packages")


class UnstableError(ConfigError):
    """A value that has no expression; the message says what it is."""


def expression(value: Any) -> str:
    """A Python expression that evaluates to an equal value; compiled patterns need `re` beside it.

    Numbers, texts, bytes, None, true and false, compiled patterns, and tuples, lists, dictionaries and sets of these. The order
    of a set is no part of it, that of a dictionary is.

    Raises:
        UnstableError: it is, or holds, something else; subclasses are something else, too.
    """
    kind = type(value)
    if kind in (type(None), bool, int, str, bytes, complex):
        return repr(value)
    if kind is float:
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if kind is re.Pattern:
        flags = value.flags & ~re.UNICODE if isinstance(value.pattern, str) else value.flags
        return f"re.compile({value.pattern!r}{f', {int(flags)}' if flags else ''})"
    if kind is list:
        return f"[{', '.join(map(expression, value))}]"
    if kind is tuple:
        return f"({', '.join(map(expression, value))}{',' if len(value) == 1 else ''})"
    if kind is dict:
        return "{" + ", ".join(f"{expression(key)}: {expression(inner)}" for key, inner in value.items()) + "}"
    if kind in (set, frozenset):
        items = ", ".join(sorted(map(expression, value)))
        return f"{kind.__name__}([{items}])"
    raise UnstableError(f"an object of class {kind.__name__}")


def is_installed(module: str) -> bool:
    """Whether a module is Python's own, ours, or of an installed package: known by its name alone."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "cogitate":
        return True
    if top == "__main__":  # `python -m` an installed program is not what a worker would import by this name
        return False
    spec = sys.modules[top].__spec__ if top in sys.modules else importlib.util.find_spec(top)
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any(part in INSTALLED for place in places for part in Path(place).parts)


def import_line(name: str, value: Any) -> str | None:
    """The line that imports this very object as `name`; None where it is no module or no installed module's.

    Raises:
        UnstableError: a module of the user's own: its content is not in its name.
    """
    if isinstance(value, ModuleType):
        if not is_installed(value.__name__):
            raise UnstableError(f"the module {value.__name__}, a file of your own; import its functions by name")
        return f"import {value.__name__}" if name == value.__name__ else f"import {value.__name__} as {name}"
    module, own = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", None) or ""
    if not isinstance(module, str) or not isinstance(own, str) or not own.isidentifier() or not is_installed(module):
        return None
    if getattr(sys.modules.get(module), own, None) is not value:
        return None
    return f"from {module} import {own}" if name == own else f"from {module} import {own} as {name}"

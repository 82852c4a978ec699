"""A function as a module that stands alone: its source, its defaults, its closure, and what it reads of its module.

The text is the function's identity: whatever could change what it computes is in it, and nothing else. Imports are of installed
packages by name; functions of the user's are there by their source, with what these read; values are there as expressions.
What has no stable content is refused by one line that names it.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from types import FunctionType, MethodType, ModuleType
from typing import Any

from cogitate.errors import ConfigError
from cogitate.front_door.source import Source, read_source
from cogitate.front_door.stable import UnstableError, expression, import_line

NAME = "reward"  # of what has no name
WAY_OUT = 'make it a plain value or a function, or name an importable function: identity="module:function"'
HEAD = '"""A function given from Python, with all that it reads. This text is its identity."""'
FUTURE = "from __future__ import annotations"  # names in annotations are not read


def module_text(function: Callable[..., Any]) -> tuple[str, str]:
    """(the text of a module, the name of the function in it).

    Raises:
        ConfigError: something that it reads has no stable content, or it cannot be called with (completion, problem).
    """
    shown = getattr(function, "__name__", type(function).__name__)
    check_call(function, shown)
    writer = _Writer()
    try:
        name = writer.entry(function)
    except UnstableError as error:
        raise ConfigError(f"reward {shown}: {error}: {WAY_OUT}") from error
    except RecursionError as error:
        raise ConfigError(f"reward {shown}: a value that it reads holds itself: {WAY_OUT}") from error
    return writer.text(), name


def module_by_name(identity: str, function: Callable[..., Any] | None = None) -> tuple[str, str]:
    """The same for "module:function": the module imports it, and its name is all of its identity.

    Raises:
        ConfigError: there is no such function, or it is another one than `function`.
    """
    module, _, name = identity.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")) or module == "__main__":
        raise ConfigError(f"identity = {identity!r}: write it as module:function, of a module that can be imported")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"identity = {identity!r}: {error}") from error
    if function is not None and found != function:
        raise ConfigError(f"identity = {identity!r}: is another function than the one given as reward")
    check_call(found, name)
    return (
        f'"""A function known by its name: what it computes is for its owner to keep."""\n\nfrom {module} import {name}\n',
        name,
    )


def check_call(function: Any, shown: str) -> None:
    """Refuse what cannot be called with a completion and a problem, or gives no number at once."""
    if not callable(function):
        raise ConfigError(f"reward = {function!r}: must be a function of (completion, problem)")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(f"reward {shown}: must return a number; it is a coroutine or a generator")
    try:
        inspect.signature(function).bind("completion", {})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"reward {shown}: must take (completion, problem): {error}") from error


class _Writer:
    """Collects the parts of the module: a name means one thing in it."""

    def __init__(self) -> None:
        self._meaning: dict[str, str] = {}  # name -> the statement that binds it
        self._imports: list[str] = []
        self._values: list[str] = []
        self._functions: list[str] = []
        self._aliases: list[str] = []  # after all functions
        self._names: dict[int, str] = {}  # id of a function -> its name in the module
        self._alive: list[Any] = []  # so that an id stays one function's

    def text(self) -> str:
        head = [HEAD, FUTURE, "\n".join(sorted(set(self._imports))), "\n".join(self._values)]
        functions = [*self._functions, "\n".join(self._aliases)]
        return "\n\n".join(filter(None, head)) + "".join(f"\n\n\n{part}" for part in functions if part) + "\n"

    def entry(self, function: Any) -> str:
        """Bind the function itself; its name."""
        if import_line(NAME, function) is None:
            if isinstance(function, FunctionType):
                return self._function(function, NAME)
            if not isinstance(function, functools.partial | functools._lru_cache_wrapper | MethodType):
                raise UnstableError(f"is an object of class {type(function).__name__}")
        self._bind(NAME, function)
        return NAME

    def _bind(self, name: str, value: Any) -> None:
        """Let `name` mean `value`."""
        if (line := import_line(name, value)) is not None:
            self._state(name, line, self._imports)
        elif isinstance(value, FunctionType):
            own = self._function(value, name)
            if own != name:
                self._state(name, f"{name} = {own}", self._aliases)
        elif isinstance(value, functools.partial):
            self._partial(name, value)
        elif isinstance(value, functools._lru_cache_wrapper):
            self._cached(name, value)
        elif isinstance(value, MethodType):
            raise UnstableError(f"{name} is a method, which depends on its object")
        else:
            try:
                written = expression(value)
            except UnstableError as error:
                what = f"the class {value.__name__}" if isinstance(value, type) else error
                raise UnstableError(f"reads {name}, {what}") from None
            if "re.compile(" in written:
                self._state("re", "import re", self._imports)
            self._state(name, f"{name} = {written}", self._values)

    def _state(self, name: str, statement: str, section: list[str]) -> None:
        known = self._meaning.setdefault(name, statement)
        if known != statement:
            raise UnstableError(f"two different things that it reads are called {name}")
        if statement not in section:
            section.append(statement)

    def _function(self, function: FunctionType, wanted: str, decorator: str = "") -> str:
        """Define a function and bind all that it reads; its name in the module."""
        if id(function) in self._names:
            return self._names[id(function)]
        try:
            source = read_source(function)
        except UnstableError as error:
            raise UnstableError(f"{function.__name__} {error}") from None
        if {key for key in vars(function) if key != "__wrapped__"}:
            raise UnstableError(f"{function.__name__} has attributes, which may change")
        name = source.name or wanted
        self._names[id(function)] = name
        self._alive.append(function)
        self._bind_names(function, source)
        if source.needs_re:
            self._state("re", "import re", self._imports)
        text = f"{decorator}{source.text}" if source.name else f"{name} = {source.text}"
        self._state(name, text, self._functions)
        return name

    def _bind_names(self, function: FunctionType, source: Source) -> None:
        around = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for name in source.names_read():
            if name in around:
                try:
                    self._bind(name, around[name].cell_contents)
                except ValueError as error:
                    if isinstance(error, UnstableError):
                        raise
                    raise UnstableError(f"reads {name}, which has no value yet") from error
            elif name in ("__file__", "__path__", "__name__"):
                raise UnstableError(f"reads {name}, which depends on where it stands")
            elif name in function.__globals__:
                value = function.__globals__[name]
                self._bind(name, value)
                if isinstance(value, ModuleType):
                    self._submodules(source.node, name, value)
            elif not hasattr(builtins, name):
                raise UnstableError(f"reads {name}, which has no value")

    def _submodules(self, node: ast.AST, name: str, module: ModuleType) -> None:
        """`import xml.etree.ElementTree` binds `xml`, and what is read of it has to be imported again."""
        for inner in ast.walk(node):
            dotted = ast.unparse(inner) if isinstance(inner, ast.Attribute) else ""
            if name == module.__name__ and dotted.startswith(f"{name}.") and dotted in sys.modules:
                self._imports.append(f"import {dotted}")

    def _partial(self, name: str, value: functools.partial[Any]) -> None:
        if not isinstance(value.func, FunctionType):
            raise UnstableError(f"{name} is a functools.partial of {value.func!r}, which is not a function of yours")
        inner = self._function(value.func, f"{name}_of")
        self._bind("functools", functools)
        given = [expression(argument) for argument in value.args]
        given += [f"{key}={expression(argument)}" for key, argument in value.keywords.items()]
        if any("re.compile(" in text for text in given):
            self._state("re", "import re", self._imports)
        self._state(name, f"{name} = functools.partial({', '.join([inner, *given])})", self._aliases)

    def _cached(self, name: str, value: Any) -> None:
        self._bind("functools", functools)
        settings = value.cache_parameters()
        decorator = f"@functools.lru_cache(maxsize={settings['maxsize']}, typed={settings['typed']})\n"
        own = self._function(value.__wrapped__, name, decorator)
        if own != name:
            self._state(name, f"{name} = {own}", self._aliases)

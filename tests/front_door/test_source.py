import ast
import functools
import linecache
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

from cogitate.front_door.source import read_source
from cogitate.front_door.stable import UnstableError

CELL = '''LIMIT = 3
later = await_nothing = None
def judge(completion, problem):
    """A cell's function."""
    return float(len(completion) > LIMIT)
short = lambda completion, problem: 0.0
short
'''


def run_cell(source: str, name: str) -> dict[str, Any]:
    """Run a notebook's cell as ipykernel does: statement by statement, its source known to `linecache` alone."""
    file = f"/tmp/ipykernel_1/{name}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": "__main__"}
    for node in ast.parse(source).body:
        exec(compile(ast.Module([node], []), file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    return names


def test_a_cell_of_a_notebook_has_a_source() -> None:
    names = run_cell(CELL, "cell")
    source = read_source(names["judge"])
    assert source.text == "\n".join(CELL.splitlines()[2:5])
    assert source.names_read() == ["LIMIT", "float", "len"]
    assert read_source(names["short"]).text == "lambda completion, problem: 0.0"


def test_a_cell_that_was_edited_and_not_run_again_is_refused() -> None:
    function = run_cell(CELL, "edited")["judge"]
    run_cell(CELL.replace("> LIMIT", ">= LIMIT"), "edited")
    with pytest.raises(UnstableError, match="is not what its file says"):
        read_source(function)


def nested(limit: int) -> Callable[..., Any]:
    def inner(text: str) -> str:
        return f"""
{text}
    {limit}"""

    return inner


def test_a_function_within_a_function_keeps_its_texts() -> None:
    names: dict[str, Any] = {"limit": 3}
    function = nested(3)
    assert isinstance(function, FunctionType)
    exec(read_source(function).text, names)
    assert names["inner"]("a") == function("a") == "\na\n    3"


def test_lambdas_of_one_line_are_told_apart() -> None:
    pair = (lambda text: text + "a"), (lambda text: text + "b")
    assert [read_source(each).text for each in pair] == ['lambda text: text + "a"', 'lambda text: text + "b"']  # type: ignore[arg-type]


def with_defaults(a: int, b: float = 1 / 4, *, c: tuple[int, ...] = (1, 2), d: list[int] = [3]) -> Any:  # noqa: B006
    return a, b, c, d


def test_defaults_are_what_the_function_has_now() -> None:
    def copy(**changes: Any) -> FunctionType:
        assert isinstance(with_defaults, FunctionType)
        made = FunctionType(with_defaults.__code__, with_defaults.__globals__, "f", with_defaults.__defaults__)
        made.__kwdefaults__ = {**(with_defaults.__kwdefaults__ or {}), **changes}
        return made

    assert "b: float=0.25, *, c: tuple[int, ...]=(1, 2), d: list[int]=[3]" in read_source(copy()).text
    assert "d: list[int]=[3, 4]" in read_source(copy(d=[3, 4])).text
    with pytest.raises(UnstableError, match="an object of class partial"):
        read_source(copy(d=functools.partial(print)))


def test_an_inner_class_and_an_inner_function_read_what_they_name() -> None:
    def outer(text: str) -> Any:
        class Box:
            size = len(text)
            twice = size * 2

        def inner(unused: "UnstableError") -> Any:
            return sorted(Box.__dict__), CELL

        return inner

    assert read_source(outer).names_read() == ["CELL", "len", "sorted"]  # type: ignore[arg-type]

"""Cases of tests as values: the public ones of a problem, those that a model proposes, and small changes of given ones.

What a model writes is read as JSON and never run. JSON has no tuples and sets: where the public tests have one, a list in the
same place becomes one.
"""

from __future__ import annotations

import ast
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cogitate.json_lines import refuse_constant
from cogitate.rewards.code.forms import is_assertions, read_function_test, read_stdin_test
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.runtime import derive_seed

Args = tuple[Any, ...]  # of one call; of a program that reads its standard input, the one text
LONGEST_REPLY = 100_000  # characters
TRIES = 50  # brackets of a reply at which a list may begin
CHANGES_TRIED = 8  # for each wanted case that differs from others
LARGEST_CASE = 2_000  # values within one case
ASK_FUNCTION = (
    "Write test inputs for the Python function that this task asks for. Do not write code.\n\n"
    "[task]\n{question}\n[end of task]\n\n"
    "The function is `{entry_point}`. Known inputs, each a JSON list of the arguments of one call:\n{examples}\n\n"
    "Write {count} further inputs as one JSON list of such lists, and nothing else: usual ones, edge cases (empty, zero, "
    "negative, equal elements), and inputs that a program with a small mistake would get wrong."
)
ASK_STDIN = (
    "Write test inputs for the program that this task asks for. Do not write code.\n\n"
    "[task]\n{question}\n[end of task]\n\n"
    "Known inputs, each a JSON list with what the program reads as one text:\n{examples}\n\n"
    "Write {count} further inputs as one JSON list of such lists, and nothing else: usual ones, edge cases, and inputs that a "
    "program with a small mistake would get wrong."
)


def public_cases(fields: Mapping[str, Any]) -> list[tuple[Args, Any]]:
    """(arguments, expected) of a problem's tests, as far as they are values.

    Of assertions those of the form `assert f(values) == value` are.
    """
    tests = fields["tests"]
    if fields["mode"] == "stdin":
        return [((test.input,), test.output) for test in map(read_stdin_test, tests)]
    if is_assertions(tests):
        texts = [tests] if isinstance(tests, str) else tests
        return [case for text in texts for case in cases_in(text, fields.get("entry_point"))]
    read = [read_function_test(test) for test in tests]
    return [(test.args, test.expected) for test in read if not test.kwargs]


def cases_in(text: str, entry_point: str | None) -> list[tuple[Args, Any]]:
    """The cases of a text's assertions that compare a call on values with a value. Raises BadTestsError for no Python."""
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadTestsError(f"assertions are not Python: {error}") from error
    found: list[tuple[Args, Any]] = []
    for statement in statements:
        test = statement.test if isinstance(statement, ast.Assert) else None
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
            continue
        call, expected = test.left, test.comparators[0]
        named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.keywords
        if not named or (entry_point and call.func.id != entry_point):  # type: ignore[attr-defined]
            continue
        try:
            found.append((tuple(map(ast.literal_eval, call.args)), ast.literal_eval(expected)))  # type: ignore[attr-defined]
        except (ValueError, TypeError, SyntaxError, RecursionError):
            continue  # not values
    return found


def read_proposals(text: str, example: Args) -> tuple[list[Args], list[str]]:
    """(the cases that a model's reply holds, why others of it are none).

    Args:
        example: the arguments of a public case, which say how many there are and where tuples and sets are.
    """
    rows = first_list_of_lists(text[:LONGEST_REPLY])
    if rows is None:
        return [], ["no JSON list of lists in the reply"]
    found: list[Args] = []
    faults: list[str] = []
    for row in rows:
        if not isinstance(row, list) or len(row) != len(example):
            faults.append(f"not a list of {len(example)} arguments")
        elif size_of(row) > LARGEST_CASE:
            faults.append(f"more than {LARGEST_CASE} values")
        else:
            try:
                found.append(tuple(like(value, one) for value, one in zip(row, example, strict=True)))
            except (TypeError, ValueError):
                faults.append("not of the form of the public tests")
    return found, faults


def first_list_of_lists(text: str) -> list[Any] | None:
    """The first JSON list in a text whose first element is a list; None where there is none."""
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    start = text.find("[")
    for _ in range(TRIES):
        if start < 0:
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if isinstance(value, list) and value and isinstance(value[0], list):
                return value
        start = text.find("[", end)
    return None


def size_of(value: Any) -> int:
    """How many values there are in a value; a text counts by its characters."""
    if isinstance(value, Mapping):
        return 1 + sum(size_of(key) + size_of(inner) for key, inner in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 1 + sum(map(size_of, value))
    return max(1, len(value)) if isinstance(value, str) else 1


def like(value: Any, example: Any) -> Any:
    """A JSON value with the types of an example: lists become tuples and sets where it has these.

    Raises:
        TypeError: it is of another kind than the example: a text in place of a number, say.
    """
    if isinstance(example, tuple | list | set | frozenset):
        if not isinstance(value, list):
            raise TypeError("a list is needed")
        inner = in_order(example)
        items = [like(item, inner[min(place, len(inner) - 1)]) if inner else item for place, item in enumerate(value)]
        return type(example)(items)
    if isinstance(example, Mapping):
        if not isinstance(value, dict):
            raise TypeError("an object is needed")
        if not example:
            return value
        first, inside = next(iter(example.items()))
        keys = {key: key_like(key, first) for key in value}
        return {keys[key]: like(inner, example.get(keys[key], inside)) for key, inner in value.items()}
    numbers = (int, float)
    same = isinstance(value, type(example)) or (isinstance(value, numbers) and isinstance(example, numbers))
    if not same or isinstance(value, bool) != isinstance(example, bool):
        raise TypeError(f"a {type(example).__name__} is needed")
    return value


def key_like(key: str, example: Any) -> Any:
    """A key of a JSON object, always a text, with the type of an example: "3" becomes 3 where that is a number.

    Raises:
        TypeError: keys of this type cannot be told from a text.
        ValueError: the text is no number.
    """
    if isinstance(example, str):
        return key
    if isinstance(example, bool) or not isinstance(example, int | float):
        raise TypeError("keys that are texts or numbers are needed")
    return type(example)(key)


def in_order(items: Iterable[Any]) -> list[Any]:
    """Items as a list; those of a set sorted, since its own order differs from process to process."""
    return sorted(items, key=literal) if isinstance(items, set | frozenset) else list(items)


def literal(value: Any) -> str:
    """A value as Python writes it, its sets in sorted order: equal values of one form are equal texts in every process."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(inner)}" for key, inner in value.items()) + "}"
    if not value or not isinstance(value, list | tuple | set | frozenset):
        return repr(value)
    items = ", ".join(map(literal, in_order(value)))
    if isinstance(value, list):
        return f"[{items}]"
    if isinstance(value, tuple):
        return f"({items},)" if len(value) == 1 else f"({items})"
    return f"{{{items}}}" if isinstance(value, set) else f"frozenset({{{items}}})"


def is_writable(value: Any, *, as_json: bool) -> bool:
    """Whether a value can be written: in a file of JSON Lines, or else as a literal of Python."""
    try:
        if as_json:
            json.dumps(value, allow_nan=False).encode()
            return True
        return bool(ast.literal_eval(repr(value)) == value)
    except (TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
        return False


def changed_cases(cases: Sequence[Args], count: int, seed: int) -> list[Args]:
    """At most `count` cases, each a given one with one to three small changes, that differ from these and from each other: no
    model has written them."""
    rng = random.Random(derive_seed(seed, "changed cases", *map(literal, cases)))
    known = set(map(literal, cases))
    found: list[Args] = []
    for number in range(CHANGES_TRIED * count if cases else 0):
        args = list(cases[number % len(cases)])
        for _ in range(rng.choice((1, 1, 2, 3)) if args else 0):
            place = rng.randrange(len(args))
            args[place] = changed(args[place], rng)
        if literal(tuple(args)) not in known:
            known.add(literal(tuple(args)))
            found.append(tuple(args))
        if len(found) == count:
            break
    return found


def changed(value: Any, rng: random.Random) -> Any:
    """A value of the same type with one small change."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, 0, 1, -value, 2 * value, value // 2, rng.randrange(-20, 100)))
    if isinstance(value, float):
        return rng.choice((value + 1, value - 1, 0.0, -value, value / 2, round(rng.uniform(-20, 100), 2)))
    if isinstance(value, str):
        return "".join(changed_items(list(value), rng, lambda: rng.choice("aAzZ019 _-.")))
    if isinstance(value, list | tuple):
        return type(value)(changed_items(list(value), rng, lambda: changed(value[0], rng) if value else 0))
    if isinstance(value, set | frozenset):
        ordered = in_order(value)
        return type(value)(changed_items(ordered, rng, lambda: changed(ordered[0], rng) if ordered else 0))
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value, key=literal))
        return {**value, key: changed(value[key], rng)}
    return value


def changed_items(items: list[Any], rng: random.Random, new: Any) -> list[Any]:
    """Items of which one is dropped, doubled, added or changed, or all are reversed, sorted or dropped."""
    way = rng.randrange(8) if items else 3
    place = rng.randrange(len(items)) if items else 0
    if way == 0:
        return items[:place] + items[place + 1 :]
    if way == 1:
        return items[:place] + [items[place]] * 2 + items[place + 1 :]
    if way == 2:
        return items[::-1]
    if way == 3:
        return [*items, new()]
    if way == 4 and rng.random() < 0.3:
        return []
    if way == 5:
        return sorted(items, key=literal)
    if isinstance(items[place], str) and len(items[place]) == 1:
        return [*items[:place], new(), *items[place + 1 :]]
    return [*items[:place], changed(items[place], rng), *items[place + 1 :]]

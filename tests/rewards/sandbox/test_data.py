"""Tagged plain data: everything plain comes through the pipe unchanged, nothing else does, and equality is exact."""

import json
import marshal
import math
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogitate.rewards.sandbox import inside
from cogitate.rewards.sandbox.data import BadDataError, carry, decode_text, same_value


@pytest.fixture(scope="module")
def guest() -> ModuleType:
    """The guest's code, loaded here to call its encoder."""
    module = ModuleType("guest")
    exec(compile(inside.source("guest"), "guest", "exec"), module.__dict__)
    return module


hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
plain = st.recursive(
    hashable | st.integers(-(10**40), 10**40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hashable, inner, max_size=3) | st.sets(hashable, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(value=plain)
def test_plain_data_survives_the_way_out(guest: ModuleType, value: Any) -> None:
    back = decode_text(guest.encode(value).encode())
    assert repr_of(back) == repr_of(value)
    assert type(back) is type(value)


def repr_of(value: Any) -> Any:
    """A form in which nan equals nan and sets have an order, types included."""
    if isinstance(value, dict):
        return ["dict", sorted((repr(repr_of(k)), repr(repr_of(v))) for k, v in value.items())]
    if isinstance(value, set | frozenset):
        return [type(value).__name__, sorted(repr(repr_of(item)) for item in value)]
    if isinstance(value, list | tuple):
        return [type(value).__name__, [repr_of(item) for item in value]]
    return [type(value).__name__, repr(value)]


def test_library_containers_come_out_as_the_plain_ones_they_equal(guest: ModuleType) -> None:
    import collections

    point = collections.namedtuple("point", "x y")
    mappings = [collections.Counter("aab"), collections.OrderedDict(a=1), collections.defaultdict(int, b=2)]
    values = [*mappings, point(1, 2), range(3)]
    assert decode_text(guest.encode(values).encode()) == [{"a": 2, "b": 1}, {"a": 1}, {"b": 2}, (1, 2), range(3)]


class EqualToAll(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("value", [EqualToAll(3), object(), lambda: 1, iter([1]), [EqualToAll(1)], (1).__add__])
def test_what_is_no_plain_data_stays_inside(guest: ModuleType, value: Any) -> None:
    with pytest.raises(TypeError):
        guest.encode(value)


def test_data_that_explodes_or_never_ends_is_refused(guest: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "NODE_LIMIT", 20_000)
    shared: list[Any] = []
    for _ in range(60):
        shared = [shared, shared]
    endless: list[Any] = []
    endless.append(endless)
    for value in (shared, endless):
        with pytest.raises(TypeError):
            guest.encode(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        '{"pickle":"x"}',
        '{"int":5}',
        '{"int":"0xg"}',
        '{"float":"1.0"}',
        '{"set":[[1]]}',
        '{"tuple":1}',
        '{"dict":[[1]]}',
        '{"bytes":"0"}',
        '{"complex":[1]}',
        '{"range":[0,1]}',
        '{"range":[0,1,0]}',
        '{"int":"0x1","float":"nan"}',
        "[" * 100_000,
        "[" * 300 + "]" * 300,
        "[" + "0," * 2_100_000 + "0]",
    ],
)
def test_forged_text_is_refused_and_never_breaks_the_reader(text: str) -> None:
    with pytest.raises(BadDataError):
        decode_text(text.encode())


@settings(deadline=None)
@given(text=st.binary(max_size=200) | st.text(alphabet='[]{}":,0123456789aeflnrstux-.', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        value = decode_text(text)
    except BadDataError:
        return
    assert same_value(value, value)


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        (1, 1, True),
        (1, True, False),
        (True, 1, False),
        (0, False, False),
        (2, 2.0, True),
        (2.0, 2, True),
        (0.3, 0.1 + 0.2, True),
        (0.3, 0.31, False),
        (10**30, 10**30 + 1, False),
        (1e30, 10**400, False),
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
        (math.inf, math.inf, True),
        (math.inf, 1e308, False),
        (None, 0, False),
        (None, None, True),
        ("1", 1, False),
        ([1, 2], (1, 2), True),  # JSON has no tuple
        ((1, 2), [1, 2], False),
        ((1, 2), (1, 2), True),
        ([1, [2]], [1, [3]], False),
        ([1], [1, 2], False),
        ([0, 1, 2], range(3), False),
        ({1, 2}, {2, 1}, True),
        ({1}, {True}, False),
        ({1}, [1], False),
        ({"1": "a"}, {1: "a"}, True),  # nor other keys than text
        ({"null": 1}, {None: 1}, True),
        ({"true": 1}, {True: 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({1: "a"}, {True: "a"}, False),
        (b"a", b"a", True),
        (b"a", "a", False),
        (1j, 1j, True),
        (1j, 1, False),
    ],
)
def test_values_are_the_same_only_with_their_types(expected: Any, got: Any, same: bool) -> None:
    assert same_value(expected, got) is same


def test_the_encoder_writes_plain_json_where_it_can(guest: ModuleType) -> None:
    assert json.loads(guest.encode([None, True, -5, 0.5, "é\ud800"])) == [None, True, -5, 0.5, "é\ud800"]


def test_what_marshal_would_lose_is_carried_into_the_guest_whole(guest: ModuleType) -> None:
    order = {"args": [range(1, 9, 2), bytearray(b"x"), (b"x", {"k": [range(2)]})], "kwargs": {}}
    back = guest.uncarry(marshal.loads(marshal.dumps(carry(order))))
    assert back == order
    assert type(back["args"][1]) is bytearray
    assert type(back["args"][2][0]) is bytes
    assert carry([1, ("a", {2: 3})]) == [1, ("a", {2: 3})]

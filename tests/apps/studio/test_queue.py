"""Who decides what, in which order, and how far people are."""

from typing import Any

import pytest

from cogitate.apps.studio.queue import Filter, assign, index, own, progress, select
from cogitate.recipe.data.decisions.standing import Standing
from tests.apps.studio.items import candidate

NAMES = ["eva", "li", "mo"]


def test_each_item_has_one_annotator_and_those_of_the_overlap_two() -> None:
    items = [f"i{number}" for number in range(2000)]
    assert all(len(assign(NAMES, item, 0.0)) == 1 for item in items)
    assert all(len(set(assign(NAMES, item, 1.0))) == 2 for item in items)
    shared = sum(len(assign(NAMES, item, 0.2)) == 2 for item in items)
    assert 340 < shared < 460
    counts = [sum(assign(NAMES, item, 0.0) == (name,) for item in items) for name in NAMES]
    assert min(counts) > 580
    assert assign(["eva"], "i0", 1.0) == ("eva",)


def test_a_new_annotator_takes_items_and_moves_no_others() -> None:
    items = [f"i{number}" for number in range(500)]
    before = {item: assign(NAMES, item, 0.0) for item in items}
    after = {item: assign([*NAMES, "zoe"], item, 0.0) for item in items}
    assert all(after[item] in (before[item], ("zoe",)) for item in items)
    assert 80 < sum(after[item] == ("zoe",) for item in items) < 170
    assert all(assign([*NAMES, "zoe"], item, 0.0, before[item]) == before[item] for item in items)  # once they are decided


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), [0, 2, 3, 4, 5, 1]),
        (Filter(state="undecided"), [0, 1, 2, 3, 4, 5]),
        (Filter(state="all"), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Filter(state="skipped"), [1]),
        (Filter(state="decided"), [6, 7]),
        (Filter(state="contested"), [7]),
        (Filter(state="noted"), [0]),
        (Filter(search="4 + 7 WHAT"), [4]),
        (Filter(source="few_shot"), [0, 2, 4]),
        (Filter(verdict="wrong"), [2, 5]),
        (Filter(fault="mixed language"), [0, 5]),
        (Filter(least=15), [0, 5]),
        (Filter(state="all", most=14), [1, 2, 3, 4, 6, 7]),
        (Filter(state="all", order="problem"), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Filter(language="zh"), []),
    ],
)
def test_filters_and_orders(wanted: Filter, found: list[int]) -> None:
    rows = [candidate(number) for number in range(8)]
    standing = Standing()
    events: list[dict[str, Any]] = [
        {"do": "skip", "item": "direct-0001"}, {"do": "reject", "item": "direct-0006"},
        {"do": "accept", "item": "direct-0007", "contested": "x"}, {"do": "note", "item": "direct-0000", "note": "hm"},
        {"do": "reject", "item": "direct-0003", "by": "li"}, {"do": "skip", "item": "direct-0006"},
    ]  # fmt: skip
    for number, event in enumerate(events, start=1):
        standing.apply({"n": number, "by": "eva", **event})
    done = own(standing, "eva")
    assert set(done.skipped) == {"direct-0001"}  # not what is decided
    chosen = select(index(rows).values(), wanted, {row["id"] for row in rows}, done, "eva")
    assert [int(entry.id[-4:]) for entry in chosen] == found


def test_pace_is_the_median_of_active_seconds() -> None:
    rows = [candidate(number) for number in range(10)]
    standing = Standing()
    for number, seconds in enumerate((4.0, 6.0, 5000.0), start=1):
        event = {"n": number, "do": "accept", "by": "eva", "item": f"direct-{number:04d}", "active_seconds": seconds}
        standing.apply(event)
    found = progress({row["id"] for row in rows}, own(standing, "eva"))
    assert (found["items"], found["decided"], found["by_decision"]) == (10, 3, {"accept": 3})
    assert (found["seconds_an_item"], found["minutes_left"]) == (6.0, 0.7)
    assert found["minutes"] == 10.2  # a time of more than ten minutes counts as ten

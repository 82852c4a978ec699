"""What others read: TRL's formats by our own readers of them, Argilla's records by their keys, and review.jsonl."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.studio import commands
from cogitate.apps.studio.commands import Wanted
from cogitate.apps.studio.directory import Role
from cogitate.apps.studio.export import in_one_form
from cogitate.apps.studio.grading import Regrading
from cogitate.apps.studio.view import history, item_view
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.data.review import read_review
from cogitate.tasks.files.datasets import load_conversations, load_labelled, load_preferences
from tests.apps.studio.items import candidate, made, opened, write

EDITED = "<think> 2 + 5 = 7. </think>\nThe answer is \\boxed{7}. Yes."
PAIRS = [{"prompt": f"Poem {number}.", "chosen": f"good {number}", "rejected": f"bad {number}"} for number in range(4)]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def reviewed(tmp_path: Path, grading: Regrading) -> Path:
    people: dict[str, Role] = {"eva": "annotator", "li": "annotator"}
    studio = opened(made(tmp_path, [candidate(number) for number in range(1, 8)], people, overlap=1.0), grading)
    studio.act("eva", {"do": "accept", "item": "direct-0001"})
    studio.act("eva", {"do": "edit", "item": "direct-0002", "text": EDITED})
    studio.act("li", {"do": "reject", "item": "direct-0003"})
    studio.act("eva", {"do": "accept", "item": "direct-0004"})
    studio.act("li", {"do": "reject", "item": "direct-0004"})
    studio.act("li", {"do": "accept", "item": "direct-0005", "contested": "I know better"})
    studio.close()
    return studio.place


def test_what_was_kept_is_read_as_conversations_with_its_decision(reviewed: Path, tmp_path: Path) -> None:
    said: list[str] = []
    commands.write(reviewed, "conversations", tmp_path / "sft.jsonl", contested=False, say=said.append)
    assert said == [f"{tmp_path}/sft.jsonl: 2 rows; left out: 2 undecided, 1 disagreed, 1 rejected, 1 contested"]
    found = load_conversations(tmp_path / "sft.jsonl")
    assert [one.messages[-1].content for one in found] == [candidate(1)["text"], EDITED]
    assert found[1].facts["decision"] == "edit"
    assert len(found[1].facts["event"]) == 64
    commands.write(reviewed, "prompt_completion", tmp_path / "pc.jsonl", contested=True, say=said.append)
    assert [row["prompt"] for row in rows(tmp_path / "pc.jsonl")] == [candidate(n)["question"] for n in (1, 2, 5)]
    assert rows(tmp_path / "pc.jsonl")[2]["contested"] == "I know better"


def test_a_review_is_read_by_the_stage_and_argilla_gets_everybodys_responses(reviewed: Path, tmp_path: Path) -> None:
    commands.write(reviewed, "review", tmp_path / "review.jsonl", contested=False, say=print)
    assert set(read_review(tmp_path / "review.jsonl")) == {f"direct-000{number}" for number in (1, 2, 3, 5)}
    said: list[str] = []
    commands.write(reviewed, "argilla", tmp_path / "people", contested=False, say=said.append)
    records = {record["id"]: record for record in json.loads((tmp_path / "people" / "records.json").read_text())}
    users = {line.split()[0]: line.split()[-1] for line in said[1:]}
    assert {response["user_id"] for response in records["direct-0004"]["responses"]["decision"]} == set(users.values())
    assert set(users) == {"eva", "li"}
    assert records["direct-0001"]["metadata"]["outcome"] == "accept"
    assert "outcome" not in records["direct-0004"]["metadata"]
    with pytest.raises(ConfigError, match="must be new or empty"):
        commands.write(reviewed, "argilla", tmp_path / "people", contested=False, say=print)
    assert set(records["direct-0004"]) == {"id", "fields", "metadata", "suggestions", "responses", "vectors"}
    values = [response["value"] for response in records["direct-0004"]["responses"]["decision"]]
    assert values == ["accept", "reject"]
    assert len({response["user_id"] for response in records["direct-0004"]["responses"]["decision"]}) == 2
    assert records["direct-0002"]["responses"]["edited_text"][0]["value"] == EDITED


def test_preferences_are_of_what_was_seen_on_either_side(tmp_path: Path, grading: Regrading) -> None:
    place = commands.open_place(write(tmp_path / "pairs.jsonl", PAIRS), Wanted(work="pairs"), print)
    commands.people(place, Wanted(), "eva")
    studio = opened(place, grading)
    items = list(studio.items.values())
    for item, choice in zip(items, ("left", "right", "tie", "both_bad"), strict=True):
        studio.act("eva", {"do": "prefer", "item": item["id"], "choice": choice})
    assert {studio.shown_first("eva", f"i{number}") for number in range(20)} == {"a", "b"}
    for item in items:  # the page does not learn which of the two the file prefers
        shown = item_view(studio, "eva", item["id"])["mine"]["decision"], history(studio, "eva", item["id"])
        assert not {"choice", "shown_first"} & {key for one in [shown[0], *shown[1]] for key in one}
    left = ["good" if studio.shown_first("eva", item["id"]) == "a" else "bad" for item in items]
    studio.close()
    commands.write(place, "preferences", tmp_path / "out.jsonl", contested=False, say=print)
    pairs = load_preferences(tmp_path / "out.jsonl")
    assert [pair.chosen[-1].content for pair in pairs] == [f"{left[0]} 0", f"{'bad' if left[1] == 'good' else 'good'} 1"]


def test_a_row_that_names_its_grader_has_a_verdict_before_its_first_edit(tmp_path: Path) -> None:
    rows = [
        {"prompt": "What is 2 + 2?", "completion": "It is 5.", "kind": "math", "gold": "4"},
        {"prompt": "Hi", "completion": "Hello."},
    ]
    place = commands.open_place(write(tmp_path / "chats.jsonl", rows), Wanted(), print)
    commands.people(place, Wanted(), "eva")
    studio = opened(place, Regrading())
    sum_, greeting = studio.items
    assert item_view(studio, "eva", sum_)["ungraded"]
    assert not item_view(studio, "eva", greeting)["ungraded"]
    event = studio.act("eva", {"do": "edit", "item": sum_, "text": "It is 4."})
    assert (event["verdict_before"]["verdict"], event["verdict_after"]["verdict"]) == ("wrong", "right")
    assert studio.act("eva", {"do": "accept", "item": greeting})["verdict_before"]["verdict"] is None
    studio.close()
    studio.grading.close()


def test_a_column_of_an_export_has_one_type() -> None:
    """Readers of data sets refuse a column of texts and lists."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    rows: list[dict[str, Any]] = [{"prompt": "One?", "completion": "1"}, {"prompt": turns, "completion": turns[1:]}]
    in_one_form(rows)
    assert rows[0] == {"prompt": [{"role": "user", "content": "One?"}], "completion": [{"role": "assistant", "content": "1"}]}
    assert rows[1]["prompt"] == turns
    plain: list[dict[str, Any]] = [{"prompt": "One?", "completion": "1"}]
    in_one_form(plain)
    assert plain == [{"prompt": "One?", "completion": "1"}]


def test_earlier_turns_go_with_a_conversation_and_those_that_are_only_read_stay_so(tmp_path: Path) -> None:
    earlier: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "What?", "weight": 0}, {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Who are you?"},
    ]  # fmt: skip
    last = {"role": "assistant", "content": "A program."}
    source = write(tmp_path / "chats.jsonl", [{"messages": [*earlier, last]}, {"messages": [*earlier, {**last, "weight": 0}]}])
    place = commands.open_place(source, Wanted(), print)
    commands.people(place, Wanted(), "eva")
    studio = opened(place, Regrading())
    for item in studio.items:
        studio.act("eva", {"do": "edit", "item": item, "text": "I am a program."})
    studio.close()
    for form in ("conversations", "prompt_completion"):
        commands.write(place, form, tmp_path / f"{form}.jsonl", contested=False, say=print)
        learnt, read = load_conversations(tmp_path / f"{form}.jsonl")
        for found, learn in ((learnt, True), (read, False)):
            assert [turn.content for turn in found.messages[:-1]] == [turn["content"] for turn in earlier]
            assert [turn.learn for turn in found.messages] == [True, True, False, True, True, True, learn]
            assert found.messages[-1].content == "I am a program."


def test_a_system_prompt_that_is_answered_at_once_stays_one(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "system", "content": "Greet."}, {"role": "assistant", "content": "Hello."}]},
            {"messages": [{"role": "assistant", "content": "Hello."}]}]  # fmt: skip
    place = commands.open_place(write(tmp_path / "chats.jsonl", rows), Wanted(), print)
    commands.people(place, Wanted(), "eva")
    studio = opened(place, Regrading())
    for item in studio.items:
        studio.act("eva", {"do": "accept", "item": item})
    studio.close()
    commands.write(place, "conversations", tmp_path / "out.jsonl", contested=False, say=print)
    found = [[turn.role for turn in one.messages] for one in load_conversations(tmp_path / "out.jsonl")]
    assert found == [["system", "assistant"], ["assistant"]]


def test_safety_labels_are_read_by_reward_models(tmp_path: Path, grading: Regrading) -> None:
    given = [{"prompt": "Hi", "completion": text, "label": True} for text in ("Hello.", "Go away.")]
    place = commands.open_place(write(tmp_path / "labels.jsonl", given), Wanted(work="safety"), print)
    commands.people(place, Wanted(), "eva")
    studio = opened(place, grading)
    for item, choice in zip(studio.items, ("safe", "unsafe"), strict=True):
        studio.act("eva", {"do": "label", "item": item, "choice": choice})
    studio.close()
    commands.write(place, "labels", tmp_path / "out.jsonl", contested=False, say=print)
    assert [one.label for one in load_labelled(tmp_path / "out.jsonl")] == [True, False]


def test_what_cannot_be_exported_or_opened_is_said(reviewed: Path, tmp_path: Path, grading: Regrading) -> None:
    with pytest.raises(ConfigError, match="--export dance: known are review, conversations"):
        commands.write(reviewed, "dance", tmp_path / "x.jsonl", contested=False, say=print)
    with pytest.raises(ConfigError, match="a studio for review has review, conversations"):
        commands.write(reviewed, "labels", tmp_path / "x.jsonl", contested=False, say=print)
    with pytest.raises(ConfigError, match="no studio is there yet"):
        commands.write(write(tmp_path / "new.jsonl", PAIRS), "labels", tmp_path / "x.jsonl", contested=False, say=print)
    with pytest.raises(ConfigError, match="there is no such file or directory"):
        commands.open_place(tmp_path / "gone", Wanted(), print)
    with pytest.raises(ConfigError, match=r"--work pairs: .* is a studio for review"):
        commands.open_place(reviewed, Wanted(work="pairs"), print)
    with pytest.raises(ConfigError, match=r"--overlap 0.5: .* has 1.0"):
        commands.open_place(reviewed, Wanted(overlap=0.5), print)
    with pytest.raises(ConfigError, match="annotator 'a b'"):
        commands.people(reviewed, Wanted(annotators=("a b",)), "eva")
    (tmp_path / "other").mkdir()
    empty = made(tmp_path / "other", [candidate(1)])
    with pytest.raises(DataError, match="nothing to write: 1 undecided"):
        commands.write(empty, "conversations", tmp_path / "x.jsonl", contested=False, say=print)

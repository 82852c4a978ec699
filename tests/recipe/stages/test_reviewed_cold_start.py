"""A studio's decisions in the stage that learns from them: rows, contested verdicts, and provenance both ways."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import ColdStartConfig
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.data.decisions.chain import Chain
from cogitate.recipe.recipe import R1
from cogitate.recipe.run_directory.store import identify
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import find
from cogitate.tokenizer.bpe import Tokenizer
from tests.recipe.stages.test_data_stages import COLD, cold_start, rows_of

Row = dict[str, Any]


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory, micro_tokenizer: Tokenizer) -> Path:
    work = tmp_path_factory.mktemp("cold")
    cold_start(work, micro_tokenizer)
    return work / "out" / "items.jsonl"


def studio(place: Path, *events: Row, work: str = "review") -> Path:
    """A studio's directory as its log alone."""
    place.mkdir(parents=True, exist_ok=True)
    chain = Chain(place / "events.jsonl")
    if not chain.events:
        chain.append(do="begin", work=work)
    for event in events:
        chain.append(**{"by": "eva", "active_seconds": 4.5, "guidelines": "v1", **event})
    chain.close()
    return place


def chosen(items: Path) -> tuple[Row, Row, Row]:
    """A right item that is kept, a wrong one that could be rewritten, and a readable right one that is not kept."""
    rows = rows_of(items)
    kept = next(row for row in rows if row["kept"])
    wrong = next(row for row in rows if row["verdict"] == "wrong" and row["text"] and row["task"] == "arithmetic")
    other = next(row for row in rows if row["faults"] == ["mixed language"] and row["verdict"] == "right")
    return kept, wrong, other


def test_each_row_leads_to_its_decision_and_each_decision_to_its_row(
    items: Path, tmp_path: Path, micro_tokenizer: Tokenizer
) -> None:
    kept, _, other = chosen(items)
    place = studio(
        tmp_path / "studio",
        {"do": "reject", "item": kept["id"]},
        {"do": "accept", "item": other["id"], "verdict_after": {"verdict": "right"}},
    )
    summary = cold_start(tmp_path, micro_tokenizer, f"cold_start.review={place}", f"cold_start.items={items}")
    rows = {row["id"] for row in rows_of(tmp_path / "out" / "data.parquet")}
    assert kept["id"] not in rows
    assert other["id"] in rows
    rejected, accepted = rows_of(tmp_path / "out" / "provenance.jsonl")
    assert (rejected["id"], rejected["row"], rejected["rule"]) == (kept["id"], False, "rejected by a person")
    assert (accepted["id"], accepted["row"], accepted["by"], accepted["active_seconds"]) == (other["id"], True, "eva", 4.5)
    assert accepted["verdict_after"] == {"verdict": "right"}
    assert accepted["event"] == rows_of(place / "events.jsonl")[2]["hash"]
    assert summary["post_processing"]["decisions"] == {"accept": 1, "reject": 1}
    assert "contested" not in summary


def test_contested_verdicts_are_kept_apart_and_learnt_only_where_asked_for(
    items: Path, tmp_path: Path, micro_tokenizer: Tokenizer
) -> None:
    _, wrong, _ = chosen(items)
    place = studio(tmp_path / "studio", {"do": "accept", "item": wrong["id"], "contested": "the reference is wrong"})
    given = (f"cold_start.review={place}", f"cold_start.items={items}")
    summary = cold_start(tmp_path / "apart", micro_tokenizer, *given)
    assert (summary["contested"], summary["contested_used"]) == (1, False)
    assert summary["post_processing"]["accepted_or_edited_but_wrong"] == 0
    assert wrong["id"] not in {row["id"] for row in rows_of(tmp_path / "apart" / "out" / "data.parquet")}
    ledger = {row["id"]: row["rule"] for row in rows_of(tmp_path / "apart" / "out" / "ledger.jsonl")}
    assert ledger[wrong["id"]] == "verdict contested"
    (apart,) = rows_of(tmp_path / "apart" / "out" / "contested.jsonl")
    assert (apart["id"], apart["contested"], apart["used"]) == (wrong["id"], "the reference is wrong", False)

    summary = cold_start(tmp_path / "used", micro_tokenizer, *given, "cold_start.use_contested=true")
    assert (summary["contested"], summary["contested_used"]) == (1, True)
    rows = {row["id"]: row for row in rows_of(tmp_path / "used" / "out" / "data.parquet")}
    assert rows[wrong["id"]]["verdict"] == "wrong"
    assert rows[wrong["id"]]["messages"][-1]["content"] == wrong["text"]
    order = [row["id"] for row in rows_of(items)]
    assert sorted(rows, key=order.index) == list(rows)


def test_disagreements_are_taken_as_undecided_and_counted(items: Path, tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    kept, _, other = chosen(items)
    place = studio(
        tmp_path / "studio",
        {"do": "reject", "item": kept["id"]},
        {"do": "accept", "item": kept["id"], "by": "li"},
        {"do": "accept", "item": other["id"]},
    )
    summary = cold_start(tmp_path, micro_tokenizer, f"cold_start.review={place}", f"cold_start.items={items}")
    assert summary["disagreed"] == 1
    assert kept["id"] in {row["id"] for row in rows_of(tmp_path / "out" / "data.parquet")}


def test_what_a_studio_cannot_give_is_refused(items: Path, tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    kept, _, _ = chosen(items)
    place = studio(tmp_path / "studio", {"do": "accept", "item": kept["id"]})
    with pytest.raises(DataError, match=r"use_contested has no effect: .* contests no verdict"):
        cold_start(tmp_path / "a", micro_tokenizer, f"cold_start.review={place}", "cold_start.use_contested=true")
    with pytest.raises(ConfigError, match="use_contested has no effect without review"):
        load_recipe("tiny", ["cold_start.use_contested=true"])
    pairs = studio(tmp_path / "pairs", work="pairs")
    with pytest.raises(DataError, match="of a studio for pairs; decisions on candidates are needed"):
        cold_start(tmp_path / "b", micro_tokenizer, f"cold_start.review={pairs}")
    bare = studio(tmp_path / "bare", {"do": "edit", "item": kept["id"], "text": "The answer is 9."})
    with pytest.raises(DataError, match=r"events\.jsonl, line 2: the text must be <think> thinking </think>"):
        cold_start(tmp_path / "c", micro_tokenizer, f"cold_start.review={bare}")


def test_the_identity_holds_the_log_and_no_path(items: Path, tmp_path: Path) -> None:
    kept, _, _ = chosen(items)
    stage, inputs = find(R1, "cold_start"), {"base": "b", "r1_zero": "z"}
    studio(tmp_path / "one", {"do": "reject", "item": kept["id"]})
    shutil.copytree(tmp_path / "one", tmp_path / "another")
    ids = []
    for name in ("one", "another"):
        config = load_recipe("tiny", [*COLD, f"cold_start.review={tmp_path / name}"])
        assert config.section("cold_start", ColdStartConfig).review == str(tmp_path / name / "events.jsonl")
        ids.append(identify(stage, R1, config, inputs).id)
    assert ids[0] == ids[1]
    studio(tmp_path / "another", {"do": "undo", "item": kept["id"], "of": 2})
    config = load_recipe("tiny", [*COLD, f"cold_start.review={tmp_path / 'another'}"])
    assert identify(stage, R1, config, inputs).id != ids[0]
    plain = identify(stage, R1, load_recipe("tiny", list(COLD)), inputs)
    assert not any("contested" in key for key in plain.settings)

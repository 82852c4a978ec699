"""Win rates against a baseline, by a judge behind a URL whose taste is known."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogitate import cli
from cogitate.apps.benchmark.pairwise import read_baseline
from cogitate.errors import DataError
from tests.chat_server import Server
from tests.rewards.judge.judging_server import judging

REQUESTS = (("I am Ada.", "Good day.", "vicuna"), ("Who am I?", "Ada.", "koala"))  # instruction, baseline, collection


@pytest.fixture
def judge() -> Iterator[Server]:
    """Prefers a greeting, whoever gives it; where nobody does it names the answer that it reads first."""

    def decide(shown: dict[str, str]) -> str:
        for name in ("A", "B"):
            if "Hello!" in shown[f"answer {name}"]:
                return name
        return "A"

    server = Server()
    server.replies = [(200, judging(decide))]
    yield server
    server.close()


def test_a_win_counts_one_and_a_judge_that_contradicts_itself_has_no_opinion(
    memorised: Path, judge: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"instruction": asked, "output": given, "dataset": dataset} for asked, given, dataset in REQUESTS]
    (tmp_path / "alpaca").mkdir()
    (tmp_path / "alpaca/alpaca_eval.json").write_text(json.dumps(rows))
    out = tmp_path / "out"
    arguments = [
        "cogitate", "eval", str(memorised), "--benchmarks", "alpaca", "--data", str(tmp_path), "--partial-data", "--out",
        str(out), f"judge.base_url={judge.url}", "judge.model=judge", "judge.judgements=2", "evaluate.temperature=0",
        "evaluate.max_new_tokens=20",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    result = json.loads(next(out.glob("*/alpaca/result.json")).read_text())
    assert result["metrics"]["all"]["win_rate"]["value"] == 1.0
    assert "win_rate" not in result["metrics"]["koala"]
    said = result["further"]["judge"]
    assert (said["no_opinion"], said["mean_characters"], said["mean_characters_of_baseline"]) == (1, 7.0, 6.5)
    assert said["readings"]["no opinion: the judge contradicts itself"] == 1
    page = (out / "benchmarks.html").read_text()
    assert "win rate" in page
    assert "the older baseline, text-davinci-003" in page
    assert (result["settings"]["judge"], result["settings"]["judging"]["judgements"]) == ("judge", 2)
    asked = len(judge.requests)
    with pytest.raises(SystemExit):
        cli.main()
    assert len(judge.requests) == asked > 0  # the judge's answers are kept
    assert json.loads(next(out.glob("*/alpaca/result.json")).read_text())["metrics"] == result["metrics"]


def test_a_baseline_that_is_missing_is_said_before_anything_is_drawn(
    memorised: Path, judge: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "instruction").mkdir()
    row = {"question_id": "u1", "turns": [{"content": "I am Ada."}]}
    (tmp_path / "instruction/arena_hard_v01.jsonl").write_text(json.dumps(row) + "\n")
    out = tmp_path / "out"
    arguments = [
        "cogitate", "eval", str(memorised), "--benchmarks", "arena_hard", "--data", str(tmp_path), "--partial-data", "--out",
        str(out), f"judge.base_url={judge.url}", "judge.model=judge",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, "baseline.jsonl: no such file" in capsys.readouterr().err) == (2, True)
    assert not list(out.glob("**/*.jsonl"))


@pytest.mark.slow
def test_the_requests_of_arena_hard_run_on_a_slice(judge: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published requests, with a baseline that greets: this judge lets it win."""
    if "COGITATE_DATA" not in os.environ:
        pytest.skip("COGITATE_DATA is not set: the public data sets are not here")
    published = Path(os.environ["COGITATE_DATA"]) / "instruction/arena_hard_v01.jsonl"
    (tmp_path / "instruction").mkdir()
    requests = shutil.copy(published, tmp_path / "instruction")
    names = [json.loads(line)["id"] for line in Path(requests).read_text(encoding="utf-8").splitlines()]
    answers = "".join(json.dumps({"id": name, "output": "Hello!"}) + "\n" for name in names)
    (tmp_path / "instruction/baseline.jsonl").write_text(answers)
    arguments = [
        "cogitate", "eval", "base", "--benchmarks", "arena_hard", "--data", str(tmp_path), "--partial-data", "--limit", "6",
        "--out", str(tmp_path / "out"), f"judge.base_url={judge.url}", "judge.model=judge", "judge.judgements=2",
        "evaluate.max_new_tokens=32", "tasks.too_long=drop",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    result = json.loads(next((tmp_path / "out").glob("*/arena_hard/result.json")).read_text())
    assert (result["data"]["available"], result["data"]["problems"]) == (len(names), 6)
    assert (result["metrics"]["all"]["win_rate"]["value"], result["further"]["judge"]["no_opinion"]) == (0.0, 0)


def test_the_baseline_s_answers_are_read_in_the_forms_in_which_they_are_published(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    forms = [
        {"id": "a", "output": "one"},
        {"question_id": "b", "choices": [{"index": 0, "turns": [{"content": "two"}]}]},
        {"uid": "c", "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": {"answer": "three"}}]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in forms))
    assert read_baseline(path) == {"a": "one", "b": "two", "c": "three"}
    path.write_text('{"id": "a", "messages": []}\n')
    with pytest.raises(DataError, match=r"baseline\.jsonl, line 1: needs id and output"):
        read_baseline(path)
    path.write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"baseline\.jsonl, line 1: needs id and output"):
        read_baseline(path)

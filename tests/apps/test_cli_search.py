"""`cogitate search` and `cogitate scale` with the shipped base: what they print, write and refuse."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cogitate import cli
from cogitate.apps.experiment.definition import read_experiment
from cogitate.config import ProcessRewardModelConfig
from cogitate.model.files.hf import load_model
from cogitate.model.files.value_model import save_value_model
from cogitate.model.value_head import ValueModel
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.search.scoring import save_settings
from cogitate.tokenizer.bpe import Tokenizer

Command = Callable[..., tuple[int, str, str]]
SHORT = ("--tasks", "arithmetic", "--problems", "3", "evaluate.max_new_tokens=24", "rewards.workers=1", "runtime.threads=1")


@pytest.fixture
def cogitate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command to its end: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cogitate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (int(end.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A process model that knows nothing: every step is worth one half."""
    directory = tmp_path_factory.mktemp("scorer")
    save_value_model(ValueModel(load_model(SHIPPED / "base")), directory)
    Tokenizer.load(SHIPPED / "base").save(directory)
    save_settings(directory, ProcessRewardModelConfig())
    return directory


def test_a_search_prints_writes_and_repeats_itself(cogitate: Command, scorer: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    for trees in files:
        options = ("--method", "step_beam", "--n", 4, "--width", 2, "--scorer", scorer, "--trees", trees)
        code, out, _ = cogitate(
            "search", "base", *options, "--out", tmp_path / "out.json", "--page", tmp_path / "page.html", *SHORT
        )
        assert code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "step beam" in out
    assert "best by the answer alone" in out
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert len(rows) == 3
    assert all(node["score"] == 0.5 for row in rows for node in row["nodes"])
    found = json.loads((tmp_path / "out.json").read_text())
    assert [each["method"] for each in found["methods"]][-1] == "step_beam"
    assert found["methods"][-1]["scorer_tokens"] > found["methods"][-1]["policy_tokens"]
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert page.count('<details class="tree">') == 3


def test_scaling_holds_every_method_against_the_vote(cogitate: Command, tmp_path: Path) -> None:
    options = ("--methods", "self_verification", "--n", 2, "--verifications", 1, "--budgets", "0.5,2", "--seeds", 2)
    code, out, _ = cogitate("scale", "base", *options, "--out", tmp_path / "out.json", "--page", tmp_path / "page.html", *SHORT)
    assert code == 0
    assert "Thinking budgets" in out
    found = json.loads((tmp_path / "out.json").read_text())
    rows = {(each["method"], each["n"]): each for each in found["methods"]}
    assert {n for method, n in rows if method == "majority"} == {1, 2}
    assert rows["self_verification", 2]["against_majority"]["n"] == 2
    assert [point["share"] for point in found["budgets"]["points"]] == [0.5, 1, 2]
    assert "Accuracy over tokens" in (tmp_path / "page.html").read_text()


def test_the_experiment_on_thinking_budgets_can_be_read() -> None:
    experiment = read_experiment(Path(__file__).parents[2] / "experiments" / "thinking_budget.toml")
    runs = {name: config.evaluate for (name, seed), config in experiment.runs.items() if seed == 0}
    assert (runs["quarter"].thinking_budget, runs["double"].min_thinking) == (40, 330)
    assert not runs["natural"].budgets_thinking


def test_a_scorer_of_other_tokens_is_refused(cogitate: Command, scorer: Path, digit_model: Path) -> None:
    code, _, error = cogitate("search", digit_model, "--method", "best_of_n", "--scorer", scorer, *SHORT)
    assert code == 2
    assert "has another tokenizer than" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("search", "base", "--method", "best_of_n"), "needs a model that judges: give --scorer DIR"),
        (("search", "base", "--score", "last"), "--score last changes nothing without --scorer DIR"),
        (("search", "base", "--scorer", "base"), "no process_model.json"),
        (("search", "base", "--tasks", "code"), "cannot be compared with each other"),
        (("search", "base", "evaluate.thinking_budget=8"), "a thinking budget has no effect in a search"),
        (("search", "base", "--method", "majority", "--width", "9"), "--width is read by step_beam and mcts alone"),
        (("scale", "base", "--methods", "majority,mcts", "--verifications", "2"), "is read by self_verification alone"),
        (("scale", "base", "--methods", "magic"), "--methods magic: there are majority"),
        (("scale", "base", "--budgets", "half"), "--budgets half: write numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(cogitate: Command, options: tuple[str, ...], message: str) -> None:
    code, _, error = cogitate(*options, "evaluate.max_new_tokens=24")
    assert code == 2
    assert message in error
    assert len(error.strip().splitlines()) == 1

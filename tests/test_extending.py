"""docs/extending.md against what is there: its Python runs and does what the page says of it."""

import re
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import RLConfig
from cogitate.config.methods import METHODS
from cogitate.rewards import kinds
from cogitate.rewards.grade import grade
from cogitate.tasks.common import Split
from cogitate.tasks.generators.user_function import function_problems

SPLITS: tuple[Split, ...] = ("train", "eval")
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def run(containing: str) -> dict[str, Any]:
    (code,) = [block for block in PYTHON if containing in block]
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_each_block_is_tried_here() -> None:
    assert len(PYTHON) == 4


def test_a_function_of_ones_own_gives_problems_in_a_confined_process(tmp_path: Path) -> None:
    (code,) = [block for block in PYTHON if "def problems" in block]
    (tmp_path / "sums.py").write_text(code)
    sides = {
        split: {problem.question for problem in function_problems(f"{tmp_path / 'sums.py'}:problems", 50, split=split, seed=3)}
        for split in SPLITS
    }
    assert min(map(len, sides.values())) > 40
    assert sides["train"].isdisjoint(sides["eval"])


def test_a_function_of_ones_own_judges_completions() -> None:
    judge = run("def judge")["judge"]
    assert grade("custom", "soft rain\non the roof\nat night", custom=judge, word="rain").value == "right"
    assert grade("custom", "soft snow", custom=judge, word="rain").value == "wrong"


def test_a_row_is_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "clipped_rloo", METHODS["rloo"])  # puts the table back when the test ends
    run("METHODS[")
    settings = RLConfig(method="clipped_rloo")
    assert (settings.loss_average, METHODS["clipped_rloo"].advantages) == ("token", "rloo")
    with pytest.raises(ValueError, match="clipped_rloo has no use for scale_by_std"):
        RLConfig(method="clipped_rloo", scale_by_std=False)


def test_a_row_is_a_kind_of_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, "palindrome": run("PALINDROME")["PALINDROME"]})
    verdicts = [
        grade("palindrome", text, contract="bare", letters=5).value for text in ("level", "The answer is \\boxed{lever}.", "")
    ]
    assert verdicts == ["right", "wrong", "wrong"]


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", PAGE)) - {"my_reward.py"}
    assert named
    assert [path for path in sorted(named) if not ((ROOT / path).exists() or (ROOT / "src" / "cogitate" / path).exists())] == []

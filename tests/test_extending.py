"""docs/extending.md against what is there: its Python runs and does what the page says of it."""

import re
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import RLConfig
from cogitate.config.methods import METHODS
from cogitate.config.parts import BUILT_IN_PARTS
from cogitate.recipe.kinds import KINDS
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe, read_recipe
from cogitate.recipe.stage import in_words
from cogitate.rewards import kinds
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.parts.own import evaluate_parts
from cogitate.tasks.common import Split
from cogitate.tasks.generators.user_function import function_problems
from cogitate.types import Problem, Verdict
from tests.rewards.judging import grade

SPLITS: tuple[Split, ...] = ("train", "eval")
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
TOML = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def run(containing: str) -> dict[str, Any]:
    (code,) = [block for block in PYTHON if containing in block]
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_each_block_is_tried_here() -> None:
    assert (len(PYTHON), len(TOML)) == (5, 1)


def test_a_file_of_ones_own_extends_tiny_and_holds_a_graph(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TOML[0])
    recipe = read_recipe(str(tmp_path / "mine.toml"), ["second_sft.epochs=2"])
    models = [stage.name for stage in graph_of(recipe.config) if stage.makes_model]
    assert models == ["base", "r1_zero", "r1_dev1", "second_sft"]
    assert (recipe.origins["base.steps"], recipe.origins["second_sft.epochs"]) == ("tiny", "command line")
    assert recipe.origins["r1_zero.scale_by_std"] == "method dr_grpo"


def test_the_table_of_kinds_says_what_each_needs_and_makes() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.endswith(" |")]
    rows = [row for row in rows if len(row) == 3]
    told = {name: (needs, makes) for names, needs, makes in rows for name in re.findall(r"`(\w+)`", names) if name in KINDS}
    assert told.keys() == KINDS.keys()
    for name, (needs, makes) in told.items():
        positions = [needs.find(in_words(need.product)) for need in KINDS[name].needs]
        assert makes == in_words(KINDS[name].makes)
        assert -1 not in positions
        assert bool(needs) == bool(positions)


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


def test_a_function_of_ones_own_is_a_part_of_the_reward() -> None:
    parts = {"brevity": run("def brevity")["brevity"]}
    problem = Problem("1", "sums", "math", "2 + 2?", gold="4")

    def value(verdict: Verdict) -> float:
        return float(evaluate_parts(parts, SampledCompletion("4", 50, "stop", verdict, problem))["parts"]["brevity"])

    assert value(Verdict("right", 1.0, "")) == -0.5
    assert value(Verdict("wrong", 0.0, "")) == 0.0


def test_the_page_has_each_built_in_part_with_its_settings_and_each_field_of_a_completion() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    for name, part in BUILT_IN_PARTS.items():
        settings = rows[name].rpartition(" | ")[2]
        assert re.findall(r"`(\w+)`", settings) == [*part.required, *part.optional]
    fields = {*SampledCompletion.__dataclass_fields__, "thinking", "answer"} - {"contract", "prefilled"}
    assert fields <= rows.keys()


def test_the_command_of_the_page_is_one_that_the_settings_take() -> None:
    (command,) = [line for line in PAGE.replace("\\\n", " ").splitlines() if line.startswith("cogitate run tiny rewards.parts")]
    settings = [word for word in command.split() if word.startswith("rewards.")]
    assert load_recipe("tiny", settings).rewards.parts.keys() == {"brevity", "soft_overlong_punishment"}


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
    named = set(re.findall(r"`([a-z_/]+\.py)`", PAGE)) - {"my_reward.py", "my_parts.py"}
    assert named
    assert [path for path in sorted(named) if not ((ROOT / path).exists() or (ROOT / "src" / "cogitate" / path).exists())] == []

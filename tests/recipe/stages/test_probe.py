"""The probe and what follows from it, on the shipped base with problems of a file."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.overview import plan_text
from cogitate.apps.report.report import write_report
from cogitate.config import PROPOSED, Config, ZeroRLConfig
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.recipe.runner import plan, run_recipe
from cogitate.recipe.settings import load_recipe, make_config, read_recipe
from tests.recipe.kill_harness import outcome

PEOPLE, THINGS = ("Ben", "Eva", "Tom", "Mia"), ("pens", "coins", "eggs", "boxes", "books")
SMALL = (
    "runtime.threads=1", "runtime.dtype=float32", "rewards.workers=1", "probe.problems=6", "probe.sources=4", "probe.samples=2",
    "probe.max_new_tokens=32", "probe.examples=2", "evaluate.problems=2", "evaluate.max_new_tokens=4",
)  # fmt: skip
SET_BY_USER = ("r1_zero.steps=1", "r1_zero.group_size=2", "r1_zero.prompts_per_step=2")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_problems(tmp_path_factory.mktemp("own_problems"))


def write_problems(folder: Path) -> Path:
    """A file of sums in words."""
    chance = random.Random(0)
    problems = []
    for number in range(40):
        a, b = chance.randrange(2, 60), chance.randrange(2, 40)
        had, got = THINGS[number % 5], THINGS[(number + number // 10) % 5]
        question = f"{PEOPLE[number % 4]} has {a} {had} and gets {b} more {got}. How many are that?"
        problems.append({"question": question, "answer": a + b, "kind": "math"})
    file = folder / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, problems)))
    return file


def settings(rows: Path, *further: str) -> list[str]:
    return [f"inputs.base={SHIPPED / 'base'}", f"tasks.train={rows}", *SMALL, *further]


@pytest.fixture(scope="module")
def config(rows: Path) -> Config:
    return load_recipe("own", settings(rows, *SET_BY_USER))


class Listening(NullProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture(scope="module")
def finished(config: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    out, progress = tmp_path_factory.mktemp("own") / "run", Listening()
    run_recipe(config, out, make_backend=LocalBackend, progress=progress)
    return out, progress.said


def proposal_of(run: Path) -> dict[str, Any]:
    found = tomllib.loads((run / "probe" / "proposal.toml").read_text())["r1_zero"]
    assert isinstance(found, dict)
    return found


def test_a_probe_proposes_all_that_the_user_leaves_open(finished: tuple[Path, list[str]]) -> None:
    run, said = finished
    proposed = proposal_of(run)
    assert proposed.keys() == set(PROPOSED) - {"steps", "group_size", "prompts_per_step"}
    assert any(line.startswith("probe: prompt ") and "live groups" in line for line in said)
    assert [line for line in said if line.startswith("probe: r1_zero.learning_rate = 0.00011: 1.5e-05 of SmolLM2-135M")]
    completions = [json.loads(line) for line in (run / "probe" / "completions.jsonl").read_text().splitlines()]
    assert {row["prompt"] for row in completions} >= {"r1_zero", "r1_zero_opened", "r1_zero_2_examples"}
    held_out = {json.loads(line)["question"] for line in (run / "evaluate.base" / "completions.jsonl").read_text().splitlines()}
    assert not held_out & {row["question"] for row in completions}
    assert not held_out & {example["question"] for example in proposed["worked_examples"]}


def test_the_stage_runs_by_the_proposal_and_the_users_settings(finished: tuple[Path, list[str]]) -> None:
    run, _ = finished
    (row,) = [json.loads(line) for line in (run / "r1_zero" / "metrics.jsonl").read_text().splitlines()]
    assert row["step"] == 0
    proposed = proposal_of(run)
    asked = json.loads((run / "evaluate.r1_zero" / "manifest.json").read_text())["summary"]["prompt"]
    probed = json.loads((run / "probe" / "manifest.json").read_text())["summary"]["prompt"]
    assert asked == probed
    assert ("opened" in asked) == proposed["open_thinking"]
    assert (run / "r1_zero" / "proposal.toml").read_bytes() == (run / "probe" / "proposal.toml").read_bytes()
    results = json.loads((run / "results.json").read_text())
    assert list(results["stages"]) == ["base", "r1_zero"]
    assert set(json.loads((run / "evaluate.base" / "manifest.json").read_text())["inputs"]) == {"base", "probe"}
    page = write_report([run], run.parent / "report.html").read_text()
    assert "it proposes settings of RL" in page
    assert f"max new tokens {proposed['max_new_tokens']}, temperature 1, learning rate 0.00011" in page


def test_the_dry_run_says_what_is_left_to_the_probe(rows: Path, tmp_path: Path) -> None:
    recipe = read_recipe("own", settings(rows, "r1_zero.steps=3", "r1_zero.method=dapo"))
    text = plan_text(recipe, tmp_path, plan(recipe.config, tmp_path))
    lines = {line.split(" = ")[0]: " ".join(line.split()) for line in text.splitlines() if line.startswith("r1_zero.")}
    assert lines["r1_zero.prompt"] == "r1_zero.prompt = ? # left to probe"
    assert lines["r1_zero.steps"] == "r1_zero.steps = 3 # command line"
    assert lines["r1_zero.dynamic_sampling"] == "r1_zero.dynamic_sampling = true # method dapo"
    assert lines["r1_zero.from_probe"].endswith("# all that is not set")
    left = recipe.config.section("r1_zero", ZeroRLConfig).from_probe
    assert set(left) == set(PROPOSED) - {"steps", "dynamic_sampling"}


def test_what_is_left_to_the_probe_is_part_of_the_recipe(rows: Path, tmp_path: Path) -> None:
    left, given = (load_recipe("own", settings(rows, *more)) for more in ((), ("r1_zero.group_size=12",)))
    assert left.section("r1_zero", ZeroRLConfig).group_size == 12  # the default, which the probe replaces
    assert [item.id for item in plan(left, tmp_path)] != [item.id for item in plan(given, tmp_path)]
    assert make_config(json.loads(json.dumps(left.model_dump(mode="json")))) == left
    names = [stage.name for stage in graph_of(left)]
    assert names == ["base", "probe", "evaluate.base", "r1_zero", "evaluate.r1_zero"]
    assert left.tasks.eval == left.tasks.train == str(rows)


def test_the_proof_of_resume_leaves_no_budget_to_the_probe(rows: Path, tmp_path: Path) -> None:
    small = shrink(load_recipe("own", settings(rows, "probe.minutes=5", "probe.tokens_per_second=100")))
    assert not {"steps", "group_size", "prompts_per_step", "max_new_tokens"} & set(
        small.section("r1_zero", ZeroRLConfig).from_probe
    )
    assert [item.stage.name for item in plan(small, tmp_path)][:2] == ["base", "probe"]  # nothing is refused


class Crash(Exception):  # noqa: N818 - nothing that the code could expect
    pass


class CrashAfterTwoPrompts(NullProgress):
    def row(self, stage: str, row: Mapping[str, Any]) -> None:
        if row["step"] == 1:
            raise Crash


def test_a_probe_that_was_cut_off_goes_on_to_the_same_bytes(
    config: Config, finished: tuple[Path, list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(Crash):
        run_recipe(config, out, make_backend=LocalBackend, only="probe", progress=CrashAfterTwoPrompts())
    assert sorted(path.name for path in (out / "unfinished" / "probe" / "checkpoint").iterdir()) == [
        "r1_zero.json", "r1_zero_opened.json",
    ]  # fmt: skip
    run_recipe(config, out, make_backend=LocalBackend, only="probe")
    assert outcome(out / "probe") == outcome(finished[0] / "probe")


def test_a_proposal_of_ones_own_may_be_given(rows: Path, finished: tuple[Path, list[str]], tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text((finished[0] / "probe" / "proposal.toml").read_text() + "\n")
    config = load_recipe("own", settings(rows, *SET_BY_USER, f"inputs.probe={mine}"))
    assert {item.stage.name: item.state for item in plan(config, tmp_path / "run")}["probe"] == "given"
    run_recipe(config, tmp_path / "run", make_backend=LocalBackend, only="r1_zero")
    assert (tmp_path / "run" / "r1_zero" / "proposal.toml").read_text() == mine.read_text()


def test_where_nothing_is_right_the_probe_stops_and_says_what_to_do(rows: Path, tmp_path: Path) -> None:
    hard = tmp_path / "hard.jsonl"
    questions = [json.loads(line)["question"] for line in rows.read_text().splitlines()]
    hard.write_text("\n".join(json.dumps({"question": one, "answer": "\\pi^{17}", "kind": "math"}) for one in questions))
    config = load_recipe("own", settings(hard, "probe.problems=4", "probe.sources=0", "probe.examples=0"))
    message = r"probe: not one of 16 completions at 2 prompts is right, in any form .*: give easier problems or another model"
    with pytest.raises(DataError, match=message):
        run_recipe(config, tmp_path / "run", make_backend=LocalBackend, only="probe")


@pytest.mark.parametrize(
    ("further", "fault"),
    [
        (("r1_zero.steps=1", "probe.minutes=5"), "probe.minutes = 5: changes nothing, since r1_zero.steps is set"),
        (('r1_zero.from_probe=["steps"]', "r1_zero.steps=1"), "from_probe names steps, and r1_zero.steps is set"),
        (("r1_zero.from_probe=[]",), "r1_zero sets all that probe proposes"),
        (('r1_zero.from_probe=["clip_eps_low"]',), "no probe proposes clip_eps_low; it can propose prompt"),
        (("tasks.held_out_share=0.01",), "no problem is left for evaluation"),
    ],
)  # fmt: skip
def test_settings_that_would_change_nothing_are_refused(
    rows: Path, tmp_path: Path, further: tuple[str, ...], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        plan(load_recipe("own", settings(rows, *further)), tmp_path)


def test_a_stage_without_a_probe_leaves_nothing_to_it(rows: Path, tmp_path: Path) -> None:
    config = load_recipe("tiny", ["graph=r1_zero", 'r1_zero.from_probe=["steps"]', "tasks.train=arithmetic"])
    with pytest.raises(ConfigError, match=r"r1_zero.from_probe: changes nothing, since r1_zero needs no stage of kind probe"):
        plan(config, tmp_path)
    with pytest.raises(ConfigError, match=r"stage probe needs base, .*give inputs.base=PATH"):
        load_recipe("own", [f"tasks.train={rows}"])

"""What may change in a run: a test for each row of the table in docs/cli.md."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogitate import runtime
from cogitate.apps.overview import plan_text
from cogitate.config import Config
from cogitate.errors import ArtifactError, ConfigError, Interrupted
from cogitate.recipe import recipe
from cogitate.recipe.problems import settings_of_held_out_problems
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import R1
from cogitate.recipe.run_directory.store import identify
from cogitate.recipe.runner import plan, run_recipe
from cogitate.recipe.settings import load_recipe, read_recipe
from cogitate.recipe.stage import find
from tests.recipe.kill_harness import outcome
from tests.recipe.toy_recipe import no_backend, run_toy, toy_config

EVERY = ("toy", "evaluate.toy", "toy_second", "evaluate.toy_second")


class StopAt(NullProgress):
    """Asks to stop after a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.said: list[str] = []

    def row(self, stage: str, row: dict[str, object]) -> None:
        if row["step"] == self.step:
            runtime.request_interruption(2)

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture(autouse=True)
def _nothing_stays_interrupted() -> Iterator[None]:
    yield
    runtime._interrupted_by = None


@pytest.fixture
def open_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in RL, no step of the toy depends on how many there are."""
    toy, *others = recipe.GRAPHS["toy"]
    kind = dataclasses.replace(toy.kind, open_steps="base.steps")
    monkeypatch.setitem(recipe.GRAPHS, "toy", (dataclasses.replace(toy, kind=kind), *others))


def stopped(out: Path, config: Config, step: int) -> None:
    with pytest.raises(Interrupted):
        run_recipe(config, out, make_backend=no_backend, progress=StopAt(step))
    runtime._interrupted_by = None


def again(out: Path, *settings: str) -> list[str]:
    """The finished run goes on with these settings; what it says."""
    heard = StopAt(-1)
    run_recipe(toy_config(out.parent, *settings), out, make_backend=no_backend, progress=heard)
    return heard.said


def refusal(out: Path, *settings: str) -> str:
    """Why it does not; nothing in the directory changes."""
    before = outcome(out)
    with pytest.raises(ArtifactError) as caught:
        again(out, *settings)
    assert outcome(out) == before
    return str(caught.value).removeprefix(f"{out}: ").partition(" would be made again: ")[0]


def states(out: Path, *settings: str) -> list[str]:
    return [item.state for item in plan(toy_config(out.parent, *settings), out)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run."""
    run_toy(tmp_path / "run", toy_config(tmp_path))
    return tmp_path / "run"


def test_a_seed_makes_every_stage_again_that_reads_it(run: Path) -> None:
    assert refusal(run, "seed=1").startswith("toy (seed = 0, now seed = 1); evaluate.toy (seed = 0, now seed = 1, toy would be")
    assert states(run, "seed=1") == ["outdated"] * 4


def test_more_steps_of_a_finished_stage_make_it_again(run: Path, open_steps: None) -> None:
    assert refusal(run, "base.steps=8").startswith("toy (base.steps = 6, now base.steps = 8); evaluate.toy (toy would be made ")


@pytest.mark.parametrize("steps", [4, 9])
def test_an_unfinished_stage_whose_steps_do_not_depend_on_their_number_goes_on_to_the_same_bytes(
    tmp_path: Path, open_steps: None, steps: int
) -> None:
    stopped(tmp_path / "run", toy_config(tmp_path), 2)
    assert again(tmp_path / "run", f"base.steps={steps}")[0] == (
        f"changed since the last start: base.steps = 6, now base.steps = {steps}"
    )
    run_toy(tmp_path / "whole", toy_config(tmp_path, f"base.steps={steps}"))
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_an_unfinished_stage_past_the_new_last_step_or_with_a_schedule_does_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    stopped(out, toy_config(tmp_path), 3)
    assert refusal(out, "base.steps=9") == "unfinished/toy (base.steps = 6, now base.steps = 9)"
    toy, *others = recipe.GRAPHS["toy"]
    kind = dataclasses.replace(toy.kind, open_steps="base.steps")
    monkeypatch.setitem(recipe.GRAPHS, "toy", (dataclasses.replace(toy, kind=kind), *others))
    assert refusal(out, "base.steps=4") == "unfinished/toy (base.steps = 6, now base.steps = 4)"
    assert refusal(out, "base.steps=9", "base.rows=5").startswith("unfinished/toy (base.rows = 32, now base.rows = 5, base.st")


def test_an_attempt_that_came_to_no_checkpoint_begins_anew_with_other_settings(tmp_path: Path) -> None:
    out, config = tmp_path / "run", toy_config(tmp_path)
    stopped(out, config, 2)
    shutil.rmtree(out / "unfinished" / "toy" / "checkpoint")
    again(out, "base.steps=3")
    run_toy(tmp_path / "whole", toy_config(tmp_path, "base.steps=3"))
    assert outcome(out) == outcome(tmp_path / "whole")


def test_a_larger_evaluation_makes_evaluations_again_and_no_model(run: Path) -> None:
    problems = "evaluate.problems = 250, now evaluate.problems = 300"
    assert refusal(run, "evaluate.problems=300") == f"evaluate.toy ({problems}); evaluate.toy_second ({problems})"
    assert states(run, "evaluate.problems=300") == ["finished", "outdated", "finished", "outdated"]
    for name in ("evaluate.toy", "evaluate.toy_second"):
        shutil.rmtree(run / name)
    again(run, "evaluate.problems=300")
    assert json.loads((run / "config.json").read_text())["evaluate"]["problems"] == 300


@pytest.mark.parametrize(
    "setting",
    ["runtime.threads=1", "runtime.device=cpu", "base.checkpoint_every=3", "tracking=trackio", "rewards.workers=1"],
)
def test_threads_device_checkpoints_tracking_and_workers_change_no_finished_stage(run: Path, setting: str) -> None:
    assert states(run, setting) == ["finished"] * 4
    again(run, setting)
    key, _, value = setting.partition("=")
    section, _, name = key.partition(".")
    recorded = json.loads((run / "config.json").read_text())[section]
    assert str(recorded[name] if name else recorded) == value


@pytest.mark.parametrize(("setting", "reason"), [
    ("runtime.max_batch=8", "runtime.max_batch = 256, now runtime.max_batch = 8"),
    ("runtime.dtype=bfloat16", 'runtime.dtype = "float32", now runtime.dtype = "bfloat16"'),
])  # fmt: skip
def test_batch_of_sampling_and_type_of_weights_make_stages_again_that_read_them(
    run: Path, monkeypatch: pytest.MonkeyPatch, setting: str, reason: str
) -> None:
    assert states(run, setting) == ["finished"] * 4  # toys neither sample nor have a type
    stages = [
        dataclasses.replace(stage, kind=dataclasses.replace(stage.kind, reads=(*stage.kind.reads, setting.partition("=")[0])))
        for stage in recipe.GRAPHS["toy"]
    ]
    monkeypatch.setitem(recipe.GRAPHS, "toy", tuple(stages))
    shutil.rmtree(run)
    run_toy(run, toy_config(run.parent))
    assert refusal(run, setting).startswith(f"toy ({reason}); ")


def test_other_content_of_a_file_of_problems_makes_stages_again_and_another_place_of_it_does_not(tmp_path: Path) -> None:
    data, out = tmp_path / "mine.jsonl", tmp_path / "run"
    data.write_text("one")
    run_toy(out, toy_config(tmp_path, f"tasks.train={data}"))
    data.rename(tmp_path / "moved.jsonl")
    assert states(out, f"tasks.train={tmp_path / 'moved.jsonl'}") == ["finished"] * 4
    again(out, f"tasks.train={tmp_path / 'moved.jsonl'}")
    (tmp_path / "moved.jsonl").write_text("two")
    text = refusal(out, f"tasks.train={tmp_path / 'moved.jsonl'}")
    assert text.startswith(
        "toy (the content of the files of tasks.train is another one); evaluate.toy (toy would be made again)"
    )


def test_other_content_of_a_function_that_rewards_makes_stages_again_that_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = [stage for stage in recipe.GRAPHS["toy"] if not stage.name.startswith("evaluate.")]
    reads = (*toys[0].kind.reads, "rewards")
    graph = tuple(dataclasses.replace(stage, kind=dataclasses.replace(stage.kind, reads=reads)) for stage in toys)
    monkeypatch.setitem(recipe.GRAPHS, "toy", graph)
    code, data, out = tmp_path / "reward.py", tmp_path / "mine.jsonl", tmp_path / "run"
    code.write_text("def judge(completion, problem): return 1.0")
    data.write_text('{"question": "Say a word.", "kind": "custom"}')
    settings = (f"tasks.train={data}", f"rewards.custom={code}:judge")
    run_toy(out, toy_config(tmp_path, *settings))
    code.write_text("def judge(completion, problem): return 0.5")
    text = refusal(out, *settings)
    assert text.startswith("toy (the content of the files of rewards.custom is another one); toy_second (the content of ")


def test_the_weights_of_rewards_make_what_rl_trains_again_and_no_evaluation_of_base() -> None:
    def read(stage: str, *settings: str) -> dict[str, object]:
        graph = recipe.get_graph("r1")
        return dict(identify(find(graph, stage), graph, load_recipe("puzzles", settings), {}).settings)

    part = "rewards.parts.soft_overlong_punishment.weight=3"
    for weight in ("rewards.format=0.5", "rewards.language_without_words=0.5", part):
        assert read("r1_zero", weight) != read("r1_zero")
        assert read("evaluate.base", weight) == read("evaluate.base")
    for verdict in ("rewards.seconds_limit=3", "rewards.allowed_packages=numpy", "rewards.unsafe_local=true"):
        assert read("evaluate.base", verdict) != read("evaluate.base")


def test_with_a_held_out_share_training_depends_on_how_many_generated_problems_are_asked() -> None:
    def found(stage: str, *settings: str) -> list[str]:
        return settings_of_held_out_problems(find(R1, stage), load_recipe("tiny", ["graph=r1", *settings]))

    both = ("tasks.train=mine.jsonl", "tasks.held_out_share=0.25")
    assert found("r1_zero") == found("r1_zero", *both, "tasks.eval=mine.jsonl") == found("r1_dev1", *both) == []
    assert found("r1_zero", *both, "tasks.eval=mine.jsonl,logic") == ["evaluate.problems"]
    assert found("sft_data", "evaluate.further=x.py:problems") == ["evaluate.further_problems"]


def test_a_run_directory_may_be_renamed_and_what_is_given_may_move(run: Path) -> None:
    run.rename(run.with_name("renamed"))
    out, given = run.with_name("renamed"), run.with_name("given")
    assert states(out) == ["finished"] * 4
    shutil.copytree(out / "toy", given)
    other = run.with_name("other")
    run_toy(other, toy_config(run.parent, f"inputs.toy={given}"))
    given.rename(given.with_name("given_elsewhere"))
    assert states(other, f"inputs.toy={given.with_name('given_elsewhere')}") == ["given", *["finished"] * 3]
    again(other, f"inputs.toy={given.with_name('given_elsewhere')}")
    assert refusal(other).startswith("evaluate.toy (another toy)")


def test_a_graph_may_not_change(run: Path) -> None:
    path = run / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"graph": "r1"}))
    with pytest.raises(ConfigError, match=r'started with graph = "r1", now graph = "toy": use another --out'):
        again(run)


def test_settings_change_where_one_stage_is_asked_for_and_another_would_be_left_behind(run: Path) -> None:
    shutil.rmtree(run / "evaluate.toy")
    with pytest.raises(ArtifactError, match=r"run: evaluate.toy_second \(evaluate.samples = 4, now evaluate.samples = 2\)"):
        run_recipe(toy_config(run.parent, "evaluate.samples=2"), run, make_backend=no_backend, only="evaluate.toy")


def test_a_dry_run_lists_what_stays_what_would_be_made_again_and_why(run: Path) -> None:
    toy_config(run.parent)
    read = read_recipe(str(run.parent / "toy.toml"), ["evaluate.problems=300"])
    lines = plan_text(read, run, plan(read.config, run)).splitlines()
    rows = {line.split()[0]: line for line in lines if line.split() and line.split()[0] in EVERY}
    assert f"cached: {run}/toy_second" in rows["toy_second"]
    assert f"would be made again, and {run}/evaluate.toy is there" in rows["evaluate.toy"]
    why = [line.split() for line in lines if line.startswith(f"{run}/evaluate.toy ")]
    assert [" ".join(line[1:]) for line in why] == ["evaluate.problems = 250, now evaluate.problems = 300"]


def test_a_directory_of_a_version_without_a_setting_goes_on(run: Path) -> None:
    path = run / "config.json"
    recorded = json.loads(path.read_text())
    del recorded["tasks"]["too_long"], recorded["made_with"]
    path.write_text(json.dumps(recorded))
    assert not [line for line in again(run) if line.startswith("changed")]

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cogitate.config import Config
from cogitate.errors import ArtifactError, ConfigError, DataError
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.run_directory import store
from cogitate.recipe.run_directory.attempt import Clock
from cogitate.recipe.run_directory.failure import read_failure
from cogitate.recipe.runner import plan, run_recipe
from cogitate.recipe.stage import Stage
from tests.recipe.kill_harness import outcome
from tests.recipe.toy_recipe import NoBackend, no_backend, run_toy, toy_config


class Heard(NullProgress):
    """Keeps what a run tells its watchers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.begun: list[tuple[str, int, int]] = []
        self.said: list[str] = []

    def run_begins(self, stages: Sequence[str]) -> None:
        self.stages = list(stages)

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        self.begun.append((stage, first_step, steps))

    def say(self, line: str) -> None:
        self.said.append(line)


def run(out: Path, config: Config, *, only: str | None = None, until: str | None = None, retrain: Sequence[str] = ()) -> Heard:
    heard = Heard()
    run_recipe(config, out, make_backend=no_backend, progress=heard, only=only, until=until, retrain=retrain)
    return heard


def states(config: Config, out: Path, *, retrain: Sequence[str] = ()) -> dict[str, str]:
    return {item.stage.name: item.state for item in plan(config, out, retrain=retrain)}


def made(out: Path) -> set[str]:
    return {path.parent.name for path in out.glob("*/manifest.json")}


def test_results_hold_every_evaluation_the_seconds_of_every_stage_and_what_stages_said(tmp_path: Path) -> None:
    path = run_toy(tmp_path / "run", toy_config(tmp_path, "seed=5"))
    results = json.loads(path.read_text())
    assert (results["schema"], results["seed"]) == (1, 5)
    assert results["stages"].keys() == {"toy", "toy_second"}
    assert results["stages"]["toy"]["all"]["pass@1"]["value"] > 0
    assert results["seconds"].keys() == {"toy", "evaluate.toy", "toy_second", "evaluate.toy_second"}
    assert results["summaries"]["evaluate.toy"] == {"left_out": "nothing"}
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [
        "config.json", "evaluate.toy", "evaluate.toy_second", "lock", "results.json", "toy", "toy_second",
    ]  # fmt: skip


def test_watchers_hear_of_all_stages_before_the_first_begins(tmp_path: Path) -> None:
    assert run(tmp_path / "run", toy_config(tmp_path)).stages == ["toy", "evaluate.toy", "toy_second", "evaluate.toy_second"]


def test_a_failure_stands_in_the_run_directory_until_the_next_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "run", toy_config(tmp_path)
    run(out, config, until="toy")

    def fail(*inputs: object) -> None:
        raise RuntimeError("the machine\nis on fire")

    with monkeypatch.context() as patched:
        patched.setattr("tests.recipe.toy_stage.run", fail)
        with pytest.raises(RuntimeError):
            run(out, config)
    failure = read_failure(out)
    assert failure is not None
    assert (failure.stage, failure.error) == ("toy_second", "RuntimeError: the machine is on fire")
    assert "test_runner.py, line " in failure.place
    run(out, config)
    assert read_failure(out) is None


def test_finished_stages_are_skipped(tmp_path: Path) -> None:
    config = toy_config(tmp_path)
    assert [stage for stage, _, _ in run(tmp_path / "run", config).begun] == ["toy", "toy_second"]
    before = outcome(tmp_path / "run")
    again = run(tmp_path / "run", config)
    assert again.begun == []
    assert [line.split(",")[0] for line in again.said] == [
        f"{name}: finished already" for name in ("toy", "evaluate.toy", "toy_second", "evaluate.toy_second")
    ]  # fmt: skip
    assert outcome(tmp_path / "run") == before


def test_two_runs_of_the_same_settings_are_equal_and_another_seed_is_not(tmp_path: Path) -> None:
    run(tmp_path / "a", toy_config(tmp_path))
    run(tmp_path / "b", toy_config(tmp_path, "base.checkpoint_every=5"))
    run(tmp_path / "c", toy_config(tmp_path, "seed=1"))
    weights = [outcome(tmp_path / name)["toy_second/model.safetensors"] for name in "abc"]
    assert weights[0] == weights[1] != weights[2]


def test_until_and_only_make_just_that(tmp_path: Path) -> None:
    out, config = tmp_path / "run", toy_config(tmp_path)
    with pytest.raises(ArtifactError, match=r"--only toy_second reads toy, which is not in .*/run: make it first"):
        run(out, config, only="toy_second")
    run(out, config, until="toy")
    assert made(out) == {"toy", "evaluate.toy"}
    run(out, config, only="toy_second")
    assert made(out) == {"toy", "evaluate.toy", "toy_second"}
    shutil.copytree(out / "toy_second", tmp_path / "alone" / "toy_second")  # without what it was made from
    (tmp_path / "alone" / "lock").touch()
    run(tmp_path / "alone", config, only="evaluate.toy_second")
    assert made(tmp_path / "alone") == {"toy_second", "evaluate.toy_second"}
    assert json.loads((out / "results.json").read_text())["stages"].keys() == {"toy"}


def test_settings_that_would_make_finished_stages_again_are_refused_by_name_and_nothing_is_touched(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, toy_config(tmp_path), until="toy")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(ArtifactError) as caught:
        run(out, toy_config(tmp_path, "base.steps=7"))
    assert str(caught.value) == (
        f"{out}: toy (base.steps = 6, now base.steps = 7); evaluate.toy (toy would be made again) would be made again: use "
        "another --out, or delete them first; --dry-run shows every stage"
    )
    with pytest.raises(
        ArtifactError, match=r"run: toy \(inputs.toy is given in its place\); evaluate.toy \(toy would be made "
    ):
        run(out, toy_config(tmp_path, f"inputs.toy={out / 'toy'}"))
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "lock"}


def test_settings_that_cannot_change_a_result_may_change(tmp_path: Path) -> None:
    run(tmp_path / "run", toy_config(tmp_path), until="toy")
    run(tmp_path / "run", toy_config(tmp_path, "base.checkpoint_every=3", "rewards.workers=1"))


@pytest.mark.parametrize("rows", [13, 14])  # refused by the stage's check, or by the stage as it starts
def test_settings_refused_before_anything_was_made_may_be_mended_in_the_same_directory(tmp_path: Path, rows: int) -> None:
    out = tmp_path / "run"
    with pytest.raises(DataError, match=f"base.rows = {rows}"):
        run(out, toy_config(tmp_path, f"base.rows={rows}"))
    assert not out.exists()
    run(out, toy_config(tmp_path, "base.rows=15"), until="toy")
    assert made(out) == {"toy", "evaluate.toy"}


def test_a_dry_run_refuses_what_a_run_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"base.rows = 13"):
        plan(toy_config(tmp_path, "base.rows=13"), tmp_path / "run")


def test_changed_data_files_are_noticed_though_their_names_stay(tmp_path: Path) -> None:
    data, out = tmp_path / "mine.jsonl", tmp_path / "run"
    data.write_text("one")
    config = toy_config(tmp_path, f"tasks.train={data}")
    run(out, config, until="toy")
    data.write_text("two")
    with pytest.raises(ArtifactError, match=r"run: toy \(the content of the files of tasks.train is another one\); "):
        run(out, config)


def test_a_given_input_is_used_and_not_made(tmp_path: Path) -> None:
    run(tmp_path / "first", toy_config(tmp_path), until="toy")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "first" / "toy", elsewhere)
    config = toy_config(tmp_path, f"inputs.toy={elsewhere}")
    assert states(config, tmp_path / "second") == {
        "toy": "given", "evaluate.toy": "to do", "toy_second": "to do", "evaluate.toy_second": "to do",
    }  # fmt: skip
    run(tmp_path / "second", config)
    assert made(tmp_path / "second") == {"evaluate.toy", "toy_second", "evaluate.toy_second"}
    results = json.loads((tmp_path / "second" / "results.json").read_text())
    assert results["origins"]["toy"] == f"given: {elsewhere}"
    run(tmp_path / "first", toy_config(tmp_path))
    weights = [outcome(tmp_path / name)["toy_second/model.safetensors"] for name in ("first", "second")]
    assert weights[0] == weights[1]


def test_a_damaged_artifact_stops_the_run_before_anything_is_made(tmp_path: Path) -> None:
    out, config = tmp_path / "run", toy_config(tmp_path)
    run(out, config, until="toy")
    (out / "toy" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"toy/model.safetensors: 0 bytes instead of"):
        run(out, config)
    (out / "toy" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"run/toy: no manifest.json: half-written"):
        run(out, config)
    assert made(out) == {"evaluate.toy"}


def test_a_shipped_artifact_is_taken_unless_it_is_to_be_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    config = toy_config(tmp_path)
    run(tmp_path / "first", config)
    shutil.copytree(tmp_path / "first" / "toy", tmp_path / "shipped" / "toy")

    assert states(config, tmp_path / "second")["toy"] == "shipped"
    heard = run(tmp_path / "second", config)
    assert [stage for stage, _, _ in heard.begun] == ["toy_second"]
    weights = [outcome(tmp_path / name)["toy_second/model.safetensors"] for name in ("first", "second")]
    assert weights[0] == weights[1]
    results = json.loads((tmp_path / "second" / "results.json").read_text())
    assert (results["origins"]["toy"], results["seconds"]["toy"]) == ("shipped", 0.0)
    with pytest.raises(ConfigError, match=r"--retrain toy: .* is the shipped one; use another --out"):
        run(tmp_path / "second", config, retrain=["toy"])

    assert states(config, tmp_path / "third", retrain=["toy"])["toy"] == "to do"
    assert [stage for stage, _, _ in run(tmp_path / "third", config, retrain=["toy"]).begun] == ["toy", "toy_second"]

    with pytest.raises(ArtifactError, match=r"shipped toy was made with seed = 0, but asked for is seed = 1"):
        run(tmp_path / "fourth", toy_config(tmp_path, "seed=1"))
    run(tmp_path / "fourth", toy_config(tmp_path, "seed=1"), retrain=["toy"], until="toy")


def test_retrain_of_an_unknown_or_given_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--retrain toyy: no such stage in this graph; did you mean toy"):
        run(tmp_path / "run", toy_config(tmp_path), retrain=["toyy"])
    with pytest.raises(ConfigError, match=r"--retrain toy contradicts inputs.toy"):
        run(tmp_path / "run", toy_config(tmp_path, "inputs.toy=/somewhere"), retrain=["toy"])


def test_an_unfinished_stage_of_other_settings_is_not_continued(tmp_path: Path) -> None:
    out, config = tmp_path / "run", toy_config(tmp_path)
    run(out, config, until="toy")
    work = out / "unfinished" / "toy_second"
    work.mkdir(parents=True)
    record = {"id": "0", "version": 1, "settings": {"base.steps": 5}, "inputs": {}, "read": [], "seconds": 1}
    (work / "work.json").write_text(json.dumps(record))
    (work / "checkpoint" / "step-000002").mkdir(parents=True)
    with pytest.raises(ArtifactError, match=r"run: unfinished/toy_second \(no seed, now seed = 0, .*would be made again"):
        run(out, config)
    (work / "work.json").write_text('{"id')
    with pytest.raises(ArtifactError, match=r"work.json: damaged"):
        run(out, config)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says how much memory a stage needed at most")
def test_a_manifest_and_the_results_say_how_much_memory_a_stage_needed_and_no_id_depends_on_it(tmp_path: Path) -> None:
    config = toy_config(tmp_path)
    results = json.loads(run_toy(tmp_path / "run", config).read_text())
    manifest = json.loads((tmp_path / "run" / "toy" / "manifest.json").read_text())
    assert 1e6 < manifest["peak_memory_bytes"] < 1e11
    assert results["peak_memory_bytes"]["toy"] == manifest["peak_memory_bytes"]
    assert results["peak_memory_bytes"].keys() == results["seconds"].keys()
    planned = {item.stage.name: item.id for item in plan(config, tmp_path / "another run")}
    assert planned["toy"] == manifest["id"]


def test_a_stage_whose_first_attempt_did_not_measure_memory_says_nothing_of_it(tmp_path: Path) -> None:
    identity = store.Identity("toy", 1, {}, {}, ())
    clock = Clock(tmp_path, identity, {"seconds": 3.0, "peak_memory_bytes": None})
    clock.watch_memory()
    assert clock.facts() == {"device": "cpu"}  # nor of the processors
    later = Clock(tmp_path, identity, {"seconds": 3.0, "peak_memory_bytes": 10**12})
    assert later.facts() == {"device": "cpu", "peak_memory_bytes": 10**12}
    assert later.seconds() >= 3


def test_work_of_another_device_is_named_where_it_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal bytes are promised on one device alone."""
    out, config = tmp_path / "run", toy_config(tmp_path)
    run(out, config, until="toy")
    assert json.loads((out / "toy" / "manifest.json").read_text())["device"] == "cpu"
    monkeypatch.setattr(NoBackend, "device_name", "cuda:0 (NVIDIA H100)")
    said = run(out, config, until="toy_second").said
    elsewhere = ", made on cpu, where this run computes on cuda:0 (NVIDIA H100)"
    assert f"toy: finished already, {out / 'toy'}{elsewhere}" in said
    assert json.loads((out / "toy_second" / "manifest.json").read_text())["device"] == "cuda:0 (NVIDIA H100)"


def test_a_stage_that_goes_on_elsewhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "run", toy_config(tmp_path)
    run(out, config, until="toy")

    def stop(*inputs: object) -> None:
        (out / "unfinished" / "toy_second" / "checkpoint" / "step-000000").mkdir(parents=True)
        raise RuntimeError("the machine is on fire")

    with monkeypatch.context() as patched:
        patched.setattr("tests.recipe.toy_stage.run", stop)
        with pytest.raises(RuntimeError):
            run(out, config, until="toy_second")
    monkeypatch.setattr(NoBackend, "device_name", "cuda:0 (NVIDIA H100)")
    heard = Heard()
    with monkeypatch.context() as patched:
        patched.setattr("tests.recipe.toy_stage.run", stop)
        with pytest.raises(FileExistsError):
            run_recipe(config, out, make_backend=no_backend, progress=heard, until="toy_second")
    elsewhere = "goes on from what is there, made on cpu, where this run computes on cuda:0 (NVIDIA H100)"
    assert [line for line in heard.said if line.startswith(f"toy_second: {elsewhere}")] != []


def test_a_file_that_changes_while_earlier_stages_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact's id is that of the files as they were when the run was planned."""
    out, config, data = tmp_path / "run", toy_config(tmp_path), tmp_path / "data.jsonl"
    data.write_text("{}\n")
    monkeypatch.setattr(Stage, "files", lambda stage, config: [data] if stage.name == "toy_second" else [])

    class Changing(Heard):
        def say(self, line: str) -> None:
            super().say(line)
            if line.startswith("toy: finished"):
                data.write_text("[]\n")

    with pytest.raises(ArtifactError, match="toy_second: a file that it reads has changed since the run was planned"):
        run_recipe(config, out, make_backend=no_backend, progress=Changing())
    assert "toy" in made(out)
    assert "toy_second" not in made(out)
    run(out, config)
    assert "toy_second" in made(out)

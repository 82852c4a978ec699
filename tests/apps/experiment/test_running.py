"""An experiment end to end in small: what is shared, what a failure leaves, and that a stopped one goes on."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.experiment.definition import read_experiment
from cogitate.apps.experiment.running import run_experiment
from cogitate.backend import Backend
from cogitate.cli.runs import compose_backend
from cogitate.config import Config, RLConfig
from cogitate.errors import ConfigError
from cogitate.recipe.progress import NullProgress
from tests.apps.experiment.small import EXPERIMENT, write_experiment
from tests.recipe.cli_process import cogitate_itself, finish, start


def run(file: Path, out: Path, make_backend: Callable[[Config], Backend] = compose_backend) -> tuple[dict[str, Any], list[str]]:
    """The results without times, and what was said."""
    said: list[str] = []
    page = run_experiment(
        read_experiment(file), out, make_backend=make_backend, make_progress=lambda *_: NullProgress(), say=said.append
    )
    assert page.read_text().startswith("<!doctype html>")
    results: dict[str, Any] = json.loads((out / "experiment.json").read_text())
    del results["cost"]
    return results, said


def test_a_small_experiment_shares_what_it_can_shows_a_failure_and_goes_on_where_it_stopped(tmp_path: Path, base: Path) -> None:
    broken = EXPERIMENT.replace("remax", "broken").replace('method = "broken"', "learning_rate = 1e30")
    broken = broken.replace("disk_gib = 1", "disk_gib = 1\nwhole = true")  # all have the evaluation of base
    file, out = write_experiment(tmp_path, base, broken), tmp_path / "out"
    made: list[tuple[float, int]] = []

    def stopped_after_two(config: Config) -> Backend:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append((config.section("r1_zero", RLConfig).learning_rate, config.seed))
        return compose_backend(config)

    with pytest.raises(KeyboardInterrupt):
        run(file, out, stopped_after_two)
    assert made == [(1e-3, 0), (1e30, 0)]
    results, said = run(file, out)
    assert not any("grpo, seed 0" in line for line in said)
    assert "shared with another run: evaluate.base" in said
    first, second = (out / name / "seed-1" / "evaluate.base" / "evaluation.json" for name in ("grpo", "broken"))
    assert first.stat().st_ino == second.stat().st_ino

    runs = {(each["variant"], each["seed"]): each for each in results["runs"]}
    assert [key for key, each in runs.items() if each["error"]] == [("broken", 0), ("broken", 1)]
    assert "r1_zero: " in runs["broken", 0]["error"]
    finished = [each for each in results["runs"] if each["finished"]]
    assert [each["seed"] for each in finished] == [0, 1]
    assert all(60 <= each["tokens_generated"] < 60 + 2 * 4 * 4 for each in finished)
    assert results["variants"]["grpo"]["measures"]["pass@1"]["ci95"][0] is not None
    assert results["claims"][0]["verdict"] == "not tested: no seed has both runs"
    assert "broken, seed 1 failed" in (out / "experiment.html").read_text()


def test_runs_beyond_the_disk_budget_are_refused(tmp_path: Path, base: Path) -> None:
    file = write_experiment(tmp_path, base, EXPERIMENT.replace("disk_gib = 1", "disk_gib = 1e-9"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lock").write_text("1\n")
    with pytest.raises(ConfigError, match=r"grpo, seed 0: the runs take 0.00 GiB.*more than disk_gib = 1e-09; raise it"):
        run(file, tmp_path / "out")


def test_a_run_directory_is_not_taken_for_an_experiments(tmp_path: Path, base: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="is a run directory; an experiment needs one of its own"):
        run(write_experiment(tmp_path, base), tmp_path / "out")


@pytest.mark.slow
def test_killed_again_and_again_an_experiment_ends_with_the_bytes_of_an_undisturbed_one(tmp_path: Path, base: Path) -> None:
    def files(out: Path) -> dict[str, bytes]:
        names = ("model.safetensors", "completions.jsonl", "transcripts.jsonl", "evaluation.json")
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.name in names}

    def results(out: Path) -> dict[str, Any]:
        written: dict[str, Any] = json.loads((out / "experiment.json").read_text())
        return {key: value for key, value in written.items() if key != "cost"}

    file = write_experiment(tmp_path, base)
    for name in ("calm", "killed"):
        folder = tmp_path / name
        command = ("compare", str(file), "--out", str(folder / "run"))
        for kill_at in (5, 40, 90) if name == "killed" else ():
            assert start(folder, *command, kill_at=kill_at, entry=cogitate_itself).wait() < 0
        code, done = finish(folder, *command, entry=cogitate_itself)
        assert code == 0, done.stderr
    assert files(tmp_path / "calm" / "run") == files(tmp_path / "killed" / "run")
    assert results(tmp_path / "calm" / "run") == results(tmp_path / "killed" / "run")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["methods_four_updates", "kimi_k15_ablations"])
def test_ten_kills_of_a_shipped_experiment_in_short_change_no_byte(tmp_path: Path, name: str) -> None:
    """With partial rollouts unfinished groups are in flight at the kills. Three variants are enough for all branches."""
    experiments = Path(__file__).parents[3] / "experiments"
    text = (experiments / f"{name}.toml").read_text().replace('"recipes/', f'"{experiments}/recipes/')
    head, *variants = re.split(r"(?=^\[variants\.)", text, flags=re.MULTILINE)
    kept = [one for one in variants if re.match(r"\[variants\.(grpo|dapo|mirror_descent|whole|without_reset)\]", one)]
    (tmp_path / "some.toml").write_text(head + "".join(one.partition("[[claims]]")[0] for one in kept))
    draw = random.Random(name)
    for folder in (tmp_path / "calm", tmp_path / "killed"):
        command = ("compare", str(tmp_path / "some.toml"), "--short", "--seed", "0", "--out", str(folder / "run"))
        for _ in range(10 if folder.name == "killed" else 0):
            assert start(folder, *command, kill_at=draw.randrange(3, 20), entry=cogitate_itself).wait() < 0
        code, done = finish(folder, *command, entry=cogitate_itself)
        assert code == 0, done.stderr
    calm, killed = (made_files(tmp_path / name / "run") for name in ("calm", "killed"))
    assert calm.keys() == killed.keys()
    assert [name for name, content in calm.items() if killed[name] != content] == []


def made_files(out: Path) -> dict[str, bytes]:
    """Weights, completions and what was measured."""
    names = ("model.safetensors", "completions.jsonl", "transcripts.jsonl", "evaluation.json", "pass_rates.json")
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.name in names}

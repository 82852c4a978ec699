from pathlib import Path

import pytest

from cogitate.backend import Backend
from cogitate.config import Config
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.run_directory.failed_start import ANSWERS, undone_where_nothing_was_made
from cogitate.recipe.runner import run_recipe
from cogitate.runtime import pick_device
from tests.recipe.kill_harness import outcome
from tests.recipe.toy_recipe import no_backend, run_toy, toy_config


def no_such_machine(config: Config) -> Backend:
    raise RuntimeError("driver not found")


def test_a_device_that_does_not_exist_is_one_line_and_leaves_no_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'runtime.device = "gpu": .*there are auto, cpu, cuda and cuda:N'):
        toy_config(tmp_path, "runtime.device=gpu")
    with pytest.raises(ConfigError, match=r"device 'gpu': no such device; there are auto, cpu, cuda and cuda:N"):
        pick_device("gpu")
    config = toy_config(tmp_path, "runtime.device=cuda:99")
    with pytest.raises(ConfigError, match=r"device 'cuda:99' is not there: torch finds .*set runtime.device=cpu or auto"):
        run_recipe(config, tmp_path / "runs" / "mine", make_backend=LocalBackend)
    assert not (tmp_path / "runs").exists()


def test_any_failure_before_the_first_artifact_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config(tmp_path)
    with pytest.raises(RuntimeError):
        run_recipe(config, tmp_path / "runs" / "mine", make_backend=no_such_machine)
    with monkeypatch.context() as patched:
        patched.setattr("tests.recipe.toy_stage.run", no_such_machine)
        with pytest.raises(TypeError):
            run_recipe(config, tmp_path / "runs" / "mine", make_backend=no_backend)
    assert not (tmp_path / "runs").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        run_toy(tmp_path / "empty", toy_config(tmp_path, "base.rows=14"))
    assert list((tmp_path / "empty").iterdir()) == []


def test_after_a_failed_start_another_device_may_be_given_and_what_was_made_stays(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_recipe(toy_config(tmp_path), out, make_backend=no_backend, until="toy")
    before = outcome(out)
    with pytest.raises(ConfigError):
        run_recipe(toy_config(tmp_path, "runtime.device=cuda:99"), out, make_backend=LocalBackend)
    assert outcome(out) == before
    run_toy(out, toy_config(tmp_path, "runtime.device=cpu"))
    assert (out / "toy_second" / "manifest.json").is_file()


def test_a_directory_that_is_no_run_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="not empty, and no run directory"):
        run_toy(tmp_path / "model", toy_config(tmp_path))
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]


@pytest.mark.parametrize(("answers", "stays"), [('{"key": "a", "answer": {}}\n', True), ("", False)])
def test_what_a_trusted_reward_has_answered_stays_after_a_failed_start(answers: str, stays: bool, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def start() -> None:
        with undone_where_nothing_was_made(out):
            out.mkdir()
            (out / ANSWERS).write_text(answers)
            raise RuntimeError("no route to the judge")

    with pytest.raises(RuntimeError, match="no route"):
        start()
    assert (out / ANSWERS).exists() == out.exists() == stays

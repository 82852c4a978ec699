"""Learners whose work trainers do: what they learn is what ranks learn, and a killed trainer changes no bit of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cogitate.cluster.trainers.backend import WithTrainers
from cogitate.cluster.trainers.learner import DEATHS, RowsTrainedTogether
from cogitate.config import Config, PreferenceTrainingConfig, PretrainConfig, RLConfig
from cogitate.errors import ClusterError, TrainingDivergedError
from cogitate.model.files.hf import load_model, save_model
from cogitate.recipe.local_backend import OneProcess
from tests.train.sharded.models import make_model
from tests.train.sharded.test_learners import items_of, rollouts_of_two_steps
from tests.train.test_supervised import rows

pytestmark = pytest.mark.cluster

SETTINGS = PretrainConfig(micro_rows=2, mtp_weight=0.3, router_bias_step=0.01, gradient_clip=1.5)
Made = Callable[..., WithTrainers]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    save_model(make_model("deepseek_v3"), directory)
    return directory


def config_of(**cluster: Any) -> Config:
    return Config.model_validate({"runtime": {"backend": "ray", "threads": 1}, "cluster": {"trainers": 2, **cluster}})


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    backends = list[WithTrainers]()

    def make(name: str = "cluster", **cluster: Any) -> WithTrainers:
        said = list[str]()
        backends.append(WithTrainers(config_of(**cluster), tmp_path / name, say=said.append))
        return backends[-1]

    yield make
    for backend in backends:
        backend.close()


def kill_one(learner: Any, rank: int = 1) -> None:
    os.kill(learner._team.pids[rank], signal.SIGKILL)


def deaths_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / DEATHS).read_text().splitlines()]


def train(learner: RowsTrainedTogether, directory: Path, *, kill: bool) -> list[dict[str, float]]:
    """Four steps with a checkpoint after the second; a trainer is killed before the first, after the third and while the others
    write what they have learnt."""
    done = list[dict[str, float]]()
    for step in range(4):
        if kill and step in (0, 3):
            kill_one(learner, step % 2)
        done.append(learner.update(rows(step), 1e-3))
        if step == 1:
            learner.save(directory / "checkpoint", 2, {"note": "kept"})
    if kill:
        kill_one(learner)
    done.append({"loss": learner.loss(rows(9))})
    learner.save_weights(directory / "model")
    return done


def test_a_killed_trainer_changes_no_bit(made: Made, model: Path, tmp_path: Path) -> None:
    straight = made("straight").supervised_learner(model, SETTINGS, adapters=False)
    killed = made("killed").supervised_learner(model, SETTINGS, adapters=False)
    assert isinstance(straight, RowsTrainedTogether)
    assert isinstance(killed, RowsTrainedTogether)
    assert killed.max_context == 128
    expected = train(straight, tmp_path / "a", kill=False)
    assert train(killed, tmp_path / "b", kill=True) == expected
    weights = [(tmp_path / side / "model" / "model.safetensors").read_bytes() for side in "ab"]
    assert weights[0] == weights[1]
    deaths = deaths_of(tmp_path / "killed")
    assert [(row["trainer"], row["cause"], row["updates_again"]) for row in deaths] == [
        (0, "killed by SIGKILL", 0), (1, "killed by SIGKILL", 1), (1, "killed by SIGKILL", 2),
    ]  # fmt: skip
    assert not (tmp_path / "straight" / DEATHS).exists()


def test_a_checkpoint_of_trainers_is_gone_on_from_by_one_process_and_back(made: Made, model: Path, tmp_path: Path) -> None:
    together = made().supervised_learner(model, SETTINGS, adapters=False)
    alone = OneProcess(config_of()).supervised_learner(model, SETTINGS, adapters=False)
    for step in range(2):
        together.update(rows(step), 1e-3)
    together.save(tmp_path, 2, {"note": "kept"})
    assert alone.load(tmp_path / "step-000002") == {"step": 2, "note": "kept"}
    metrics = alone.update(rows(2), 1e-3)
    assert metrics["loss"] == pytest.approx(together.update(rows(2), 1e-3)["loss"], rel=1e-6)
    alone.save(tmp_path, 3, {})
    assert together.load(tmp_path / "step-000003") == {"step": 3}
    assert together.update(rows(3), 1e-3)["loss"] == pytest.approx(alone.update(rows(3), 1e-3)["loss"], rel=1e-6)


def test_policies_and_reward_models_are_trained_together_and_what_they_refuse_is_said_as_on_the_laptop(
    made: Made, model: Path, tmp_path: Path
) -> None:
    backend, alone = made(), OneProcess(config_of())
    rollouts, advantages = rollouts_of_two_steps()[0]
    settings = RLConfig(max_new_tokens=12, learning_rate=1e-3)
    expected = alone.policy_learner(model, settings).update(rollouts, advantages)
    policy = backend.policy_learner(model, settings)
    with pytest.raises(TrainingDivergedError, match="the loss is nan"):
        policy.update(rollouts, [float("nan")] * len(advantages))
    assert policy.update(rollouts, advantages) == pytest.approx(expected, rel=1e-4, abs=1e-6)  # the weights are those before
    preferences = PreferenceTrainingConfig(micro_tokens=40)
    pairs = items_of("pairs")
    learner = backend.helpfulness_learner(model, preferences)
    of_pairs = alone.helpfulness_learner(model, preferences).update(pairs, 1e-3)
    assert learner.update(pairs, 1e-3) == pytest.approx(of_pairs, rel=1e-4, abs=1e-6)
    learner.save_weights(tmp_path / "reward")
    assert load_model(tmp_path / "reward").mtp is None


def test_trainers_that_die_again_and_again_end_the_run(made: Made, model: Path, tmp_path: Path) -> None:
    learner = made(deaths_limit=1).supervised_learner(model, SETTINGS, adapters=False)
    assert isinstance(learner, RowsTrainedTogether)
    kill_one(learner)
    learner.loss(rows(0))
    kill_one(learner)
    with pytest.raises(ClusterError, match=r"killed by SIGKILL.*2 losses of trainers without an update in between"):
        learner.loss(rows(0))
    assert len(deaths_of(tmp_path / "cluster")) == 2
